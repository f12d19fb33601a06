import { describe, expect, it } from 'vitest'
import { z } from 'zod'
import { event } from '../message/index.ts'
import { fixed, none, on, publish, schedule } from '../runtime/index.ts'
import { memoryEngine, messagesOf, numbersByKey, Paid, Placed, startHandlers } from './app.test-support.ts'
import { app, service } from './index.ts'

const Big = event('Big', {
  topic: 'big',
  data: z.object({ id: z.string(), n: z.number(), text: z.string() }),
  key: (d) => d.id,
})

/** Fails for all, until it is told not to. */
function failing(): { fails: boolean; readonly handler: ReturnType<typeof on> } {
  const switched = {
    fails: true,
    handler: on(Big, { retry: none, onDeadLetter: 'park-key' }, ({ data }) => {
      if (switched.fails) throw new Error('bad')
      return publish(Paid({ id: data.id, n: data.n }))
    }),
  }
  return switched
}

describe('a dead letter', () => {
  it('whose message fills a record refers to it, and so does what waits behind it, until the topic lets go of it', async () => {
    await using engine = await memoryEngine()
    await engine.topics.create('big', { partitions: 1, recordBytesMax: 64 * 1024 * 1024 })
    const switched = failing()
    await using running = await startHandlers([switched.handler], { engine })
    // As records they fit; with what a dead letter adds, they would not.
    const text = 'x'.repeat(64 * 1024 * 1024 - 2000)
    for (let n = 0; n < 3; n++) await running.publish(Big({ id: 'a', n, text }))
    await running.publish(Big({ id: 'b', n: 3, text: 'short' }))
    await running.idle()
    const letters = await running.deadLetters.list()
    expect(letters).toMatchObject([
      { offset: 0, key: 'a', parksKey: true, reason: 'failed', original: { kind: 'omitted' } },
      { offset: 3, key: 'b', original: { kind: 'message' } },
    ])
    const original = letters[0]?.original as { readonly characterCount: number }
    expect(original.characterCount).toBeGreaterThan(text.length)
    expect((await messagesOf(engine, 'test.dead-letters')).map(({ data }) => data)).toEqual(letters)
    expect(await engine.state.count('parked:test.s.Big')).toBe(2)

    // Redriven while it still fails, it stays what it is.
    await running.deadLetters.redrive(letters[0]?.id ?? '')
    await running.idle()
    expect(await running.deadLetters.list({ limit: 1 })).toMatchObject([{ attempts: 2, original: { kind: 'omitted' } }])
    // Of what waits, one is still there when its turn comes, the other is not.
    switched.fails = false
    await engine.topics.truncate('big', 0, 1)
    await running.deadLetters.redrive('all')
    await running.idle()
    expect(await numbersByKey(engine, 'payments')).toEqual({ b: [3] })
    expect(await running.deadLetters.list()).toMatchObject([{ offset: 0, error: { code: 'RECORD_GONE' } }])
    await running.deadLetters.discard('all')
    await running.idle()
    expect(await numbersByKey(engine, 'payments')).toEqual({ a: [1, 2], b: [3] })
    expect(await running.deadLetters.count()).toBe(0)
  }, 60_000)

  it('that waited as a reference to what is gone is one itself, and those behind it wait', async () => {
    await using engine = await memoryEngine()
    await engine.topics.create('big', { partitions: 1, recordBytesMax: 64 * 1024 * 1024 })
    const switched = failing()
    await using running = await startHandlers([switched.handler], { engine })
    await running.publish(Big({ id: 'a', n: 0, text: 'short' }))
    await running.publish(Big({ id: 'a', n: 1, text: 'x'.repeat(8 * 1024 * 1024) }))
    await running.publish(Big({ id: 'a', n: 2, text: 'short' }))
    await running.idle()
    switched.fails = false
    await engine.topics.truncate('big', 0, 3)
    await running.deadLetters.redrive('all')
    await running.idle()
    expect(await numbersByKey(engine, 'payments')).toEqual({ a: [0] })
    expect(await running.deadLetters.list()).toMatchObject([
      { offset: 1, key: 'a', reason: 'unreadable', parksKey: true, error: { code: 'RECORD_GONE' } },
    ])
    await running.deadLetters.discard('all')
    await running.idle()
    expect(await numbersByKey(engine, 'payments')).toEqual({ a: [0, 2] })
    expect(await engine.state.count('parked-keys:test.s.Big')).toBe(0)
  }, 60_000)

  it.each([
    ['without the message', 20_000, { original: { kind: 'omitted' }, error: { message: 'm'.repeat(1500) } }],
    ['with the error in short', 8_000, { error: { message: 'm'.repeat(1024), stack: null } }],
    ['not at all', 1_024, undefined],
  ])('is told of %s where its topic takes less, and is there all the same', async (_how, recordBytesMax, told) => {
    await using engine = await memoryEngine()
    await engine.topics.create('test.dead-letters', { partitions: 1, recordBytesMax })
    const handler = on(Big, { retry: none }, () => {
      const error = new Error('m'.repeat(1500))
      error.stack = 's'.repeat(10_000)
      throw error
    })
    await using running = await startHandlers([handler], { engine })
    const message = Big({ id: 'a', n: 1, text: 'x'.repeat(100_000) })
    await running.publish(message)
    await running.idle()
    expect(await running.deadLetters.list()).toMatchObject([
      { original: { kind: 'message', message }, error: { stack: 's'.repeat(10_000) } },
    ])
    const events = await messagesOf(engine, 'test.dead-letters')
    expect(events).toMatchObject(told === undefined ? [] : [{ causationid: message.id, data: told }])
  })

  it('is written although its topic was altered or deleted since the app was started', async () => {
    await using engine = await memoryEngine()
    const switched = failing()
    await using running = await startHandlers([switched.handler], { engine })
    await engine.topics.alter('test.dead-letters', { recordBytesMax: 8_000 })
    await running.publish(Big({ id: 'a', n: 1, text: 'x'.repeat(100_000) }))
    await running.idle()
    expect((await messagesOf(engine, 'test.dead-letters')).map(({ data }) => data)).toMatchObject([
      { offset: 0, original: { kind: 'omitted' } },
    ])
    await engine.topics.delete('test.dead-letters')
    await running.publish(Big({ id: 'b', n: 1, text: 'x'.repeat(100_000) }))
    await running.idle()
    expect((await messagesOf(engine, 'test.dead-letters')).map(({ data }) => data)).toMatchObject([
      { key: 'b', original: { kind: 'message' } },
    ])
    expect(await running.deadLetters.count()).toBe(2)
  })

  it('bounds what a foreign message may bring: keys, ids, codes', async () => {
    await using engine = await memoryEngine()
    await engine.topics.create('test.dead-letters', { partitions: 1, recordBytesMax: 30_000 })
    const handler = on(Placed, { retry: none }, () => {
      throw Object.assign(new Error('bad'), { code: 'C'.repeat(100_000) })
    })
    await using running = await startHandlers([handler], { engine })
    const long = 'k'.repeat(50_000)
    await running.publish({ ...Placed({ id: 'a', n: 1 }), id: long, partitionkey: long, correlationid: long })
    await running.idle()
    const [letter] = await running.deadLetters.list()
    expect(letter).toMatchObject({ key: null, original: { message: { partitionkey: long } } })
    expect(letter?.error.code).toHaveLength(16_385)
    const [told] = await messagesOf(engine, 'test.dead-letters')
    expect(told).toMatchObject({ data: { id: letter?.id, original: { kind: 'omitted' } } })
    expect(told?.correlationid).toBeUndefined()
  })
})

