import { type } from 'arktype'
import * as v from 'valibot'
import { describe, expectTypeOf, it } from 'vitest'
import { z } from 'zod'
import {
  type AnyDefinition,
  type AnyEventDefinition,
  type CommandMessage,
  command,
  type DataOf,
  type EventMessage,
  event,
  type Message,
  type MessageOf,
  type QueryResult,
  query,
  upcastFrom,
} from './index.ts'

const Line = z.object({ article: z.string(), quantity: z.number().int() })
const OrderPlaced = event('OrderPlaced', {
  data: z.object({ orderId: z.string(), lines: z.array(Line), note: z.string().default('') }),
  key: (d) => d.orderId,
  subject: (d) => {
    expectTypeOf(d.note).toEqualTypeOf<string>()
    return d.orderId
  },
})
const GetOrder = query('GetOrder', {
  params: z.object({ orderId: z.string() }),
  result: z.object({ orderId: z.string(), total: z.string() }),
})

describe('messages', () => {
  it('know what they are for, and pass for messages of unknown kind', () => {
    const placed = OrderPlaced({ orderId: '1', lines: [] })
    expectTypeOf(placed).toExtend<EventMessage>()
    expectTypeOf(placed).not.toExtend<CommandMessage>()
    expectTypeOf(placed).toExtend<Message>()
    expectTypeOf<Message>().toExtend<EventMessage>()
    expectTypeOf<Message>().toExtend<CommandMessage>()
    expectTypeOf<MessageOf<typeof OrderPlaced>>().not.toExtend<CommandMessage>()
  })
})

describe('definitions', () => {
  it('infer type name, input and data from a zod schema', () => {
    const placed = OrderPlaced({ orderId: '1', lines: [] })
    expectTypeOf(placed.type).toEqualTypeOf<'OrderPlaced'>()
    expectTypeOf(placed.data.orderId).toEqualTypeOf<string>()
    expectTypeOf(placed.data.note).toEqualTypeOf<string>()
    expectTypeOf(placed.data.lines).toEqualTypeOf<{ article: string; quantity: number }[]>()
    expectTypeOf<MessageOf<typeof OrderPlaced>>().toEqualTypeOf(placed)
    expectTypeOf<DataOf<typeof OrderPlaced>['note']>().toEqualTypeOf<string>()
    // @ts-expect-error data is read-only
    placed.data.orderId = '2'
    // @ts-expect-error a required property is missing
    OrderPlaced({ lines: [] })
    // @ts-expect-error data is required
    OrderPlaced()
    // @ts-expect-error no attribute of the envelope
    OrderPlaced({ orderId: '1', lines: [] }, { tenant: 'a' })
  })

  it('let data of one message be passed to another', () => {
    const copy = OrderPlaced(OrderPlaced({ orderId: '1', lines: [] }).data)
    expectTypeOf(copy.data.lines).toEqualTypeOf<{ article: string; quantity: number }[]>()
  })

  it('infer from valibot and arktype', () => {
    const A = event('A', { data: v.object({ n: v.number(), tag: v.optional(v.string()) }), key: (d) => d.tag ?? 'x' })
    expectTypeOf(A({ n: 1 }).data.n).toEqualTypeOf<number>()
    const B = command('B', { data: type({ id: 'string', 'age?': 'number' }), key: (d) => d.id })
    expectTypeOf(B({ id: 'x' }).data.age).toEqualTypeOf<number | undefined>()
    expectTypeOf(B.queue).toEqualTypeOf<string>()
    // @ts-expect-error a string is wanted
    B({ id: 1 })
  })

  it('keep branded strings', () => {
    const Branded = event('Branded', { data: z.string().brand<'OrderId'>() })
    expectTypeOf(Branded('x').data).toExtend<string>()
  })

  it('have null as data without a schema', () => {
    const Ticked = event('Ticked')
    expectTypeOf(Ticked().data).toEqualTypeOf<null>()
    // @ts-expect-error there is no data
    Ticked({ a: 1 })
  })

  it('know what a query answers', () => {
    expectTypeOf(GetOrder({ orderId: '1' }).data.orderId).toEqualTypeOf<string>()
    expectTypeOf<QueryResult<typeof GetOrder>>().toEqualTypeOf<{ orderId: string; total: string }>()
  })

  it('link a notification event to its query', () => {
    const OrderChanged = event('OrderChanged', {
      data: z.object({ id: z.string() }),
      thin: { query: GetOrder, params: (d) => ({ orderId: d.id }) },
    })
    expectTypeOf(OrderChanged.thin.query).toEqualTypeOf<typeof GetOrder>()
    expectTypeOf<QueryResult<typeof OrderChanged.thin.query>>().toEqualTypeOf<{ orderId: string; total: string }>()
    expectTypeOf(OrderPlaced.thin).toEqualTypeOf<undefined>()
    // @ts-expect-error the query wants orderId
    event('Wrong', { data: z.object({ id: z.string() }), thin: { query: GetOrder, params: (d) => ({ id: d.id }) } })
    // @ts-expect-error an event is no query
    event('Wrong', { data: z.object({ id: z.string() }), thin: { query: OrderPlaced, params: (d) => d } })
  })

  it('fit where any definition is taken', () => {
    expectTypeOf(OrderPlaced).toExtend<AnyEventDefinition>()
    expectTypeOf(GetOrder).toExtend<AnyDefinition>()
    expectTypeOf(command('C', { data: z.object({ a: z.number() }) })).toExtend<AnyDefinition>()
    expectTypeOf(OrderPlaced({ orderId: '1', lines: [] })).toExtend<Message>()
  })

  it('check the key and the kind', () => {
    // @ts-expect-error a key is text
    event('K', { data: z.object({ n: z.number() }), key: (d) => d.n })
    // @ts-expect-error no such kind
    event('K', { kind: 'public' })
    // @ts-expect-error not a schema
    event('K', { data: { n: 1 } })
  })
})

describe('upcasts', () => {
  const data = z.object({ customerId: z.string(), country: z.string() })
  const first = upcastFrom(1, (d: { id: string }) => ({ customerId: d.id }))

  it('type each step by the one before and end in the input of the schema', () => {
    const Moved = event('Moved', { version: 3, data, upcast: first.andFrom(2, (d) => ({ ...d, country: 'NL' })) })
    expectTypeOf(Moved.read({} as Message).data.country).toEqualTypeOf<string>()
    first.andFrom(2, (d) => {
      expectTypeOf(d).toEqualTypeOf<{ customerId: string }>()
      return d
    })
  })

  it('refuse a chain that ends elsewhere', () => {
    // @ts-expect-error country is missing
    event('Moved', { version: 2, data, upcast: first })
    // @ts-expect-error the chain leads to version 2
    event('Moved', { version: 3, data: z.object({ customerId: z.string() }), upcast: first })
    // @ts-expect-error version 1 has nothing before it
    event('Moved', { data: z.object({ customerId: z.string() }), upcast: first })
    // @ts-expect-error a step answers at once
    event('Moved', { version: 2, data, upcast: upcastFrom(1, async () => ({ customerId: 'a', country: 'NL' })) })
  })

  it('refuse a step that does not follow', () => {
    // @ts-expect-error the chain has reached version 2
    expectTypeOf(() => first.andFrom(3, (d) => d)).toBeFunction()
    // @ts-expect-error the step takes what the one before returns
    first.andFrom(2, (d: { name: string }) => d)
  })
})
