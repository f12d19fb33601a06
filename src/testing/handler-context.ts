import { InvariantError } from '../kernel/index.ts'
import type { Message } from '../message/index.ts'
import type { CallContext, HandlerContext } from '../runtime/index.ts'

/** What a handler is told by a test, that hands it a message without a topic. */
export function handlerContext(options: {
  readonly key: string
  readonly nowMs: () => number
  readonly attempt?: number
  /** Aborts when the process dies. Default: it lives. */
  readonly signal?: AbortSignal
  /** Makes effects real. Default: they are lost. */
  readonly checkpoint?: (effects: unknown) => Promise<void>
  /** Messages of the key that wait. Default: none. */
  readonly behind?: () => readonly Message[]
}): HandlerContext {
  const {
    key,
    nowMs,
    attempt = 1,
    signal = new AbortController().signal,
    checkpoint = nothing,
    behind = () => [],
  } = options
  const call: CallContext['call'] = async (fn) => fn(signal)
  return {
    key,
    signal,
    attempt,
    nowMs,
    checkpoint,
    waitsBehind: (fits) => behind().some(fits),
    call,
    query: () => Promise.reject(new InvariantError('nothing under test asks a query')),
    topic: 'test',
    partition: 0,
    offset: 0,
    timestampMs: nowMs(),
  }
}

const nothing = (): Promise<void> => Promise.resolve()
