import { describe, expectTypeOf, it } from 'vitest'
import { z } from 'zod'
import { event } from '../message/index.ts'
import { type StateOf, view } from './index.ts'

const Placed = event('Placed', { data: z.object({ id: z.string(), total: z.number() }), key: (d) => d.id })
const Paid = event('Paid', { data: z.object({ id: z.string(), customer: z.string().nullable() }), key: (d) => d.id })

describe('view', () => {
  it('infers state and events', () => {
    const perDay = view('per-day', {
      events: [Placed, Paid],
      key: (e) => {
        expectTypeOf(e.data.id).toEqualTypeOf<string>()
        return e.type === 'Paid' ? (e.data.customer ?? undefined) : e.time.slice(0, 10)
      },
      initial: { orders: 0, total: 0 },
      on: {
        Placed: (day, e) => ({ orders: day.orders + 1, total: day.total + e.data.total }),
        Paid: (_day, e) => {
          expectTypeOf(e.data.customer).toEqualTypeOf<string | null>()
          return undefined
        },
      },
    })
    expectTypeOf<StateOf<typeof perDay>>().toEqualTypeOf<{ orders: number; total: number }>()
  })

  it('wants a function for each event and the right state', () => {
    view('a', {
      events: [Placed, Paid],
      key: (e) => e.data.id,
      initial: 0,
      // @ts-expect-error Paid is missing
      on: { Placed: (n) => n + 1 },
    })
    view('b', {
      events: [Placed],
      key: (e) => e.data.id,
      initial: 0,
      // @ts-expect-error the state is a number
      on: { Placed: () => 'x' },
    })
  })

  it('may count an event under several keys, which its functions are told', () => {
    view('c', {
      events: [Placed, Paid],
      key: (e) => (e.type === 'Paid' ? undefined : ['all', e.data.id]),
      initial: 0,
      on: {
        Placed: (n, _e, key) => {
          expectTypeOf(key).toEqualTypeOf<string>()
          return n + 1
        },
        Paid: (n) => n,
      },
    })
    // @ts-expect-error a key is a text
    view('d', { events: [Placed], key: (e) => [e.data.total], initial: 0, on: { Placed: (n) => n + 1 } })
  })
})
