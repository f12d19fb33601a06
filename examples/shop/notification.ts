import { on, publish, type Service, service } from '../../src/index.ts'
import { CustomerNotified, OrderCancelled, OrderShipped, ReturnRefunded } from './events.ts'
import { printMoney } from './money.ts'

/** Tells customers, guests included, how their order or return ended. */
export const notification: Service = service('notification', [
  on(OrderShipped, { name: 'shipped' }, ({ data: { orderId, customerId, parcel } }) =>
    publish(CustomerNotified({ about: orderId, customerId, text: `Your order ${orderId} is on its way: ${parcel}.` })),
  ),
  on(OrderCancelled, { name: 'cancelled' }, ({ data: { orderId, customerId, reason } }) =>
    publish(CustomerNotified({ about: orderId, customerId, text: `Your order ${orderId} is cancelled: ${reason}.` })),
  ),
  on(ReturnRefunded, { name: 'refunded' }, ({ data: { returnId, customerId, amount } }) =>
    publish(CustomerNotified({ about: returnId, customerId, text: `We paid back £${printMoney(amount)}.` })),
  ),
])