describe('a timer', () => {
  it('that would carry more than a dead letter can keep is refused with its message', async () => {
    await using engine = await memoryEngine()
    const options = { retry: none, timers: { late: () => undefined } }
    const handler = on(Placed, options, (message) => schedule('late', { after: '1h' }, 'x'.repeat(message.data.n)))
    await using running = await startHandlers([handler], { engine })
    await running.publish([Placed({ id: 'a', n: 1_048_000 }), Placed({ id: 'b', n: 1_048_576 })])
    await running.idle()
    expect((await engine.timers.list()).map(({ payload }) => (payload as { key: string }).key)).toEqual(['a'])
    expect(await running.deadLetters.list()).toMatchObject([{ key: 'b', error: { code: 'EFFECT_INVALID' } }])
  })

  it('under a key with control characters and slashes becomes a dead letter that can be redriven', async () => {
    await using engine = await memoryEngine()
    let isBad = true
    const options = {
      key: () => 'a\nb/c%\u0085',
      retry: fixed({ delay: 1, max: 1 }),
      timers: {
        soon: () => {
          if (isBad) throw new Error('bad')
          return publish(Paid({ id: 'p', n: 1 }))
        },
      },
    }
    const handler = on(Placed, options, () => schedule('soon', { after: '1ms' }))
    await using running = await startHandlers([handler], { engine })
    await running.publish(Placed({ id: 'a', n: 1 }))
    while ((await running.deadLetters.count()) === 0) await new Promise((resolve) => setTimeout(resolve, 5))
    const [letter] = await running.deadLetters.list()
    expect(letter?.id).toContain('/timer/soon%2Fa%0Ab%2Fc%25%85/')
    expect(await messagesOf(engine, 'test.dead-letters')).toHaveLength(1)
    isBad = false
    await running.deadLetters.redrive('all')
    await running.idle()
    expect(await messagesOf(engine, 'payments')).toHaveLength(1)
    expect(await running.deadLetters.count()).toBe(0)
  })

  it('of a handler, a topic and a key with the longest names becomes one that can be redriven', async () => {
    await using engine = await memoryEngine()
    let isBad = true
    let isTimerBad = true
    const topic = 't'.repeat(249)
    const Long = event('Long', { topic, data: z.object({ n: z.number() }), key: () => 'k'.repeat(700) })
    const options = {
      name: 'n'.repeat(255),
      onDeadLetter: 'park-key',
      state: { initial: 0 },
      retry: none,
      timers: {
        soon: () => {
          if (isTimerBad) throw new Error('bad timer')
        },
      },
    } as const
    const handler = on(Long, options, ({ data }) => {
      if (isBad) throw new Error('bad message')
      return data.n === 1 ? schedule('soon', { after: 1 }) : []
    })
    const long = app('a'.repeat(100), { services: [service('s'.repeat(100), [handler])] })
    await using running = await long.start({ engine })
    await running.publish([Long({ n: 0 }), Long({ n: 1 })])
    await running.idle()
    expect(await running.deadLetters.list()).toMatchObject([{ reason: 'failed', parksKey: true }])
    isBad = false
    await running.deadLetters.redrive('all')
    await running.idle()
    while ((await running.deadLetters.list()).every(({ reason }) => reason !== 'timer')) {
      await new Promise((resolve) => setTimeout(resolve, 5))
    }
    isTimerBad = false
    await running.deadLetters.redrive('all')
    await running.idle()
    expect(await running.deadLetters.count()).toBe(0)
  })
})
