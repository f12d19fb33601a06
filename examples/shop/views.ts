import { createHash } from 'node:crypto'
import { type View, view } from '../../src/index.ts'
import { GoodsReturned, OrderCancelled, OrderConfirmed, OrderPlaced, OrderShipped, StockCounted } from './events.ts'
import { addMoney, type Money, zeroMoney } from './money.ts'

/** Where an order stands. */
export interface OrderSummary {
  readonly status: 'placed' | 'confirmed' | 'shipped' | 'cancelled'
  readonly customerId: string | null
  readonly day: string
  readonly total: Money
  readonly lines: number
  /** Why it was cancelled. */
  readonly reason: string | null
  readonly parcel: string | null
}

const unknownOrder: OrderSummary = {
  status: 'placed',
  customerId: null,
  day: '',
  total: zeroMoney,
  lines: 0,
  reason: null,
  parcel: null,
}

/** Order Summary: one order, by its id. The parcel comes on another topic and may be seen before the confirmation. */
export const orderSummary: View<OrderSummary> = view('order-summary', {
  events: [OrderPlaced, OrderConfirmed, OrderCancelled, OrderShipped],
  key: (event) => event.data.orderId,
  initial: unknownOrder,
  on: {
    OrderPlaced: (order, { data: { customerId, day, total, lines } }) => ({
      ...order,
      customerId,
      day,
      total,
      lines: lines.length,
    }),
    OrderConfirmed: (order) => ({ ...order, status: order.parcel === null ? 'confirmed' : 'shipped' }),
    OrderCancelled: (order, { data }) => ({ ...order, status: 'cancelled', reason: data.reason }),
    OrderShipped: (order, { data }) => ({ ...order, status: 'shipped', parcel: data.parcel }),
  },
})

/** What a customer ordered. */
export interface CustomerOrders {
  readonly placed: number
  readonly confirmed: number
  readonly cancelled: number
  /** Value of the confirmed orders. */
  readonly spent: Money
  /** Ids of the newest orders, the newest last. Bounded, so that a loyal customer costs no more than a new one. */
  readonly newest: readonly string[]
}

const newestMax = 10

const newCustomer: CustomerOrders = { placed: 0, confirmed: 0, cancelled: 0, spent: zeroMoney, newest: [] }

/** The key of a customer: his id, or its hash where it is longer than keys may be. */
export function customerKey(customerId: string): string {
  if (Buffer.byteLength(customerId) <= customerKeyBytesMax) return customerId
  return `sha256:${createHash('sha256').update(customerId).digest('hex')}`
}

/** Keys have 700 bytes, of which some characters take three. */
const customerKeyBytesMax = 200

/** Customer Orders: one customer, by {@link customerKey}. Guests have none. */
export const customerOrders: View<CustomerOrders> = view('customer-orders', {
  events: [OrderPlaced, OrderConfirmed, OrderCancelled],
  key: ({ data: { customerId } }) => (customerId === null ? undefined : customerKey(customerId)),
  initial: newCustomer,
  on: {
    OrderPlaced: (customer, { data }) => ({
      ...customer,
      placed: customer.placed + 1,
      newest: [...customer.newest, data.orderId].slice(-newestMax),
    }),
    OrderConfirmed: (customer, { data }) => ({
      ...customer,
      confirmed: customer.confirmed + 1,
      spent: addMoney(customer.spent, data.total),
    }),
    OrderCancelled: (customer) => ({ ...customer, cancelled: customer.cancelled + 1 }),
  },
})

/** What happened to the invoices of one day. */
export interface Day {
  readonly placed: number
  readonly confirmed: number
  readonly cancelled: number
  readonly returns: number
  readonly stockAdjustments: number
  /** Value of all orders placed. */
  readonly ordered: Money
  /** Value of the confirmed orders. */
  readonly revenue: Money
  /** Value of the goods that came back. */
  readonly returned: Money
}

const newDay: Day = {
  placed: 0,
  confirmed: 0,
  cancelled: 0,
  returns: 0,
  stockAdjustments: 0,
  ordered: zeroMoney,
  revenue: zeroMoney,
  returned: zeroMoney,
}

/** Daily Revenue: one day, `YYYY-MM-DD`, by the date of the invoice. */
export const dailyRevenue: View<Day> = view('daily-revenue', {
  events: [OrderPlaced, OrderConfirmed, OrderCancelled, GoodsReturned, StockCounted],
  key: (event) => event.data.day,
  initial: newDay,
  on: {
    OrderPlaced: (day, { data }) => ({ ...day, placed: day.placed + 1, ordered: addMoney(day.ordered, data.total) }),
    OrderConfirmed: (day, { data }) => ({
      ...day,
      confirmed: day.confirmed + 1,
      revenue: addMoney(day.revenue, data.total),
    }),
    OrderCancelled: (day) => ({ ...day, cancelled: day.cancelled + 1 }),
    GoodsReturned: (day, { data }) => ({
      ...day,
      returns: day.returns + 1,
      returned: addMoney(day.returned, data.value),
    }),
    StockCounted: (day) => ({ ...day, stockAdjustments: day.stockAdjustments + 1 }),
  },
})
