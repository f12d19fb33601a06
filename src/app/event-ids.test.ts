import { describe, expect, it } from 'vitest'
import { z } from 'zod'
import { boundary, decider, history, projection, view } from '../domain/index.ts'
import type { Engine } from '../engine/index.ts'
import { VirtualClock } from '../kernel/index.ts'
import { command, event } from '../message/index.ts'
import { memoryEngine } from './app.test-support.ts'
import { app, type RunningApp, service } from './index.ts'

const data = z.object({ id: z.string(), amount: z.number(), event: z.string().optional() })
const Pay = command('Pay', { data, key: (d) => d.id })
const Paid = event('Paid', { topic: 'paid', data, key: (d) => d.id, tags: (d) => [`payer:${d.id}`] })
/** The id of its event, as a user makes it of what is at hand. */
const eventId = ({ id, data: { event: own } }: ReturnType<typeof Pay>): string => own ?? `${id}-paid`

const payer = decider('payer', {
  commands: [Pay],
  events: [Paid],
  stream: (one) => `payer-${one.data.id}`,
  initialState: 0,
  remember: '1m',
  decide: { Pay: (one) => Paid(one.data, { id: eventId(one) }) },
  evolve: { Paid: (sum, one) => sum + one.data.amount },
})
const tagged = boundary('tagged', {
  command: Pay,
  events: [Paid],
  reads: (one) => ({
    sum: projection({
      events: [Paid],
      tags: [`payer:${one.data.id}`],
      initial: 0,
      on: { Paid: (sum, paid) => sum + paid.data.amount },
    }),
  }),
  decide: (one) => Paid(one.data, { id: eventId(one) }),
  stream: (one) => `payer-${one.data.id}`,
  remember: '1m',
})
const sumOf = (name: string, inline: boolean) =>
  view(name, {
    events: [Paid],
    key: (one) => one.data.id,
    initial: 0,
    on: { Paid: (sum, one) => sum + one.data.amount },
    inline,
  })
const [follows, inline] = [sumOf('follows', false), sumOf('inline', true)]

/** What the stream, a view that follows and an inline one make of it. */
async function sums(engine: Engine, running: RunningApp, id: string): Promise<unknown[]> {
  await running.idle()
  const { state } = await history(engine).state(payer, `payer-${id}`)
  return [state, await running.view(follows).get(id), await running.view(inline).get(id)]
}

describe.each([
  ['a decider', payer],
  ['a boundary', tagged],
])('ids that the events of %s are given', (_kind, one) => {
  const shop = app('shop', { services: [service('s', [one])], views: [follows, inline] })

  it.each(['ask', 'send'] as const)(
    'make a command that was forgotten one that was handled before: %s',
    async (door) => {
      const clock = new VirtualClock()
      await using engine = await memoryEngine({ clock })
      await using running = await shop.start({ engine, clock })
      const pay = Pay({ id: 'a', amount: 5 })
      await running.ask(pay)
      await running.ask(Pay({ id: 'a', amount: 2 }))
      await clock.advance('10m')
      if (door === 'send') {
        await running.send(pay)
        await running.idle()
      }
      expect(await running.ask(pay)).toMatchObject({
        kind: 'accepted',
        repeated: true,
        position: 1,
        published: [],
        events: [{ data: { amount: 5 } }],
      })
      expect(await sums(engine, running, 'a')).toEqual([7, 7, 7])
      expect(await running.deadLetters.list()).toEqual([])
    },
  )

  it('belong to one event: another command that makes one of them is told, and changes nothing', async () => {
    await using engine = await memoryEngine()
    await using running = await shop.start({ engine })
    await running.ask(Pay({ id: 'a', amount: 5, event: 'E' }))
    const others = [Pay({ id: 'a', amount: 9, event: 'E' }), Pay({ id: 'b', amount: 9, event: 'E' })]
    for (const other of others) {
      await expect(running.ask(other)).rejects.toMatchObject({ code: 'EVENT_ID_TAKEN', details: { id: 'E' } })
    }
    // Beside others, and as often as it is tried.
    const settled = await Promise.allSettled([
      running.ask(Pay({ id: 'a', amount: 1 })),
      running.ask(others[0] as ReturnType<typeof Pay>),
      running.ask(Pay({ id: 'a', amount: 1 })),
    ])
    expect(settled.map(({ status }) => status)).toEqual(['fulfilled', 'rejected', 'fulfilled'])
    expect(await sums(engine, running, 'a')).toEqual([7, 7, 7])
    expect(await sums(engine, running, 'b')).toEqual([0, undefined, undefined])
  })

  it('are told in the dead letter of a command that was sent', async () => {
    await using engine = await memoryEngine()
    await using running = await shop.start({ engine })
    await running.ask(Pay({ id: 'a', amount: 5, event: 'E' }))
    await running.send(Pay({ id: 'a', amount: 9, event: 'E' }))
    await running.idle()
    const letters = await running.deadLetters.list()
    expect(letters).toMatchObject([{ error: { code: 'EVENT_ID_TAKEN' } }])
    expect(await sums(engine, running, 'a')).toEqual([5, 5, 5])
  })
})
