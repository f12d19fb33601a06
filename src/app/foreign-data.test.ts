import { describe, expect, it } from 'vitest'
import { z } from 'zod'
import { decider, history, view } from '../domain/index.ts'
import type { Engine } from '../engine/index.ts'
import { command, encodeKafkaBinary, event, type Message, upcastFrom } from '../message/index.ts'
import { on } from '../runtime/index.ts'
import { saga } from '../saga/index.ts'
import { memoryEngine } from './app.test-support.ts'
import { app, service } from './index.ts'

const schema = z.object({ id: z.string(), pence: z.number() })
const checked = { data: schema, key: (d: { readonly id: string }) => d.id, validateOnRead: true } as const
const Priced = event('Priced', { ...checked, topic: 'prices' })
const Pay = command('Pay', { ...checked, queue: 'payments' })
const Paid = event('Paid', { topic: 'paid', data: schema, key: (d) => d.id })
/** As a program makes them that knows nothing of the schema. */
const Careless = event('Priced', { topic: 'prices', data: z.looseObject({ id: z.string() }), key: (d) => d.id })
const CarelessPay = command('Pay', { queue: 'payments', data: z.looseObject({ id: z.string() }), key: (d) => d.id })

const payer = decider('payer', {
  commands: [Pay],
  events: [Paid],
  stream: (one) => `payer-${one.data.id}`,
  initialState: 0,
  decide: { Pay: (one) => Paid(one.data) },
  evolve: { Paid: (sum, one) => sum + one.data.pence },
})
const sums = view('sums', {
  events: [Priced],
  key: ({ data }) => data.id,
  initial: 0,
  on: { Priced: (sum, { data }) => sum + data.pence },
})

async function publishForeign(engine: Engine, topic: string, message: Message): Promise<void> {
  const { key, value, headers } = encodeKafkaBinary(message)
  await engine.topics.ensure(topic)
  await engine.commit({ publish: [{ topic, records: [{ key, value, headers }] }] })
}

describe('data of programs that do not use the definition', () => {
  it('is validated by handlers, views, sagas and deciders, if the definition says so', async () => {
    const seen: unknown[] = []
    const handler = on(Priced, { name: 'handler' }, ({ data }) => void seen.push(data))
    const started = saga('started', { start: Priced }, (_scope, data) => void seen.push(data))
    const shop = app('shop', { services: [service('s', [handler, payer])], views: [sums], sagas: [started] })
    await using engine = await memoryEngine()
    await publishForeign(engine, 'prices', Careless({ id: 'a', pence: 'oops' }))
    await publishForeign(engine, 'prices', Careless({ id: 'a' }))
    await publishForeign(engine, 'payments', CarelessPay({ id: 'a', pence: 'oops' }))
    await using running = await shop.start({ engine })
    await running.publish(Priced({ id: 'a', pence: 3 }))
    await running.send(Pay({ id: 'a', pence: 4 }))
    await running.idle()
    expect(await running.view(sums).get('a')).toBe(3)
    expect(seen).toEqual([
      { id: 'a', pence: 3 },
      { id: 'a', pence: 3 },
    ])
    const streams = await Array.fromAsync(engine.events.readStream('payer-a'), ({ message }) => message.data)
    expect(streams).toEqual([{ id: 'a', pence: 4 }])
    const letters = await running.deadLetters.list()
    expect(letters.map(({ handler: by, error }) => `${by} ${error.code}`).toSorted()).toEqual([
      'shop.s.handler DATA_INVALID',
      'shop.s.handler DATA_INVALID',
      'shop.s.payer DATA_INVALID',
      'shop.saga:started DATA_INVALID',
      'shop.saga:started DATA_INVALID',
      'shop.view:sums.v1 DATA_INVALID',
      'shop.view:sums.v1 DATA_INVALID',
    ])
    await expect(running.ask(CarelessPay({ id: 'a', pence: 'oops' }))).rejects.toMatchObject({ code: 'DATA_INVALID' })
  })

  it('is taken as it is otherwise, as it was validated where it was made', async () => {
    const Trusted = event('Trusted', { topic: 'trusted', data: schema, key: (d) => d.id })
    const Untrue = event('Trusted', { topic: 'trusted', data: z.looseObject({ id: z.string() }), key: (d) => d.id })
    const seen: unknown[] = []
    await using engine = await memoryEngine()
    await publishForeign(engine, 'trusted', Untrue({ id: 'a', pence: 'oops' }))
    const handler = on(Trusted, ({ data }) => void seen.push(data))
    await using running = await app('shop', { services: [service('s', [handler])] }).start({ engine })
    await running.idle()
    expect(seen).toEqual([{ id: 'a', pence: 'oops' }])
  })
})

