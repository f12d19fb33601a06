import { describe, expect, it } from 'vitest'
import { z } from 'zod'
import { sleep, systemClock } from '../kernel/index.ts'
import { event, upcastFrom } from '../message/index.ts'
import { none, on, ParkedKeysFullError, publish, set } from '../runtime/index.ts'
import { channels, type WaitingReport } from '../telemetry/index.ts'
import {
  engineWith,
  memoryEngine,
  messagesOf,
  numbersByKey,
  Paid,
  Placed,
  Shipped,
  startHandlers,
} from './app.test-support.ts'

describe('a message that waits behind a dead letter of another topic', () => {
  it('becomes a dead letter of its own place, beside those of the other topic', async () => {
    await using engine = await memoryEngine()
    await engine.topics.ensure('orders', { partitions: 1 })
    await engine.topics.ensure('payments', { partitions: 1 })
    let badTypes = ['Placed', 'Paid']
    const places: string[] = []
    const options = { name: 'h', retry: none, onDeadLetter: 'park-key' } as const
    const handler = on([Placed, Paid], { ...options, state: { initial: 0 } }, (message, state, ctx) => {
      places.push(`${message.data.id}: ${ctx.topic}/${ctx.partition}/${ctx.offset}`)
      if (badTypes.includes(message.type)) throw new Error(`${message.type} ${message.data.id}`)
      return set(state + 1)
    })
    await using running = await startHandlers([handler], { engine })
    const lettersNow = async (): Promise<readonly string[]> =>
      (await running.deadLetters.list()).map(({ topic, offset, error }) => `${topic}/${offset} ${error.message}`)
    await running.publish([Placed({ id: 'x', n: 0 }), Placed({ id: 'y', n: 0 }), Paid({ id: 'z', n: 0 })])
    await running.idle()
    // It has the offset in its topic that the letter of y has in the other.
    await running.publish(Paid({ id: 'x', n: 1 }))
    await running.idle()
    expect(await lettersNow()).toEqual(['orders/0 Placed x', 'orders/1 Placed y', 'payments/0 Paid z'])
    badTypes = ['Paid']
    const [ofX] = await running.deadLetters.list()
    await running.deadLetters.redrive(ofX?.id ?? '')
    await running.idle()
    expect(await lettersNow()).toEqual(['orders/1 Placed y', 'payments/1 Paid x', 'payments/0 Paid z'])
    expect(places.at(-1)).toBe('x: payments/0/1')
    badTypes = []
    await running.deadLetters.redrive('all')
    await running.idle()
    expect(await running.deadLetters.count()).toBe(0)
    expect(await engine.state.count('parked-keys:test.s.h')).toBe(0)
    expect((await engine.state.get('state:test.s.h', 'x'))?.value).toBe(2)
    expect(places.filter((place) => place === 'x: payments/0/1')).toHaveLength(2)
  })
})

describe('a message that comes again while its key is parked', () => {
  it('is handled once by a handler that tells repeated ones', async () => {
    await using engine = await memoryEngine()
    await engine.topics.ensure('orders', { partitions: 1 })
    let isBad = true
    const options = { name: 'h', retry: none, onDeadLetter: 'park-key', dedupe: { window: '1h' } } as const
    const handler = on(Placed, options, ({ data }) => {
      if (isBad) throw new Error('bad')
      return publish(Paid(data))
    })
    await using running = await startHandlers([handler], { engine })
    const messages = [0, 1, 2].map((n) => Placed({ id: 'x', n }))
    await running.publish(messages)
    await running.idle()
    await running.publish(messages)
    await running.idle()
    isBad = false
    await running.deadLetters.redrive('all')
    await running.idle()
    expect(await numbersByKey(engine, 'payments')).toEqual({ x: [0, 1, 2] })
    expect(await running.deadLetters.count()).toBe(0)
  })
})

