import { describe, expect, it } from 'vitest'
import { embedded } from '../embedded/index.ts'
import { VirtualClock } from '../kernel/index.ts'
import { deadLettersOf, fixed, type Handler, none, on, publish, schedule, set } from '../runtime/index.ts'
import {
  gate,
  memoryEngine,
  messagesOf,
  numbersByKey,
  Paid,
  Placed,
  startHandlers,
  temporaryFolder,
} from './app.test-support.ts'

/** A handler that fails for the numbers in `bad`, as long as they are in it. */
function failing(bad: Set<number>, onDeadLetter: 'continue' | 'park-key'): Handler {
  return on(Placed, { retry: none, onDeadLetter, state: { initial: 0 } }, (message, state) => {
    if (bad.has(message.data.n)) throw new Error(`bad ${message.data.n}`)
    return [set(state + 1), publish(Paid(message.data))]
  })
}

const ten = Array.from({ length: 10 }, (_, n) => n)

describe('dead letters', () => {
  it('tell what failed, where and why', async () => {
    await using engine = await memoryEngine()
    await using running = await startHandlers([failing(new Set([3]), 'continue')], { engine })
    const messages = ten.map((n) => Placed({ id: 'a', n }))
    await running.publish(messages)
    await running.idle()
    const [letter] = await running.deadLetters.list()
    expect(letter).toMatchObject({
      handler: 'test.s.Placed',
      reason: 'failed',
      topic: 'orders',
      offset: 3,
      key: 'a',
      attempts: 1,
      error: { name: 'Error', message: 'bad 3', code: null },
      original: { kind: 'message', message: messages[3] },
      parksKey: false,
      requested: null,
    })
    expect(letter?.error.stack).toContain('dead-letters.test.ts')
    expect(await running.deadLetters.show(letter?.id ?? '')).toEqual(letter)
    expect(await running.deadLetters.show('no such id')).toBeUndefined()
    await expect(running.deadLetters.redrive('no such id')).rejects.toMatchObject({ code: 'DEAD_LETTER_UNKNOWN' })
    const [event] = await messagesOf(engine, 'test.dead-letters')
    expect(event).toMatchObject({ type: 'millrace.dead-lettered', causationid: messages[3]?.id, data: letter })
  })

  it.each([
    ['redriven again', 'redrive', 1],
    ['discarded', 'discard', 0],
  ] as const)('may be %s while they are being handled', async (_what, door, effects) => {
    await using engine = await memoryEngine()
    const { opened, open } = gate()
    let isBroken = true
    const handler = on(Placed, { retry: none, onDeadLetter: 'park-key' }, async (message) => {
      if (isBroken) throw new Error('broken')
      await opened
      return publish(Paid(message.data))
    })
    await using running = await startHandlers([handler], { engine })
    await running.publish([1, 2, 3].map((n) => Placed({ id: 'a', n })))
    await running.idle()
    isBroken = false
    const [letter] = await running.deadLetters.list()
    await running.deadLetters.redrive('all')
    await running.deadLetters[door](letter?.id ?? '')
    open()
    await running.idle()
    expect(await running.deadLetters.list()).toEqual([])
    // What waited behind it goes on either way.
    expect(await messagesOf(engine, 'payments')).toHaveLength(effects + 2)
  })

  it('can be gone through page by page, and dealt with as a list of which all is known', async () => {
    await using engine = await memoryEngine()
    const refusing = (name: string): Handler =>
      on(Placed, { name, retry: none }, () => {
        throw new Error('refused')
      })
    await using running = await startHandlers([refusing('one'), refusing('two')], { engine })
    await running.publish(Array.from({ length: 23 }, (_, n) => Placed({ id: `k${n}`, n })))
    await running.idle()
    const { deadLetters } = running
    const pagesOf = async (options: { readonly handler?: string; readonly limit: number }): Promise<string[][]> => {
      const pages: string[][] = []
      for (;;) {
        const after = pages.at(-1)?.at(-1)
        const page = await deadLetters.list({ ...options, ...(after !== undefined && { after }) })
        if (page.length === 0) return pages
        pages.push(page.map(({ id }) => id))
      }
    }
    const all = (await deadLetters.list()).map(({ id }) => id)
    expect(new Set(all).size).toBe(46)
    expect((await pagesOf({ limit: 10 })).map(({ length }) => length)).toEqual([10, 10, 10, 10, 6])
    expect((await pagesOf({ limit: 10 })).flat()).toEqual(all)
    const two = await pagesOf({ handler: 'test.s.two', limit: 7 })
    expect(two.map(({ length }) => length)).toEqual([7, 7, 7, 2])
    expect(two.flat()).toEqual(all.slice(23))
    expect(await deadLetters.list({ handler: 'test.s.tw' })).toEqual([])

    const withUnknown = [all[0] as string, 'no such id', all[1] as string]
    const unknown = { code: 'DEAD_LETTER_UNKNOWN', message: expect.stringContaining('no such id') as string }
    await expect(deadLetters.discard(withUnknown)).rejects.toMatchObject(unknown)
    await expect(deadLetters.redrive(withUnknown)).rejects.toMatchObject(unknown)
    expect((await deadLetters.list()).map(({ id, requested }) => [id, requested])).toEqual(all.map((id) => [id, null]))
    expect(await deadLetters.discard([...all.slice(0, 2), all[0] as string])).toBe(2)
    expect(await deadLetters.discard({ handler: 'test.s.two' })).toBe(23)
    expect((await deadLetters.list()).map(({ id }) => id)).toEqual(all.slice(2, 23))
  })

  it('let later messages of the key go on, if so wanted', async () => {
    await using engine = await memoryEngine()
    const bad = new Set([3, 5])
    await using running = await startHandlers([failing(bad, 'continue')], { engine })
    await running.publish(ten.map((n) => Placed({ id: 'a', n })))
    await running.idle()
    expect((await numbersByKey(engine, 'payments'))['a']).toEqual([0, 1, 2, 4, 6, 7, 8, 9])
    bad.clear()
    expect(await running.deadLetters.redrive('all')).toBe(2)
    await running.idle()
    expect((await numbersByKey(engine, 'payments'))['a']).toEqual([0, 1, 2, 4, 6, 7, 8, 9, 3, 5])
    expect(await running.deadLetters.count()).toBe(0)
    expect((await engine.state.get('state:test.s.Placed', 'a'))?.value).toBe(10)
  })

  it('hold later messages of the key back, in order, until they are redriven', async () => {
    await using engine = await memoryEngine()
    const bad = new Set([3, 6])
    await using running = await startHandlers([failing(bad, 'park-key')], { engine })
    await running.publish(ten.flatMap((n) => [Placed({ id: 'a', n }), Placed({ id: 'b', n: n + 100 })]))
    await running.idle()
    expect(await numbersByKey(engine, 'payments')).toEqual({ a: [0, 1, 2], b: ten.map((n) => n + 100) })
    expect(await running.deadLetters.count()).toBe(1)
    // Redriven while it still fails: it stays, and so does what waits behind it.
    await running.deadLetters.redrive('all')
    await running.idle()
    expect((await running.deadLetters.list()).map((letter) => [letter.offset, letter.attempts])).toHaveLength(1)
    expect((await running.deadLetters.list())[0]?.attempts).toBe(2)
    // Then it works, but number 6 behind it does not: 7 to 9 wait behind that one.
    bad.delete(3)
    await running.deadLetters.redrive('all')
    await running.idle()
    expect((await numbersByKey(engine, 'payments'))['a']).toEqual([0, 1, 2, 3, 4, 5])
    await running.publish(Placed({ id: 'a', n: 10 }))
    await running.idle()
    bad.clear()
    await running.deadLetters.redrive({ handler: 'test.s.Placed' })
    await running.idle()
    expect((await numbersByKey(engine, 'payments'))['a']).toEqual([...ten, 10])
    await running.publish(Placed({ id: 'a', n: 11 }))
    await running.idle()
    expect((await numbersByKey(engine, 'payments'))['a']).toEqual([...ten, 10, 11])
    expect((await engine.state.get('state:test.s.Placed', 'a'))?.value).toBe(12)
    expect(await engine.state.count('parked:test.s.Placed')).toBe(0)
    expect(await engine.state.count('parked-keys:test.s.Placed')).toBe(0)
  })

  it('that are discarded let go of what waits behind them', async () => {
    await using engine = await memoryEngine()
    await using running = await startHandlers([failing(new Set([3]), 'park-key')], { engine })
    await running.publish(ten.map((n) => Placed({ id: 'a', n })))
    await running.idle()
    const [letter] = await running.deadLetters.list()
    expect(await running.deadLetters.discard([letter?.id ?? ''])).toBe(1)
    await running.idle()
    expect((await numbersByKey(engine, 'payments'))['a']).toEqual([0, 1, 2, 4, 5, 6, 7, 8, 9])
    expect(await running.deadLetters.count()).toBe(0)
  })

  it('are redriven by the handler that failed, and by no other', async () => {
    await using engine = await memoryEngine()
    const bad = new Set([3])
    let others = 0
    const other = on(Placed, { name: 'other' }, () => {
      others++
    })
    await using running = await startHandlers([failing(bad, 'continue'), other], { engine })
    await running.publish(ten.map((n) => Placed({ id: 'a', n })))
    await running.idle()
    bad.clear()
    await running.deadLetters.redrive('all')
    await running.idle()
    expect(others).toBe(10)
    expect(await messagesOf(engine, 'payments')).toHaveLength(10)
  })

  it('have their effects once, however often they are redriven at the same time', async () => {
    await using engine = await memoryEngine()
    const bad = new Set(ten)
    await using running = await startHandlers([failing(bad, 'continue')], { engine })
    await using second = await startHandlers([failing(bad, 'continue')], { engine })
    await running.publish(ten.map((n) => Placed({ id: `k${n}`, n })))
    await running.idle()
    expect(await running.deadLetters.count()).toBe(10)
    bad.clear()
    const asked = [running, second, running].map((one) => one.deadLetters.redrive('all'))
    await Promise.all(asked)
    await running.idle()
    await second.idle()
    expect(await running.deadLetters.count()).toBe(0)
    expect((await messagesOf(engine, 'payments')).map((message) => message.data.n).toSorted((a, b) => a - b)).toEqual(
      ten,
    )
  })

  it('have no effects if they are discarded while they are being redriven', async () => {
    await using engine = await memoryEngine()
    let isBad = true
    const began = gate()
    const go = gate()
    const handler = on(Placed, { retry: none }, async (message) => {
      if (isBad) throw new Error('bad')
      began.open()
      await go.opened
      return publish(Paid(message.data))
    })
    await using running = await startHandlers([handler], { engine })
    await running.publish(Placed({ id: 'a', n: 1 }))
    await running.idle()
    isBad = false
    await running.deadLetters.redrive('all')
    await began.opened
    expect(await running.deadLetters.discard('all')).toBe(1)
    go.open()
    await running.idle()
    expect(await engine.topics.describe('payments')).toMatchObject({ partitions: { length: 4 } })
    expect(await messagesOf(engine, 'payments')).toEqual([])
    expect(await running.deadLetters.count()).toBe(0)
  })

  it('survive a restart, and so do requests that were made while the app was stopped', async () => {
    using folder = temporaryFolder()
    const path = folder.path('app.db')
    {
      await using running = await startHandlers([failing(new Set([3]), 'park-key')], { engine: embedded({ path }) })
      await running.publish(ten.map((n) => Placed({ id: 'a', n })))
      await running.idle()
    }
    {
      await using engine = await embedded({ path }).open()
      const deadLetters = deadLettersOf(engine, 'test')
      expect(await deadLetters.redrive('all')).toBe(1)
      expect((await deadLetters.list())[0]?.requested).toBe('redrive')
    }
    await using engine = await embedded({ path }).open()
    await using running = await startHandlers([failing(new Set(), 'park-key')], { engine })
    await running.idle()
    expect((await numbersByKey(engine, 'payments'))['a']).toEqual(ten)
    expect(await running.deadLetters.count()).toBe(0)
  })

  it('are made of timers too', async () => {
    const clock = new VirtualClock()
    await using engine = await memoryEngine({ clock })
    let isBad = true
    const handler = on(
      Placed,
      {
        retry: fixed({ delay: 10, max: 2 }),
        state: { initial: 0 },
        timers: {
          late: (timer, state) => {
            if (isBad) throw new Error('no')
            return [set(state + 1), publish(Paid({ id: timer.key, n: timer.data as number }))]
          },
        },
      },
      (message) => schedule('late', { after: '1m' }, message.data.n),
    )
    await using running = await startHandlers([handler], { engine, clock })
    await running.publish(Placed({ id: 'a', n: 7 }))
    await running.idle()
    while ((await running.deadLetters.count()) === 0) await clock.advance('5s')
    const [letter] = await running.deadLetters.list()
    expect(letter).toMatchObject({ reason: 'timer', offset: -1, key: 'a', attempts: 2 })
    isBad = false
    await running.deadLetters.redrive('all')
    await running.idle()
    expect((await numbersByKey(engine, 'payments'))['a']).toEqual([7])
    expect(await engine.timers.list()).toEqual([])
  })
})