describe('a record without a value', () => {
  const Left = event('Left', { data: z.object({ id: z.string() }).optional() })
  const leaves = view('leaves', {
    events: [Left],
    key: ({ partitionkey }) => String(partitionkey),
    initial: 0,
    on: { Left: (count, { data }) => (data === undefined ? count + 1 : count) },
  })

  it.each(['delete', 'compact'] as const)(
    'is an event without data if its headers say so, and passed over if not: on a topic with cleanup %s',
    async (cleanup) => {
      const seen: unknown[] = []
      const handler = on(Left, { name: 'leaver' }, ({ id, data }) => {
        seen.push([id, data])
        if (seen.length === 1) throw new Error('once more')
      })
      await using engine = await memoryEngine()
      await engine.topics.create(Left.topic, { partitions: 1, cleanup })
      const headers = Object.entries({ ce_specversion: '1.0', ce_type: 'Left', ce_source: '/s', ce_id: 'one' })
      const records = [{ headers }, { headers: headers.slice(1) }].map((one) => ({ key: 'a', value: null, ...one }))
      await engine.commit({ publish: [{ topic: Left.topic, partition: 0, records }] })
      await using running = await app('shop', { services: [service('s', [handler])], views: [leaves] }).start({
        engine,
      })
      await running.idle()
      expect(seen).toEqual([
        ['one', undefined],
        ['one', undefined],
      ])
      expect(await running.view(leaves).get('a')).toBe(1)
      expect(await running.deadLetters.list()).toEqual([])
      expect(await history(engine).view(leaves, 'a', undefined, { gone: 'pass-over' })).toBe(1)
    },
  )
})

describe('a command of an older program', () => {
  const before = z.object({ id: z.string(), euro: z.number() })
  const old = command('Bill', { data: before, key: (d) => d.id })
  const Bill = command('Bill', {
    version: 2,
    data: schema,
    key: (d) => d.id,
    upcast: upcastFrom(1, ({ id, euro }: z.infer<typeof before>) => ({ id, pence: euro * 100 })),
  })
  const biller = decider('biller', {
    commands: [Bill],
    events: [Paid],
    stream: (one) => `bill-${one.data.id}`,
    initialState: 0,
    decide: { Bill: (one) => Paid(one.data) },
    evolve: { Paid: (sum, one) => sum + one.data.pence },
  })

  it('is upcast when it is asked, as when it is sent', async () => {
    await using engine = await memoryEngine()
    await using running = await app('shop', { services: [service('s', [biller])] }).start({ engine })
    await running.ask(old({ id: 'a', euro: 2 }))
    await running.send(old({ id: 'a', euro: 3 }))
    await running.idle()
    const events = await Array.fromAsync(engine.events.readStream('bill-a'), ({ message }) => message.data)
    expect(events).toEqual([
      { id: 'a', pence: 200 },
      { id: 'a', pence: 300 },
    ])
  })

  it('has its events told as they are known now when it comes again', async () => {
    await using engine = await memoryEngine()
    const Told = event('Told', { topic: 'told', data: before, key: (d) => d.id })
    const ToldNow = event('Told', {
      version: 2,
      topic: 'told',
      data: schema,
      key: (d) => d.id,
      upcast: upcastFrom(1, ({ id, euro }: z.infer<typeof before>) => ({ id, pence: euro * 100 })),
    })
    const base = { stream: () => 'told', initialState: 0 }
    const first = decider('teller', {
      ...base,
      commands: [old],
      events: [Told],
      decide: { Bill: (one) => Told(one.data) },
      evolve: { Told: (n) => n + 1 },
    })
    const second = decider('teller', {
      ...base,
      commands: [old],
      events: [ToldNow],
      decide: { Bill: () => undefined },
      evolve: { Told: (n) => n + 1 },
    })
    const bill = old({ id: 'a', euro: 2 })
    {
      await using running = await app('shop', { services: [service('s', [first])] }).start({ engine })
      await running.ask(bill)
    }
    await using running = await app('shop', { services: [service('s', [second])] }).start({ engine })
    expect(await running.ask(bill)).toMatchObject({
      repeated: true,
      events: [{ dataversion: 2, data: { id: 'a', pence: 200 } }],
    })
  })
})