describe('a key that two members parked, each on its partition', () => {
  it('loses nothing when one of them has both partitions', async () => {
    await using engine = await memoryEngine()
    await engine.topics.ensure('orders', { partitions: 2 })
    let isBad = true
    // Somebody else's producer places records as it likes: one key is on two partitions.
    const handler = on(Placed, { retry: none, onDeadLetter: 'park-key' }, (message) => {
      if (isBad) throw new Error('bad')
      return publish(Paid({ id: `p${message.data.n % 2}`, n: message.data.n }))
    })
    await using first = await startHandlers([handler], { engine })
    const second = await startHandlers([handler], { engine })
    const publishOne = async (n: number): Promise<void> => {
      await engine.commit({ publish: [{ topic: 'orders', partition: n % 2, messages: [Placed({ id: 'x', n })] }] })
    }
    for (let n = 0; n < 6; n++) await publishOne(n)
    await first.idle()
    await second.idle()
    expect(await first.deadLetters.count()).toBe(2)
    await second.stop()
    await first.idle()
    for (let n = 6; n < 8; n++) await publishOne(n)
    await first.idle()
    isBad = false
    const [ofFirst, ofSecond] = await first.deadLetters.list()
    await first.deadLetters.redrive(ofSecond?.id ?? '')
    await first.idle()
    expect(await numbersByKey(engine, 'payments')).toEqual({ p1: [1, 3, 5, 7] })
    await first.deadLetters.redrive(ofFirst?.id ?? '')
    await first.idle()
    expect(await numbersByKey(engine, 'payments')).toEqual({ p0: [0, 2, 4, 6], p1: [1, 3, 5, 7] })
    expect(await engine.state.count('parked-keys:test.s.Placed')).toBe(0)
    expect(await engine.state.count('parked:test.s.Placed')).toBe(0)
  })
})

describe('a key of the handler itself, with several members', () => {
  it('is parked wherever its messages come from, and goes on wherever it goes', async () => {
    await using engine = await memoryEngine()
    await engine.topics.ensure('orders', { partitions: 2 })
    let isBad = true
    const handler = on(Placed, { key: () => 'all', retry: none, onDeadLetter: 'park-key' }, (message) => {
      if (isBad) throw new Error('bad')
      return publish(Paid({ id: 'p', n: message.data.n }))
    })
    const members = [await startHandlers([handler], { engine }), await startHandlers([handler], { engine })]
    const publishOne = async (n: number): Promise<void> => {
      await engine.commit({ publish: [{ topic: 'orders', partition: n % 2, messages: [Placed({ id: 'x', n })] }] })
    }
    const idle = (): Promise<unknown> => Promise.all(members.map((member) => member.idle()))
    for (let n = 0; n < 6; n++) {
      await publishOne(n)
      await idle()
    }
    expect(await members[0]?.deadLetters.count()).toBe(1)
    isBad = false
    await members[0]?.deadLetters.redrive('all')
    await idle()
    await publishOne(6)
    await idle()
    expect(await numbersByKey(engine, 'payments')).toEqual({ p: [0, 1, 2, 3, 4, 5, 6] })
    await Promise.all(members.map((member) => member.stop()))
  })
})

describe('a key that is parked on one topic', () => {
  it('holds back its messages on the other from the first on after a restart, whichever is looked up first', async () => {
    await using engine = await memoryEngine()
    await engine.topics.ensure('orders', { partitions: 1 })
    await engine.topics.ensure('payments', { partitions: 1 })
    let isBad = true
    const handler = on([Placed, Paid], { name: 'h', retry: none, onDeadLetter: 'park-key' }, (message) => {
      if (isBad && message.type === 'Placed') throw new Error('bad')
      return publish(Shipped(message.data))
    })
    {
      await using running = await startHandlers([handler], { engine })
      await running.publish(Placed({ id: 'x', n: 0 }))
      await running.idle()
    }
    await engine.commit({
      publish: [{ topic: 'payments', messages: [Paid({ id: 'x', n: 1 }), Paid({ id: 'y', n: 2 })] }],
    })
    const slow = engineWith(engine, 'state', {
      range: async (namespace, range) => {
        if (range?.prefix === 'orders/0/') await new Promise((resolve) => setTimeout(resolve, 50))
        return engine.state.range(namespace, range)
      },
    })
    await using running = await startHandlers([handler], { engine: slow })
    await running.idle()
    expect(await numbersByKey(engine, 'shipments')).toEqual({ y: [2] })
    isBad = false
    await running.deadLetters.redrive('all')
    await running.idle()
    expect(await numbersByKey(engine, 'shipments')).toEqual({ x: [0, 1], y: [2] })
  })
})

