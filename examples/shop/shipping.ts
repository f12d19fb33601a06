import { on, publish, type Service, service } from '../../src/index.ts'
import { OrderConfirmed, OrderShipped } from './events.ts'

/** Sends a parcel for each confirmed order. */
export const shipping: Service = service('shipping', [
  on(OrderConfirmed, { name: 'ship' }, ({ data: { orderId, customerId } }) =>
    publish(OrderShipped({ orderId, customerId, parcel: `P-${orderId}` })),
  ),
])
