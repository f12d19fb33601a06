import type { StandardSchemaV1 } from '@standard-schema/spec'
import { describe, expect, it } from 'vitest'
import { z } from 'zod'
import { event, type Message } from '../message/index.ts'
import { append, byError, exponential, fixed, none, on, publish, send, set } from '../runtime/index.ts'
import { channels, type RewoundReport } from '../telemetry/index.ts'
import { memoryEngine, messagesOf, numbersByKey, Paid, Placed, Shipped, startHandlers } from './app.test-support.ts'

const Blob = event('Blob', { topic: 'blobs', data: z.object({ text: z.string() }) })

/** Runs a handler over 30 messages of which number 13 does something wrong; answers what came of it. */
async function poisoned(
  wrong: (message: Message) => unknown,
): Promise<{ readonly code: string | null; readonly name: string }> {
  await using engine = await memoryEngine()
  await engine.topics.ensure('blobs', { recordBytesMax: 1024 })
  const handler = on(Placed, { retry: none, state: { initial: 0 } }, (message, state) =>
    message.data.n === 13
      ? (wrong(message) as never)
      : [set(state + 1), publish(Paid({ id: message.data.id, n: message.data.n }))],
  )
  await using running = await startHandlers([handler], { engine })
  await running.publish(Array.from({ length: 30 }, (_, n) => Placed({ id: `k${n % 3}`, n })))
  await running.idle()
  const byKey = await numbersByKey(engine, 'payments')
  expect(
    Object.values(byKey)
      .flat()
      .toSorted((a, b) => a - b),
  ).toEqual(Array.from({ length: 30 }, (_, n) => n).filter((n) => n !== 13))
  for (const numbers of Object.values(byKey)) expect(numbers).toEqual(numbers.toSorted((a, b) => a - b))
  expect((await engine.state.get('state:test.s.Placed', 'k1'))?.value).toBe(9)
  const letters = await running.deadLetters.list()
  expect(letters).toHaveLength(1)
  expect(letters[0]).toMatchObject({
    handler: 'test.s.Placed',
    topic: 'orders',
    key: 'k1',
    attempts: 1,
    reason: 'failed',
  })
  expect(await messagesOf(engine, 'test.dead-letters')).toHaveLength(1)
  const { error } = letters[0] as (typeof letters)[number]
  return { code: error.code, name: error.name }
}

describe('an error that cannot be shown', () => {
  class Lazy extends Error {
    get code(): string {
      throw new RangeError('detail not loaded')
    }
  }

  class Formless extends Error {
    override get stack(): string {
      throw new RangeError('formatter broke')
    }

    override get message(): string {
      throw new RangeError('no words')
    }
  }

  it.each([new Lazy('slow'), new Formless()])('fails its message alone', async (error) => {
    const { code } = await poisoned(() => {
      throw error
    })
    expect(code).toBeNull()
  })
})

describe('the schema of a state', () => {
  it('fails the message whose state it refuses, and says what is kept of the others', async () => {
    await using engine = await memoryEngine()
    const small = z.object({ count: z.int().max(2), label: z.string().trim() })
    const state = { initial: { count: 0, label: '' }, schema: small }
    const handler = on(Placed, { name: 'counted', retry: none, state }, (_message, { count }) =>
      set({ count: count + 1, label: `  ${count + 1} ` }),
    )
    await using running = await startHandlers([handler], { engine })
    await running.publish(
      [1, 2, 3].flatMap((n) => [Placed({ id: 'a', n }), ...(n < 3 ? [Placed({ id: 'b', n })] : [])]),
    )
    await running.idle()
    const stateOf = async (key: string): Promise<unknown> =>
      (await engine.state.get('state:test.s.counted', key))?.value
    expect([await stateOf('a'), await stateOf('b')]).toEqual(Array(2).fill({ count: 2, label: '2' }))
    expect((await running.deadLetters.list()).map(({ key, error }) => [key, error.code])).toEqual([
      ['a', 'STATE_INVALID'],
    ])
  })

  it.each([
    ['asynchronously', async (value: unknown) => ({ value })],
    ['asynchronously, and fails later', () => Promise.reject(new RangeError('later'))],
  ])('fails a message when it validates %s', async (_what, validate) => {
    await using engine = await memoryEngine()
    const schema: StandardSchemaV1<unknown, number> = {
      '~standard': { version: 1, vendor: 'test', validate: validate as () => Promise<{ readonly value: number }> },
    }
    const handler = on(Placed, { name: 'counted', retry: none, state: { initial: 0, schema } }, (_message, n) =>
      set(n + 1),
    )
    await using running = await startHandlers([handler], { engine })
    await running.publish(Placed({ id: 'a', n: 1 }))
    await running.idle()
    const [letter] = await running.deadLetters.list()
    expect(letter?.error).toMatchObject({
      code: 'SCHEMA_ASYNC',
      message: expect.stringContaining('the state of handler test.'),
    })
    expect(await engine.state.get('state:test.s.counted', 'a')).toBeUndefined()
  })
})