describe('messages of old versions', () => {
  const First = event('Moved', { topic: 'moves', data: z.object({ id: z.string() }), key: (d) => d.id })
  /** Version 2 with an upcast that may be wrong, as that of a program which is corrected later. */
  const second = (upcast: (data: { id: string }) => { id: string; n: number }) =>
    event('Moved', {
      topic: 'moves',
      version: 2,
      data: z.object({ id: z.string(), n: z.number() }),
      key: (d) => d.id,
      upcast: upcastFrom(1, upcast),
    })

  it('are kept as they were read, so that a corrected upcast gets its chance', async () => {
    await using engine = await memoryEngine()
    const options = { name: 'h', retry: none, onDeadLetter: 'park-key' } as const
    const wrong = on(
      second((d) => ({ id: d.id, n: -1 })),
      options,
      (message) => {
        if (message.data.n < 0) throw new RangeError('negative')
      },
    )
    const right = on(
      second((d) => ({ id: d.id, n: 1 })),
      options,
      (message) => publish(Paid(message.data)),
    )
    const first = First({ id: 'a' })
    {
      await using running = await startHandlers([wrong], { engine })
      // The first becomes a dead letter, the second waits behind it.
      await running.publish([first, First({ id: 'a' })])
      await running.idle()
      expect((await running.deadLetters.list()).map((letter) => letter.original)).toMatchObject([{ message: first }])
    }
    await using running = await startHandlers([right], { engine })
    await running.deadLetters.redrive('all')
    await running.idle()
    expect((await numbersByKey(engine, 'payments'))['a']).toEqual([1, 1])
  })

  it('that cannot be read keep their place in the order of their key', async () => {
    await using engine = await memoryEngine()
    const options = { name: 'h', retry: none, onDeadLetter: 'park-key' } as const
    const fail = (): never => {
      throw new TypeError('no way')
    }
    const broken = second(fail)
    const mended = second((d) => ({ id: d.id, n: 0 }))
    {
      const handler = on(broken, options, (message) => publish(Paid(message.data)))
      await using running = await startHandlers([handler], { engine })
      await running.publish([First({ id: 'a' }), broken({ id: 'a', n: 1 }), broken({ id: 'b', n: 2 })])
      await running.idle()
      expect(await numbersByKey(engine, 'payments')).toEqual({ b: [2] })
      expect(await running.deadLetters.list()).toMatchObject([
        { reason: 'unreadable', parksKey: true, attempts: 1, error: { code: 'UPCAST_FAILED' } },
      ])
    }
    await using running = await startHandlers([on(mended, options, (message) => publish(Paid(message.data)))], {
      engine,
    })
    await running.deadLetters.redrive('all')
    await running.idle()
    expect(await numbersByKey(engine, 'payments')).toEqual({ a: [0, 1], b: [2] })
  })
})

