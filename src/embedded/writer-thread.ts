/**
 * The writer thread: owns the connection that writes, carries out one request after the other.
 * @module
 */
import { parentPort, workerData } from 'node:worker_threads'
import { openForWriting } from './connection.ts'
import type { StoreRequest } from './store/protocol.ts'
import { Store } from './store/store.ts'
import { faultOf, type WriterMessage } from './store-client.ts'

const port = parentPort
if (port === null) throw new Error('writer-thread is started by the engine, not by itself')
const { path } = workerData as { readonly path: string }

const store = new Store(openForWriting(path))
const answer = (message: WriterMessage): void => port.postMessage(message)

port.on('message', (request: StoreRequest) => {
  try {
    answer({ kind: 'answer', answer: store.handle(request) })
  } catch (error) {
    answer({ kind: 'fault', fault: faultOf(error) })
  }
})
answer({ kind: 'ready' })
