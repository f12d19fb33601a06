import { type App, app, StepRejectedError, saga, step, type View } from '../../src/index.ts'
import { OrderConfirmed, OrderPlaced, OrderRejected } from './events.ts'
import type { Outside } from './outside.ts'

/** One saga conducts: it reserves, charges and confirms; when it fails, what was done is undone in reverse order. */
export function orchestrated(outside: Outside, views: readonly View[]): App {
  const reserve = step({
    run: (item: string, ctx) => {
      if (!outside.reserve(ctx.key, item)) throw new StepRejectedError(`no ${item} left`)
    },
    undo: (_done, ctx) => outside.release(ctx.runKey),
  })
  const charge = step({
    run: (card: string, ctx) => {
      const receipt = outside.charge(ctx.key, card)
      if (receipt === undefined) throw new StepRejectedError('card declined')
      return receipt
    },
    undo: (_done, ctx) => outside.refund(ctx.runKey),
  })
  const checkout = saga('checkout', { start: OrderPlaced, steps: { reserve, charge } }, async (saga, order) => {
    const { orderId, item, card } = order
    try {
      await saga.step('reserve', item)
      const receipt = await saga.step('charge', card)
      saga.publish(OrderConfirmed({ orderId, receipt }))
      return receipt
    } catch (error) {
      if (error instanceof StepRejectedError) saga.publish(OrderRejected({ orderId, reason: error.details.reason }))
      throw error
    }
  })
  return app('shop', { sagas: [checkout], views })
}