describe('redrives', () => {
  it('that wait while their partition moves are done by its new owner, and the old one comes to rest', async () => {
    await using engine = await memoryEngine()
    await engine.topics.ensure('orders', { partitions: 2 })
    let isBad = true
    const handler = on(Placed, { retry: none, concurrency: 1 }, async (message) => {
      await new Promise((resolve) => setImmediate(resolve))
      if (isBad) throw new Error('bad')
      return publish(Paid(message.data))
    })
    await using first = await startHandlers([handler], { engine })
    await first.publish(Array.from({ length: 40 }, (_, n) => Placed({ id: `k${n}`, n })))
    await first.idle()
    isBad = false
    await first.deadLetters.redrive('all')
    await using second = await startHandlers([handler], { engine })
    await first.idle()
    await second.idle()
    expect(await first.deadLetters.count()).toBe(0)
    expect((await messagesOf(engine, 'payments')).map(({ data }) => data.n).toSorted((a, b) => a - b)).toEqual(
      Array.from({ length: 40 }, (_, n) => n),
    )
  })

  it.each([undefined, null, 5, '', [''], {}, { handler: undefined }, { handler: '' }])(
    'and discards take %j for a mistake, not for all',
    async (which) => {
      await using engine = await memoryEngine()
      const handler = on(Placed, { retry: none }, () => {
        throw new Error('bad')
      })
      await using running = await startHandlers([handler], { engine })
      await running.publish(Placed({ id: 'a', n: 1 }))
      await running.idle()
      const invalid = { code: 'OPTIONS_INVALID' }
      await expect(running.deadLetters.discard(which as never)).rejects.toMatchObject(invalid)
      await expect(running.deadLetters.redrive(which as never)).rejects.toMatchObject(invalid)
      expect(await running.deadLetters.list()).toMatchObject([{ requested: null }])
    },
  )
})

describe('a handler that holds back as many keys as it can', () => {
  it('lets what would park another one wait, with all that comes after it, until there is room', async () => {
    await using engine = await memoryEngine()
    await engine.topics.ensure('orders', { partitions: 1 })
    const keysMax = 100_000
    for (let from = 1; from < keysMax; from += 10_000) {
      const keys = Array.from({ length: Math.min(10_000, keysMax - from) }, (_, i) => `orders/0/key-${from + i}`)
      await engine.commit({
        state: keys.map((key) => ({
          kind: 'set',
          namespace: 'parked-keys:test.s.h',
          key,
          value: { head: 'a letter' },
        })),
      })
    }
    let isBad = true
    const handler = on(Placed, { name: 'h', retry: none, onDeadLetter: 'park-key' }, ({ data }) => {
      if (isBad && data.id !== 'good') throw new Error(`bad ${data.id}`)
      return publish(Paid(data))
    })
    const told: WaitingReport[] = []
    const listen = (report: WaitingReport): number => told.push(report)
    channels.waiting.subscribe(listen)
    await using running = await startHandlers([handler], { engine })
    await running.publish(Placed({ id: 'last', n: 0 }))
    await running.idle()
    await running.publish([
      Placed({ id: 'held', n: 0 }),
      Placed({ id: 'held', n: 1 }),
      Placed({ id: 'last', n: 1 }),
      Placed({ id: 'good', n: 0 }),
    ])
    while (!told.some(({ error }) => error instanceof ParkedKeysFullError)) await sleep(10, systemClock)
    const error = told.find((one) => one.error instanceof ParkedKeysFullError)?.error
    expect(error).toMatchObject({ code: 'PARKED_KEYS_FULL', details: { keysMax }, cause: { message: 'bad held' } })
    // Keys that are held back already take what comes, and others are handled.
    while ((await numbersByKey(engine, 'payments'))['good'] === undefined) await sleep(10, systemClock)
    expect((await running.deadLetters.list()).map(({ error: { message } }) => message)).toEqual(['bad last'])
    isBad = false
    await running.deadLetters.redrive('all')
    await running.idle()
    channels.waiting.unsubscribe(listen)
    expect(await numbersByKey(engine, 'payments')).toEqual({ last: [0, 1], held: [0, 1], good: [0] })
    expect(await running.deadLetters.count()).toBe(0)
  }, 60_000)
})
