import { describe, expect, expectTypeOf, it } from 'vitest'
import { z } from 'zod'
import { answer, view } from '../domain/index.ts'
import { event, query } from '../message/index.ts'
import { none, on } from '../runtime/index.ts'
import { memoryEngine } from './app.test-support.ts'
import { app, service } from './index.ts'

const Order = z.object({ orderId: z.string(), total: z.number() })
const GetOrder = query('GetOrder', { params: z.object({ orderId: z.string() }), result: Order })
const CountOrders = query('CountOrders', { result: z.number() })
const OrderPlaced = event('OrderPlaced', { topic: 'placed', data: Order, key: (d) => d.orderId })
const OrderChanged = event('OrderChanged', {
  topic: 'changed',
  data: z.object({ orderId: z.string() }),
  key: (d) => d.orderId,
  thin: { query: GetOrder, params: (d) => ({ orderId: d.orderId }) },
})
const orders = view('orders', {
  events: [OrderPlaced],
  key: ({ data }) => data.orderId,
  initial: { total: 0 },
  on: { OrderPlaced: (_order, { data }) => ({ total: data.total }) },
})
const ordering = service('ordering', [
  answer(GetOrder, async ({ data }, ctx) => ({
    ...data,
    total: (await ctx.view(orders).get(data.orderId))?.total ?? 0,
  })),
  answer(CountOrders, async (_query, ctx) => ctx.view(orders).count()),
])

describe('a notification event', () => {
  const heard: unknown[] = []
  const listening = on(OrderChanged, { name: 'listening', retry: none }, async ({ data }, ctx) => {
    const { query: rest, params } = OrderChanged.thin
    const order = await ctx.query(rest, params(data))
    expectTypeOf(order).toEqualTypeOf<{ orderId: string; total: number }>()
    heard.push([order, await ctx.query(CountOrders)])
  })

  it('has the rest fetched by its handler, by the query that it names', async () => {
    heard.length = 0
    await using engine = await memoryEngine()
    const shop = app('shop', { services: [ordering, service('mail', [listening])], views: [orders] })
    await using running = await shop.start({ engine })
    await running.publish(OrderPlaced({ orderId: 'o1', total: 7 }))
    await running.idle()
    await running.publish(OrderChanged({ orderId: 'o1' }))
    await running.idle()
    expect(heard).toEqual([[{ orderId: 'o1', total: 7 }, 1]])
  })

  it('has the rest fetched from another app, too', async () => {
    heard.length = 0
    await using engine = await memoryEngine()
    await using owner = await app('shop', { services: [ordering], views: [orders] }).start({ engine })
    await owner.publish(OrderPlaced({ orderId: 'o1', total: 7 }))
    await owner.idle()
    const mail = app('mail', { services: [service('mail', [listening])], remote: [GetOrder, CountOrders] })
    await using running = await mail.start({ engine })
    await running.publish(OrderChanged({ orderId: 'o1' }))
    await running.idle()
    expect(heard).toEqual([[{ orderId: 'o1', total: 7 }, 1]])
  })

  it('fails like any message where nobody answers', async () => {
    await using engine = await memoryEngine()
    await using running = await app('mail', { services: [service('mail', [listening])] }).start({ engine })
    await running.publish(OrderChanged({ orderId: 'o1' }))
    await running.idle()
    expect(await running.deadLetters.list()).toMatchObject([{ error: { code: 'HANDLER_MISSING' } }])
  })
})
