import { describe, expect, it } from 'vitest'
import { type View, view } from '../domain/index.ts'
import type { Engine } from '../engine/index.ts'
import type { Message } from '../message/index.ts'
import { type Handler, on, publish, set } from '../runtime/index.ts'
import { allOf, choreography, end } from '../saga/index.ts'
import { memoryEngine, messagesOf, Paid, Placed, Shipped } from './app.test-support.ts'
import { app, service } from './index.ts'

const item = { id: 'a', n: 1 }

/** Publishes a message once the app is at rest, and answers what came first: that, or that it was handled. */
async function orderOf(
  parts: { readonly handlers?: readonly Handler[]; readonly views?: readonly View[] },
  said: string[],
  first: Message = Placed(item),
): Promise<readonly string[]> {
  await using engine = await memoryEngine()
  const program = app('test', { services: [service('s', parts.handlers ?? [])], views: parts.views ?? [] })
  await using running = await program.start({ engine })
  await running.idle()
  await running.publish(first)
  said.push('acknowledged')
  await running.idle()
  return said
}

describe('a handler that takes messages early', () => {
  it('is handed them before they are acknowledged; one that does not, afterwards', async () => {
    for (const early of [true, false]) {
      const said: string[] = []
      const handler = on(Placed, { early }, () => void said.push('handled'))
      const expected = ['handled', 'acknowledged']
      expect(await orderOf({ handlers: [handler] }, said)).toEqual(early ? expected : expected.toReversed())
    }
  })

  it('is a view, and a choreography', async () => {
    const viewed: string[] = []
    const count = view('count', {
      events: [Placed],
      key: ({ data }) => data.id,
      initial: 0,
      on: { Placed: (n) => n + viewed.push('handled') },
    })
    expect(await orderOf({ views: [count] }, viewed)).toEqual(['handled', 'acknowledged'])
    const ruled: string[] = []
    const process = choreography('process', {
      events: [Placed],
      starts: [Placed],
      rules: [allOf([Placed], () => [end(`done ${ruled.push('handled')}`)])],
    })
    expect(await orderOf({ handlers: [process] }, ruled)).toEqual(['handled', 'acknowledged'])
  })

  it('does each message once and in order, among those that wait for the disk', async () => {
    await using engine = await memoryEngine()
    const handlerOf = (name: string, early: boolean, to: typeof Paid): Handler =>
      on(Placed, { name, early, state: { initial: 0 } }, ({ data }, count) => [
        set(count + 1),
        publish(to({ id: data.id, n: count })),
      ])
    const handlers = [handlerOf('early', true, Paid), handlerOf('late', false, Shipped as never)]
    await using running = await app('test', { services: [service('s', handlers)] }).start({ engine })
    const answers: Promise<unknown>[] = []
    for (let n = 0; n < 500; n++) {
      answers.push(running.publish(Placed({ id: `k${n % 7}`, n })))
      if (n % 20 === 0) await Promise.all(answers.splice(0))
      if (n % 13 === 0) await new Promise(setImmediate)
    }
    await Promise.all(answers)
    await running.idle()
    expect(await countsByKey(engine, 'payments')).toEqual(await countsByKey(engine, 'shipments'))
    expect((await messagesOf(engine, 'payments')).length).toBe(500)
  })

  it('says so by true or false', () => {
    expect(() => on(Placed, { early: 'yes' as unknown as boolean }, () => undefined)).toThrow(/early/)
  })
})

/** The counts that were published for each key, in their order. */
async function countsByKey(engine: Engine, topic: string): Promise<Readonly<Record<string, readonly number[]>>> {
  const found: Record<string, number[]> = {}
  for (const { data } of await messagesOf(engine, topic)) {
    found[data.id] ??= []
    found[data.id]?.push(data.n)
  }
  for (const counts of Object.values(found)) expect(counts).toEqual(counts.map((_, n) => n))
  return found
}
