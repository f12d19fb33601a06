import { setImmediate as nextTurn } from 'node:timers/promises'
import { describe, expect, it } from 'vitest'
import { z } from 'zod'
import type { Engine } from '../engine/index.ts'
import { afterwards, append, none, on } from '../runtime/index.ts'
import { saga, step } from '../saga/index.ts'
import { memoryEngine, Placed, startHandlers } from './app.test-support.ts'
import { app } from './index.ts'
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
  const engine = { state, capabilities: { members: 'network' } } as unknown as Engine
  const stopped = new Error('The app has stopped.')
  const check = (): void => {
    if (stop.signal.aborted) throw stopped
  }
  return { client: new LiveSaga(engine, 'shop', s, check, stop.signal), read, stop, stopped }
}

describe('who waits for the outcome of a saga', () => {
  it('hears of it whichever start of the app brings it about, and gets what it may change', async () => {
    const run = async (n: number): Promise<number> => {
      await nextTurn()
      return n
    }
    const listing = saga('listing', { start: z.number(), steps: { one: step({ run }) } }, async (scope, n) => ({
      list: [await scope.step('one', n), 1],
    }))
    const shop = app('shop', { sagas: [listing] })
    await using engine = await memoryEngine()
    await using first = await shop.start({ engine })
    await using second = await shop.start({ engine })
    const keys = Array.from({ length: 40 }, (_, n) => `k${n}`)
    const waiting = [first, second, second].map((one) => Promise.all(keys.map((key) => one.saga(listing).outcome(key))))
    await nextTurn()
    await Promise.all(keys.map((key, n) => first.saga(listing).start(key, n)))
    const outcomes = await Promise.all(waiting)
    for (const found of outcomes) {
      for (const [n, outcome] of found.entries()) {
        expect(outcome).toEqual({ status: 'completed', result: { list: [n, 1] } })
        if (outcome.status === 'completed') outcome.result.list.reverse()
      }
    }
    expect(await second.saga(listing).outcome('k7')).toEqual({ status: 'completed', result: { list: [7, 1] } })
  })

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

describe('what is to run once effects are durable', () => {
  it('runs then, by itself and beside others, and never if they are refused', async () => {
    const ran: string[] = []
    const handler = on(Placed, { name: 'h', retry: none }, ({ data: { id, n } }) => [
      afterwards(() => ran.push(id)),
      n === 0 ? undefined : append('s', Placed({ id, n }), { expected: n === 1 ? 'none' : 7 }),
    ])
    await using engine = await memoryEngine()
    await using running = await startHandlers([handler], { engine })
    await running.publish([
      Placed({ id: 'plain', n: 0 }),
      Placed({ id: 'appends', n: 1 }),
      Placed({ id: 'refused', n: 2 }),
    ])
    await running.idle()
    expect(ran.toSorted()).toEqual(['appends', 'plain'])
    expect(await running.deadLetters.count()).toBe(1)
  })
})
