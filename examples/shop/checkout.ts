import {
  type CompensatedContext,
  exponential,
  type MessageOf,
  publish,
  type Saga,
  StepRejectedError,
  saga,
  step,
} from '../../src/index.ts'
import {
  OrderCancelled,
  OrderConfirmed,
  OrderPlaced,
  PaymentAbandoned,
  PaymentDeclined,
  PaymentReceived,
  PaymentRefunded,
  StockRejected,
  StockReserved,
} from './events.ts'
import type { Gateway } from './gateway.ts'
import type { Money } from './money.ts'

const declined = 'payment declined'
const outOfStock = 'out of stock'
/** What the body shows from when the others know that an order is paid. */
const paid = 'paid'

/**
 * Conducts each order to its end: charges the card, asks the warehouse, and confirms. When the warehouse has too little, the
 * journal knows that the card was charged: the money is given back, and only then the order is cancelled.
 */
export function checkout(gateway: Gateway): Saga<unknown, unknown> {
  // An order waits as long as the gateway is out of order: that is no reason to cancel it.
  const retry = exponential({ initial: '10ms', max: 1_000_000, maxDelay: '250ms' })
  const charge = step({
    run: async ({ orderId, total }: { readonly orderId: string; readonly total: Money }, ctx) => {
      const reply = await gateway.charge(orderId, total, { idempotencyKey: ctx.key, signal: ctx.signal })
      if (!reply.accepted) throw new StepRejectedError(declined)
      return reply.amount
    },
    undo: ({ input }, ctx) => gateway.refund(input.orderId, { idempotencyKey: ctx.key, signal: ctx.signal }),
    retry,
    undoRetry: retry,
  })
  return saga(
    'checkout',
    {
      start: OrderPlaced,
      steps: { charge },
      signals: { reserved: StockReserved, rejected: StockRejected },
      keep: '1m',
      compensated: ({ orderId, customerId, day, place, total }, { failure, shown }) => {
        const reason = reasonOf(failure)
        const cancelled = OrderCancelled({ orderId, customerId, day, total, reason })
        if (shown === paid) return publish([PaymentRefunded({ orderId, amount: total }), cancelled])
        // The warehouse waits for word of every order in the queue.
        const unpaid =
          reason === declined
            ? PaymentDeclined({ orderId, place, amount: total })
            : PaymentAbandoned({ orderId, place })
        return publish([unpaid, cancelled])
      },
    },
    async (saga, { orderId, customerId, day, place, total, lines }) => {
      const amount = await saga.step('charge', { orderId, total })
      const goods = lines.map(({ article, quantity }) => ({ article, quantity }))
      saga.show(paid)
      saga.publish(PaymentReceived({ orderId, place, amount, goods }))
      const reserved = saga.signal('reserved').then(() => true)
      const rejected = saga.signal('rejected').then(() => false)
      if (!(await Promise.race([reserved, rejected]))) throw new StepRejectedError(outOfStock)
      saga.publish(OrderConfirmed({ orderId, customerId, day, total }))
    },
  )
}

/** What the body threw it threw itself; all else comes from outside of it. */
function reasonOf({
  name,
  code,
  message,
}: CompensatedContext['failure']): MessageOf<typeof OrderCancelled>['data']['reason'] {
  if (code === 'SAGA_STEP_REJECTED') return message === declined ? declined : outOfStock
  return name === 'Cancelled' || name === 'Compensated' ? 'withdrawn' : 'a fault of the shop'
}
