import { describe, expect, it } from 'vitest'
import { z } from 'zod'
import type { Engine } from '../engine/index.ts'
import { type EventDefinition, event, upcastFrom } from '../message/index.ts'
import { publish } from '../runtime/index.ts'
import { allOf, choreography, end, saga } from '../saga/index.ts'
import { memoryEngine } from './app.test-support.ts'
import { app, service } from './index.ts'

interface Told {
  readonly k: string
}
interface Amount extends Told {
  readonly cents: number
}
type Price = EventDefinition<'Price', Amount, Amount>

const key = (d: Told): string => d.k
const told = z.object({ k: z.string() })
const old = event('Price', { data: told.extend({ euro: z.number() }), key })
const current = event('Price', {
  version: 2,
  data: told.extend({ cents: z.number() }),
  key,
  upcast: upcastFrom(1, (d: { readonly k: string; readonly euro: number }) => ({ k: d.k, cents: d.euro * 100 })),
})
/** It may not be read: the upcast was forgotten. */
const without = event('Price', { version: 2, data: told.extend({ cents: z.number() }), key })
const Go = event('Go', { data: told, key })
const Seen = event('Seen', { topic: 'seen', data: told.extend({ by: z.string(), price: z.unknown() }), key })

/** A program that keeps a price for a while, in each way that there is, and tells what it sees of it later. */
function program(given: typeof old | typeof current | typeof without) {
  // Which version it is at the time is what this is about.
  const price = given as unknown as Price
  const tell = (by: string, { k, ...seen }: Amount) => publish(Seen({ k, by, price: seen }))
  const collects = choreography('collects', {
    events: [price, Go],
    starts: [price],
    rules: [allOf([price, Go], ({ Price }) => [tell('rule', Price), end()])],
  })
  const holds = choreography('holds', {
    events: [price, Go],
    starts: [Go],
    rules: [allOf([price, Go], ({ Price }) => [tell('rule of what was held', Price), end()])],
  })
  const started = saga('started', { start: price, signals: { go: Go } }, async (scope, input) => {
    await scope.signal('go')
    scope.publish(tell('body', input).messages)
  })
  const signalled = saga('signalled', { start: Go, signals: { price } }, async (scope) => {
    scope.publish(tell('signal', await scope.signal('price')).messages)
  })
  const again = saga('again', { start: price, signals: { price, go: Go } }, async (scope) => {
    const first = await scope.signal('price')
    await scope.signal('go')
    scope.publish(tell('signal told again', first).messages)
  })
  return app('shop', {
    services: [service('s', [collects, holds])],
    sagas: [started, signalled, again],
  })
}

async function seen(engine: Engine): Promise<Record<string, unknown>> {
  const { records } = await engine.topics.read({ topic: 'seen', partition: 0, offset: 0 })
  return Object.fromEntries(
    records.map((record) => {
      const { by, price } = (record as unknown as { message: ReturnType<typeof Seen> }).message.data
      return [by, price]
    }),
  )
}

describe('what processes and sagas were told by an older program', () => {
  const keep = async (engine: Engine): Promise<void> => {
    await engine.topics.ensure('seen', { partitions: 1 })
    await using running = await program(old).start({ engine })
    await running.publish([old({ k: 'a', euro: 5 }), old({ k: 'a', euro: 7 })])
    await running.idle()
  }
  const last = { cents: 700 }

  it('is upcast when it is told', async () => {
    await using engine = await memoryEngine()
    await keep(engine)
    await using running = await program(current).start({ engine })
    await running.publish(Go({ k: 'a' }))
    await running.idle()
    expect(await seen(engine)).toEqual({
      rule: last,
      'rule of what was held': { cents: 500 },
      body: { cents: 500 },
      signal: { cents: 500 },
      'signal told again': last,
    })
    expect(await running.deadLetters.list()).toEqual([])
  })

  it('parks a saga and fails a rule where it cannot be upcast, until a better program comes', async () => {
    await using engine = await memoryEngine()
    await keep(engine)
    {
      const hasty = program(without)
      await using running = await hasty.start({ engine })
      await running.publish(Go({ k: 'a' }))
      while ((await running.deadLetters.count()) < 2) await new Promise((resolve) => setTimeout(resolve, 10))
      const letters = await running.deadLetters.list()
      expect(new Set(letters.map(({ error }) => error.code))).toEqual(new Set(['UPCAST_MISSING']))
      for (const name of ['started', 'signalled', 'again']) {
        const [one] = hasty.sagas.filter((each) => each.name === name)
        const instance = await running.saga(one as never).get('a')
        expect(instance).toMatchObject({ status: 'parked', parked: { reason: 'data-unreadable' } })
      }
      expect(await seen(engine)).toEqual({})
    }
    const better = program(current)
    await using running = await better.start({ engine })
    await running.deadLetters.redrive('all')
    for (const one of better.sagas) await running.saga(one).retry('a')
    await running.idle()
    expect(Object.keys(await seen(engine)).toSorted()).toEqual(
      ['body', 'rule', 'rule of what was held', 'signal', 'signal told again'].toSorted(),
    )
  })
})