describe('one bad message never fails its neighbours', () => {
  it('that throws', async () => {
    const error = await poisoned(() => {
      throw new RangeError('no')
    })
    expect(error).toEqual({ code: null, name: 'RangeError' })
  })

  it('that throws what is no error', async () => {
    const error = await poisoned(() => {
      throw Object.create(null)
    })
    expect(error.code).toBe(null)
  })

  it('that rejects', async () => {
    expect(await poisoned(() => Promise.reject(new TypeError('later')))).toEqual({ code: null, name: 'TypeError' })
  })

  it('that returns no effect', async () => {
    expect((await poisoned(() => ({ kind: 'explode' }))).code).toBe('EFFECT_INVALID')
    expect((await poisoned(() => [set(1), 7])).code).toBe('EFFECT_INVALID')
    expect((await poisoned(() => publish({ type: 'x' } as never))).code).toBe('EFFECT_INVALID')
  })

  it('that sets a state which is no JSON', async () => {
    const cyclic: { self?: unknown } = {}
    cyclic.self = cyclic
    expect((await poisoned(() => set(cyclic))).code).toBe('JSON_INVALID')
    expect((await poisoned(() => set(10n))).code).toBe('JSON_INVALID')
  })

  it('that publishes to a topic or partition that is not there', async () => {
    expect((await poisoned((message) => publish(message, { topic: 'nowhere' }))).code).toBe('TOPIC_UNKNOWN')
    expect((await poisoned((message) => publish(message, { topic: 'orders', partition: 99 }))).code).toBe(
      'PARTITION_UNKNOWN',
    )
  })

  it('that publishes a record which is too large', async () => {
    expect((await poisoned(() => [set(99), publish(Blob({ text: 'x'.repeat(5000) }))])).code).toBe('RECORD_TOO_LARGE')
  })

  it('that publishes a hand-made message which no engine can write', async () => {
    const error = await poisoned((message) => publish({ ...message, data: { n: 10n } }))
    expect(error.code ?? error.name).toMatch(/JSON_INVALID|ARGUMENT_INVALID|TypeError/)
  })

  it.each<[string, (message: never) => unknown]>([
    ['that appends no events', () => append('s', [])],
    ['that publishes to a partition that cannot be', (message) => publish(message, { partition: 1.5 })],
    ['that sends to nobody', (message) => send(message)],
  ])('%s', async (_, effects) => {
    expect((await poisoned(effects as never)).code).toBe('EFFECT_INVALID')
  })

  it('that appends to a stream without a name', async () => {
    expect((await poisoned((message) => append('', message))).code).toBe('EFFECT_INVALID')
  })
})

describe('a refused commit', () => {
  it.each([
    ['found before it is written', 'RECORD_TOO_LARGE', publish(Blob({ text: 'x'.repeat(5000) }))],
    ['found by the writer', 'APPEND_CONFLICT', append('gone', Shipped({ id: 'a', n: 0 }))],
  ])('takes those in flight behind it back, so that the order of each key holds: %s', async (_case, code, effect) => {
    await using engine = await memoryEngine()
    await engine.topics.ensure('blobs', { recordBytesMax: 1024 })
    await engine.topics.ensure('orders', { partitions: 2 })
    await engine.commit({ append: [{ stream: 'gone', events: [{ message: Shipped({ id: 'a', n: 0 }) }] }] })
    await engine.events.deleteStream('gone', { tombstone: true })
    const count = 20_000
    const isBad = (n: number): boolean => n % 4999 === 2500
    const handler = on(Placed, { retry: none }, (message) =>
      isBad(message.data.n) ? effect : publish(Paid(message.data)),
    )
    const messages = Array.from({ length: count }, (_, n) => Placed({ id: `k${n % 50}`, n }))
    await engine.commit({ publish: [{ topic: 'orders', messages }] })
    const rewinds: string[] = []
    const note = (report: RewoundReport): void => void rewinds.push(report.reason)
    channels.rewound.subscribe(note)
    await using running = await startHandlers([handler], { engine })
    await running.idle()
    channels.rewound.unsubscribe(note)
    expect(rewinds.length).toBeGreaterThan(0)
    const byKey = await numbersByKey(engine, 'payments')
    const expected = messages.map((message) => message.data).filter(({ n }) => !isBad(n))
    expect(Object.values(byKey).flat()).toHaveLength(expected.length)
    for (const [key, numbers] of Object.entries(byKey)) {
      expect(numbers).toEqual(expected.filter(({ id }) => id === key).map(({ n }) => n))
    }
    expect((await running.deadLetters.list()).map((letter) => letter.error.code)).toEqual(
      Array.from({ length: 4 }, () => code),
    )
  })
})

