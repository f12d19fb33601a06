import { type App, allOf, anyOf, app, choreography, end, on, publish, service, type View } from '../../src/index.ts'
import {
  OrderConfirmed,
  OrderPlaced,
  OrderRejected,
  PaymentDeclined,
  PaymentReceived,
  StockMissing,
  StockReserved,
} from './events.ts'
import type { Outside } from './outside.ts'

/** Nobody conducts: each service does its part when it hears of an event, and a process sees when all has come together. */
export function choreographed(outside: Outside, views: readonly View[]): App {
  const inventory = service('inventory', [
    on(OrderPlaced, ({ data: { orderId, item, card } }) =>
      publish(outside.reserve(orderId, item) ? StockReserved({ orderId, card }) : StockMissing({ orderId, item })),
    ),
    on(PaymentDeclined, ({ data }) => outside.release(data.orderId)),
  ])
  const payment = service('payment', [
    on(StockReserved, ({ data: { orderId, card } }) => {
      const receipt = outside.charge(orderId, card)
      return publish(receipt === undefined ? PaymentDeclined({ orderId }) : PaymentReceived({ orderId, receipt }))
    }),
  ])
  const fulfilment = choreography('fulfilment', {
    events: [OrderPlaced, StockReserved, StockMissing, PaymentReceived, PaymentDeclined],
    starts: [OrderPlaced],
    rules: [
      allOf([StockReserved, PaymentReceived], ({ PaymentReceived: { orderId, receipt } }) => [
        publish(OrderConfirmed({ orderId, receipt })),
        end('confirmed'),
      ]),
      anyOf([StockMissing], ({ StockMissing: missing }, { key }) => [
        publish(OrderRejected({ orderId: key, reason: `no ${missing?.item} left` })),
        end('no stock'),
      ]),
      anyOf([PaymentDeclined], (_seen, { key }) => [
        publish(OrderRejected({ orderId: key, reason: 'card declined' })),
        end('declined'),
      ]),
    ],
  })
  return app('shop', { services: [inventory, payment, service('fulfilment', [fulfilment])], views })
}
