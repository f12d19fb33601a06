import { describe, expectTypeOf, it } from 'vitest'
import { z } from 'zod'
import { event } from '../message/index.ts'
import type { GivenTo, GivenToSaga } from './definition.ts'
import { allOf, anyOf, type CarriedBy, choreography, end, saga, step } from './index.ts'

const Placed = event('TPlaced', { data: z.object({ id: z.string(), total: z.number() }), key: (d) => d.id })
const Paid = event('TPaid', { data: z.object({ by: z.string().nullable() }) })

const charge = step({
  run: async (order: { readonly id: string }, ctx) => {
    expectTypeOf(ctx.key).toEqualTypeOf<string>()
    return { receipt: order.id }
  },
  undo: ({ input, output }) => {
    expectTypeOf(input.id).toEqualTypeOf<string>()
    expectTypeOf(output).toEqualTypeOf<{ receipt: string } | undefined>()
  },
})
const ping = step({ run: () => 7 })

describe('a saga', () => {
  const child = saga('child', { start: z.object({ n: z.number() }) }, (_scope, { n }) => `${n}`)
  const parent = saga(
    'parent',
    { start: Placed, steps: { charge, ping }, signals: { paid: Paid, go: z.number() }, children: { child } },
    async (scope, order) => {
      expectTypeOf(order.total).toEqualTypeOf<number>()
      expectTypeOf(await scope.step('charge', { id: order.id })).toEqualTypeOf<{ receipt: string }>()
      expectTypeOf(await scope.step('ping')).toEqualTypeOf<number>()
      expectTypeOf((await scope.signal('paid')).by).toEqualTypeOf<string | null>()
      expectTypeOf(await scope.signal('go', { timeout: '1h' })).toEqualTypeOf<number | undefined>()
      expectTypeOf(await scope.child('child', { n: 1 })).toEqualTypeOf<string>()
      return order.id.length
    },
  )

  it('infers steps, signals, children and its result', () => {
    expectTypeOf(parent['~types']).toExtend<{ readonly result: number } | undefined>()
    expectTypeOf<CarriedBy<typeof Placed>['total']>().toEqualTypeOf<number>()
  })

  it('is given what schemas take, and told what they make', () => {
    const text = z.string().transform(Number)
    const s = saga('s', { start: text, signals: { go: text }, children: { child } }, async (scope, n) => {
      expectTypeOf(n).toEqualTypeOf<number>()
      expectTypeOf(await scope.signal('go')).toEqualTypeOf<number>()
    })
    expectTypeOf<GivenToSaga<typeof s>>().toEqualTypeOf<string>()
    expectTypeOf<GivenToSaga<typeof parent>>().toEqualTypeOf<{ id: string; total: number }>()
    expectTypeOf<GivenTo<typeof Paid>>().toEqualTypeOf<{ by: string | null }>()
  })

  it('refuses what was not declared', () => {
    saga('wrong', { start: Placed, steps: { charge }, signals: { go: z.number() } }, async (scope) => {
      // @ts-expect-error there is no such step
      await scope.step('chrage', { id: '1' })
      // @ts-expect-error the step takes an order
      await scope.step('charge', 7)
      // @ts-expect-error there is no such signal
      await scope.signal('stop')
    })
    // @ts-expect-error a step is made by step()
    saga('wrong', { start: Placed, steps: { charge: { run: () => 1 } } }, () => 1)
  })
})

describe('a choreography', () => {
  it('tells its rules what has come', () => {
    const rules = [
      allOf([Placed, Paid], ({ TPlaced, TPaid }, ctx) => {
        expectTypeOf(TPlaced.total).toEqualTypeOf<number>()
        expectTypeOf(TPaid.by).toEqualTypeOf<string | null>()
        expectTypeOf(ctx.key).toEqualTypeOf<string>()
        return end()
      }),
      anyOf([Paid], ({ TPaid }) => {
        expectTypeOf(TPaid?.by).toEqualTypeOf<string | null | undefined>()
        return undefined
      }),
    ]
    choreography('c', {
      events: [Placed, Paid],
      starts: [Placed],
      rules,
      key: ({ data }) => ('id' in data ? data.id : 'x'),
    })
  })
})
