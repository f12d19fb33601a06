import { z } from 'zod'
import { event } from '../../src/index.ts'

const order = { orderId: z.string() }
const key = (data: { readonly orderId: string }): string => data.orderId

export const OrderPlaced = event('OrderPlaced', {
  topic: 'orders',
  data: z.object({ ...order, item: z.string(), card: z.string() }),
  key,
})
export const OrderConfirmed = event('OrderConfirmed', {
  topic: 'orders',
  data: z.object({ ...order, receipt: z.string() }),
  key,
})
export const OrderRejected = event('OrderRejected', {
  topic: 'orders',
  data: z.object({ ...order, reason: z.string() }),
  key,
})
export const StockReserved = event('StockReserved', {
  topic: 'stock',
  data: z.object({ ...order, card: z.string() }),
  key,
})
export const StockMissing = event('StockMissing', {
  topic: 'stock',
  data: z.object({ ...order, item: z.string() }),
  key,
})
export const PaymentReceived = event('PaymentReceived', {
  topic: 'payments',
  data: z.object({ ...order, receipt: z.string() }),
  key,
})
export const PaymentDeclined = event('PaymentDeclined', { topic: 'payments', data: z.object(order), key })
