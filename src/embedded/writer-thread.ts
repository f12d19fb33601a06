/**
 * The writer thread: owns the connection that writes, carries out one request after the other.
 * @module
 */
import { parentPort, workerData } from 'node:worker_threads'
import { InvariantError } from '../kernel/index.ts'
import { openForWriting } from './connection.ts'
import { DiskFullError } from './errors.ts'
import { Store } from './store/store.ts'
import { faultOf, type WriterMessage } from './store-client.ts'
import { answerMessage, buffersOf, type RequestMessage, requestOf } from './thread-messages.ts'

const port = parentPort
if (port === null) throw new InvariantError('the writer thread is started by the engine')
const { path } = workerData as { readonly path: string }

const answer = (message: WriterMessage, buffers: ArrayBuffer[] = []): void => port.postMessage(message, buffers)

/** `undefined`: SQLite could not, and whoever opens has been told. */
function openStore(): Store | undefined {
  try {
    return new Store(openForWriting(path))
  } catch (error) {
    const fault = faultOf(error instanceof DiskFullError ? error.cause : error)
    if (fault.errcode === null && fault.damage === undefined) throw error
    answer({ kind: 'fault', fault })
    return undefined
  }
}

const store = openStore()
if (store !== undefined) {
  port.on('message', (message: RequestMessage) => {
    try {
      const request = requestOf(message)
      const result = answerMessage(request, store.handle(request))
      const buffers = message.kind === 'commit-text' ? buffersOf(message) : []
      answer({ kind: 'answer', answer: result, buffers }, buffers)
    } catch (error) {
      answer({ kind: 'fault', fault: faultOf(error) })
    }
  })
  answer({ kind: 'ready' })
}
