import { type App, app } from '../../src/index.ts'
import type { Gateway } from './gateway.ts'
import { inventory } from './inventory.ts'
import { notification } from './notification.ts'
import { ordering } from './ordering.ts'
import { payment } from './payment.ts'
import { shipping } from './shipping.ts'
import { customerOrders, dailyRevenue, orderSummary } from './views.ts'

/**
 * Five services that know only each other's events, and three views of what they did.
 *
 * @param stockPerArticle Pieces of every article at the start; `null`: they never run out.
 */
export function shop(gateway: Gateway, stockPerArticle: number | null): App {
  return app('shop', {
    services: [ordering, payment(gateway), inventory(stockPerArticle), shipping, notification],
    views: [orderSummary, customerOrders, dailyRevenue],
  })
}
