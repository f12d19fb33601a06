import { describe, expectTypeOf, it } from 'vitest'
import { z } from 'zod'
import { event } from '../message/index.ts'
import { type Handler, on, publish, remove, schedule, set } from './index.ts'

const Placed = event('Placed', { data: z.object({ id: z.string(), total: z.number() }), key: (d) => d.id })
const Paid = event('Paid', { data: z.object({ id: z.string(), receipt: z.string() }), key: (d) => d.id })

describe('on', () => {
  it('infers the message from one definition', () => {
    const handler = on(Placed, (message, ctx) => {
      expectTypeOf(message.type).toEqualTypeOf<'Placed'>()
      expectTypeOf(message.data.total).toEqualTypeOf<number>()
      expectTypeOf(ctx.key).toEqualTypeOf<string>()
      expectTypeOf(ctx.offset).toEqualTypeOf<number>()
      return publish(Paid({ id: message.data.id, receipt: 'r' }))
    })
    expectTypeOf(handler).toEqualTypeOf<Handler>()
  })

  it('narrows the union of several definitions by type', () => {
    on([Placed, Paid], async (message) => {
      expectTypeOf(message.type).toEqualTypeOf<'Placed' | 'Paid'>()
      if (message.type === 'Paid') expectTypeOf(message.data.receipt).toEqualTypeOf<string>()
      else expectTypeOf(message.data.total).toEqualTypeOf<number>()
    })
  })

  it('infers the state from its initial value', () => {
    on([Placed, Paid], { state: { initial: { paid: false, seen: 0 } } }, (message, state, ctx) => {
      expectTypeOf(state.seen).toEqualTypeOf<number>()
      expectTypeOf(ctx.attempt).toEqualTypeOf<number>()
      // @ts-expect-error state is read-only
      state.seen = 2
      return message.type === 'Paid' ? [set({ ...state, paid: true }), undefined] : remove()
    })
    on(
      Placed,
      {
        state: { initial: null as { n: number } | null },
        timers: { late: (_timer, state) => set({ n: (state?.n ?? 0) + 1 }) },
      },
      (_message, state) => (state === null ? [set({ n: 1 }), schedule('late', { after: '15m' })] : undefined),
    )
    // @ts-expect-error the state has another shape
    on(Placed, { state: { initial: { n: 0 } } }, () => set({ m: 1 }))
    // @ts-expect-error a handler without state sets none
    on(Placed, () => set(1))
  })

  it('infers the state from a schema', () => {
    on(Placed, { state: { initial: { n: 0 }, schema: z.object({ n: z.number() }) } }, (_message, state) => {
      expectTypeOf(state.n).toEqualTypeOf<number>()
      return set({ n: state.n + 1 })
    })
  })

  it('types the key by the message', () => {
    on(Placed, { key: (message) => message.data.id }, () => undefined)
    // @ts-expect-error a key is text
    on(Placed, { key: (message) => message.data.total }, () => undefined)
    // @ts-expect-error no such mode
    on(Placed, { onDeadLetter: 'stop' }, () => undefined)
    // @ts-expect-error no such effect
    on(Placed, () => ({ kind: 'explode' }))
  })
})
