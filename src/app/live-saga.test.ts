import { setImmediate as nextTurn } from 'node:timers/promises'
import { describe, expect, it } from 'vitest'
import { z } from 'zod'
import type { Engine } from '../engine/index.ts'
import { saga } from '../saga/index.ts'
import { LiveSaga } from './live-saga.ts'

const s = saga('s', { start: z.null() }, () => 1)

/** A client of an engine that is slow to read, and nothing changes on it. */
function slowClient() {
  const read = Promise.withResolvers<never>()
  const state = {
    get: () => read.promise,
    watch: (_namespace: string, { signal }: { readonly signal: AbortSignal }) => ({
      [Symbol.asyncIterator]: () => ({
        next: async () => {
          await new Promise((resolve) => signal.addEventListener('abort', resolve))
          return { done: true, value: undefined }
        },
      }),
    }),
  }
  const stop = new AbortController()
  const engine = { state } as unknown as Engine
  const stopped = new Error('The app has stopped.')
  const check = (): void => {
    if (stop.signal.aborted) throw stopped
  }
  return { client: new LiveSaga(engine, 'shop', s, check, stop.signal), read, stop, stopped }
}

describe('who waits for the outcome of a saga', () => {
  it('and stops waiting while it is read how the saga stands, ends no process', async () => {
    const unhandled: unknown[] = []
    const note = (reason: unknown): number => unhandled.push(reason)
    process.on('unhandledRejection', note)
    const { client, read, stop, stopped } = slowClient()
    const caller = new AbortController()
    const outcomes = [client.outcome('k', { signal: caller.signal }), client.outcome('k')]
    const settled = Promise.allSettled(outcomes)
    caller.abort(new RangeError('no time left'))
    stop.abort()
    await nextTurn()
    read.reject(new TypeError('cannot read'))
    const reasons = (await settled).map((one) => (one.status === 'rejected' ? (one.reason as unknown) : one))
    await nextTurn()
    process.off('unhandledRejection', note)
    expect(unhandled).toEqual([])
    expect(reasons).toEqual([new RangeError('no time left'), stopped])
  })
})
