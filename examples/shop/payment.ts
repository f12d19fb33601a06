import { exponential, on, publish, type Service, service } from '../../src/index.ts'
import {
  GoodsReturned,
  OrderPlaced,
  PaymentDeclined,
  PaymentReceived,
  PaymentRefunded,
  ReturnRefunded,
  StockRejected,
} from './events.ts'
import type { Gateway } from './gateway.ts'
import type { SagaKind } from './saga-kind.ts'

/** Orders that wait for the gateway at once; more share its syncs better, fewer keep the queue at the warehouse shorter. */
const callsMax = 256

/**
 * Takes money for orders and gives it back for cancelled ones, unless a saga conducts, and pays out returns.
 *
 * The gateway may time out after it did what it was asked. So every call carries `ctx.key`, which stays the same however
 * often a message is tried, also after a crash: the gateway carries a key out once.
 */
export function payment(gateway: Gateway, saga: SagaKind): Service {
  const retry = exponential({ initial: '10ms', max: 100, maxDelay: '250ms' })
  const calls = { retry, concurrency: callsMax } as const
  const charge = on(OrderPlaced, { name: 'charge', ...calls }, async ({ data }, ctx) => {
    const { orderId, place, total, lines } = data
    const reply = await ctx.call((signal) => gateway.charge(orderId, total, { idempotencyKey: ctx.key, signal }))
    if (!reply.accepted) return publish(PaymentDeclined({ orderId, place, amount: total }))
    const goods = lines.map(({ article, quantity }) => ({ article, quantity }))
    return publish(PaymentReceived({ orderId, place, amount: reply.amount, goods }))
  })
  const refund = on(StockRejected, { name: 'refund', ...calls }, async ({ data: { orderId } }, ctx) => {
    const reply = await ctx.call((signal) => gateway.refund(orderId, { idempotencyKey: ctx.key, signal }))
    return publish(PaymentRefunded({ orderId, amount: reply.amount }))
  })
  const payOut = on(GoodsReturned, { name: 'pay-out', ...calls }, async ({ data }, ctx) => {
    const { returnId, customerId, value } = data
    const reply = await ctx.call((signal) => gateway.payout(returnId, value, { idempotencyKey: ctx.key, signal }))
    return publish(ReturnRefunded({ returnId, customerId, amount: reply.amount }))
  })
  return service('payment', saga === 'choreography' ? [charge, refund, payOut] : [payOut])
}
