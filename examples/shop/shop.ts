import { type App, app } from '../../src/index.ts'
import { checkout } from './checkout.ts'
import type { Gateway } from './gateway.ts'
import { inventory } from './inventory.ts'
import { notification } from './notification.ts'
import { ordering } from './ordering.ts'
import { payment } from './payment.ts'
import type { SagaKind } from './saga-kind.ts'
import { shipping } from './shipping.ts'
import { customerOrders, dailyRevenue, orderSummary } from './views.ts'

/** What a shop is made of. */
export interface ShopSettings {
  /** Pieces of every article at the start; `null`: they never run out. Default `null`. */
  readonly stock?: number | null
  /** Default `'choreography'`. */
  readonly saga?: SagaKind
}

/** Five services that know only each other's events, and three views of what they did. */
export function shop(gateway: Gateway, { stock = null, saga = 'choreography' }: ShopSettings = {}): App {
  return app('shop', {
    services: [ordering(saga), payment(gateway, saga), inventory(stock), shipping, notification],
    sagas: saga === 'orchestration' ? [checkout(gateway)] : [],
    views: [orderSummary, customerOrders, dailyRevenue],
  })
}