describe('retries', () => {
  it('hold back only their own key', async () => {
    await using engine = await memoryEngine()
    let isOpen = false
    let attempts = 0
    const handler = on(Placed, { retry: fixed({ delay: '5ms', max: 1000 }) }, async (message, ctx) => {
      if (message.data.id === 'bad' && message.data.n === 0) {
        attempts = ctx.attempt
        if (!isOpen) throw new Error('not yet')
      }
      return publish(Paid(message.data))
    })
    await using running = await startHandlers([handler], { engine })
    const messages = Array.from({ length: 50 }, (_, n) => Placed({ id: n % 2 === 0 ? 'bad' : `k${n}`, n }))
    await running.publish(messages)
    while ((await messagesOf(engine, 'payments')).length < 25) await new Promise((resolve) => setImmediate(resolve))
    expect((await numbersByKey(engine, 'payments'))['bad']).toBeUndefined()
    isOpen = true
    await running.idle()
    expect((await numbersByKey(engine, 'payments'))['bad']).toEqual(Array.from({ length: 25 }, (_, n) => n * 2))
    expect(attempts).toBeGreaterThan(1)
    expect(await running.deadLetters.count()).toBe(0)
  })

  it('stop after the attempts of their policy, which may differ by error', async () => {
    await using engine = await memoryEngine()
    const attempts: Record<string, number> = {}
    const handler = on(
      Placed,
      { retry: byError([{ on: [TypeError], use: none }], exponential({ initial: 1, max: 4 })) },
      (message, ctx) => {
        attempts[message.data.id] = ctx.attempt
        throw message.data.id === 'type' ? new TypeError('never') : new Error('again')
      },
    )
    await using running = await startHandlers([handler], { engine })
    await running.publish([Placed({ id: 'type', n: 1 }), Placed({ id: 'other', n: 2 })])
    await running.idle()
    expect(attempts).toEqual({ type: 1, other: 4 })
    expect((await running.deadLetters.list()).map((letter) => letter.attempts).toSorted((a, b) => a - b)).toEqual([
      1, 4,
    ])
  })

  it('see the same idempotency key each time', async () => {
    await using engine = await memoryEngine()
    const keys: string[] = []
    const handler = on(Placed, { retry: fixed({ delay: 1, max: 3 }) }, (_message, { key, attempt }) => {
      keys.push(key)
      if (attempt < 3) throw new Error('again')
    })
    await using running = await startHandlers([handler], { engine })
    await running.publish(Placed({ id: 'a', n: 1 }))
    await running.idle()
    expect(keys).toHaveLength(3)
    expect(new Set(keys).size).toBe(1)
  })

  it('follow an attempt that takes too long, whose signal aborts', async () => {
    await using engine = await memoryEngine()
    let aborted: unknown
    const handler = on(Placed, { timeout: '20ms', retry: fixed({ delay: 1, max: 2 }) }, async (message, ctx) => {
      if (ctx.attempt > 1) return publish(Paid(message.data))
      await new Promise<void>((resolve) => ctx.signal.addEventListener('abort', () => resolve()))
      aborted = ctx.signal.reason
      return publish(Shipped(message.data))
    })
    await using running = await startHandlers([handler], { engine })
    await running.publish(Placed({ id: 'a', n: 1 }))
    await running.idle()
    expect(aborted).toMatchObject({ code: 'HANDLER_TIMEOUT' })
    expect(await messagesOf(engine, 'payments')).toHaveLength(1)
    expect(await engine.topics.describe('shipments')).toBeUndefined()
  })
})

