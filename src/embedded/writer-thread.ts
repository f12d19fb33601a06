/**
 * The writer thread: owns the connection that writes, carries out one request after the other.
 * @module
 */
import { parentPort, workerData } from 'node:worker_threads'
import { InvariantError } from '../kernel/index.ts'
import { openForWriting } from './connection.ts'
import type { StoreRequest } from './store/protocol.ts'
import { Store } from './store/store.ts'
import { buffersOf, faultOf, type WriterMessage } from './store-client.ts'

const port = parentPort
if (port === null) throw new InvariantError('the writer thread is started by the engine')
const { path } = workerData as { readonly path: string }

const store = new Store(openForWriting(path))
const answer = (message: WriterMessage, buffers: ArrayBuffer[] = []): void => port.postMessage(message, buffers)

port.on('message', (request: StoreRequest) => {
  try {
    const result = store.handle(request)
    const buffers = buffersOf(request)
    answer({ kind: 'answer', answer: result, buffers }, buffers)
  } catch (error) {
    answer({ kind: 'fault', fault: faultOf(error) })
  }
})
answer({ kind: 'ready' })