describe('records that no handler can get', () => {
  it('become dead letters, and the rest goes on', async () => {
    await using engine = await memoryEngine()
    await engine.topics.ensure('orders', { partitions: 1 })
    const newer = { ...Placed({ id: 'a', n: 2 }), dataversion: 7 }
    await engine.commit({
      publish: [
        { topic: 'orders', messages: [Placed({ id: 'a', n: 1 })] },
        { topic: 'orders', records: [{ key: 'a', value: 'this is no message' }] },
        { topic: 'orders', messages: [newer, Placed({ id: 'a', n: 3 })] },
      ],
    })
    const handler = on(Placed, (message) => publish(Paid(message.data)))
    await using running = await startHandlers([handler], { engine })
    await running.idle()
    expect((await numbersByKey(engine, 'payments'))['a']).toEqual([1, 3])
    const letters = await running.deadLetters.list()
    expect(letters.map((letter) => [letter.offset, letter.reason, letter.error.code])).toEqual([
      [1, 'undecodable', 'MESSAGE_UNDECODABLE'],
      [2, 'unreadable', 'VERSION_UNKNOWN'],
    ])
  })

  it('are those without a key where state is kept by key', async () => {
    await using engine = await memoryEngine()
    const handler = on(Blob, { state: { initial: 0 } }, (_message, state) => set(state + 1))
    await using running = await startHandlers([handler], { engine })
    await running.publish(Blob({ text: 'x' }))
    await running.idle()
    expect((await running.deadLetters.list()).map((letter) => letter.error.code)).toEqual(['KEY_MISSING'])
  })
})

describe('conflicts', () => {
  it('of an append make only its own message run again', async () => {
    await using engine = await memoryEngine()
    let runs = 0
    const handler = on(Placed, async (message) => {
      runs++
      const description = await engine.events.describeStream('ledger')
      const version = description?.version ?? 0
      // All of them run at once and expect the same version: one wins, the others look again.
      return append('ledger', Paid(message.data), { expected: version === 0 ? 'none' : version })
    })
    await using running = await startHandlers([handler], { engine })
    await running.publish(Array.from({ length: 8 }, (_, n) => Placed({ id: `k${n}`, n })))
    await running.idle()
    const stored: number[] = []
    for await (const { message } of engine.events.readStream('ledger')) stored.push((message.data as { n: number }).n)
    expect(stored.toSorted((a, b) => a - b)).toEqual([0, 1, 2, 3, 4, 5, 6, 7])
    expect(runs).toBeGreaterThan(8)
    expect(await running.deadLetters.count()).toBe(0)
  })

  it('are no danger to the order of a key whose other messages expect nothing', async () => {
    await using engine = await memoryEngine()
    await engine.topics.ensure('orders', { partitions: 2 })
    const handler = on(Placed, { state: { initial: 0 } }, (message, state) => [
      set(state + 1),
      publish(Paid({ id: message.data.id, n: state })),
      message.data.n % 3 === 0 && append(`stream-${message.data.n}`, Paid(message.data), { expected: 'none' }),
    ])
    const messages = Array.from({ length: 3000 }, (_, n) => Placed({ id: `k${n % 7}`, n }))
    await engine.commit({ publish: [{ topic: 'orders', messages }] })
    const rewinds: string[] = []
    const note = (report: RewoundReport): void => void rewinds.push(report.reason)
    channels.rewound.subscribe(note)
    await using running = await startHandlers([handler], { engine })
    await running.idle()
    channels.rewound.unsubscribe(note)
    const byKey = await numbersByKey(engine, 'payments')
    expect(Object.values(byKey).flat()).toHaveLength(3000)
    for (const numbers of Object.values(byKey)) expect(numbers).toEqual(numbers.map((_, index) => index))
    // Each waits for what its key has under way, so nothing has to be taken back.
    expect(rewinds).toEqual([])
  })

  it('that never end make a dead letter', async () => {
    await using engine = await memoryEngine()
    const handler = on(Placed, { retry: none }, (message) =>
      message.data.n === 0 ? append('s', Paid(message.data), { expected: 5 }) : publish(Paid(message.data)),
    )
    await using running = await startHandlers([handler], { engine })
    await running.publish(Array.from({ length: 5 }, (_, n) => Placed({ id: 'a', n })))
    await running.idle()
    expect((await numbersByKey(engine, 'payments'))['a']).toEqual([1, 2, 3, 4])
    expect((await running.deadLetters.list()).map((letter) => letter.error.code)).toEqual(['APPEND_CONFLICT'])
  })
})
