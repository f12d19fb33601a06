import { z } from 'zod'
import { event, topic } from '../../src/index.ts'
import { moneyPattern } from './money.ts'

/** An invoice may be long, in any of its columns, and so may what is told of it. */
const recordBytesMax = 67_108_864

// One topic a service: it holds what that service tells the others. A service reads the topics of the others and its own.

/** What comes in from the tills, in the order of the orders file: one partition, because places in the queue depend on it. */
const invoices = topic('shop-invoices', { partitions: 1, recordBytesMax })
const ordering = topic('shop-ordering', { partitions: 2, recordBytesMax })
const payment = topic('shop-payment', { partitions: 2, recordBytesMax })
const inventory = topic('shop-inventory', { partitions: 2, recordBytesMax })
const shipping = topic('shop-shipping', { partitions: 2, recordBytesMax })
const notification = topic('shop-notification', { partitions: 2, recordBytesMax })

/** Names of all topics of the shop. */
export const shopTopics: readonly string[] = [invoices, ordering, payment, inventory, shipping, notification].map(
  ({ name }) => name,
)

const Money = z.string().regex(moneyPattern)
const Day = z.string().length(10)
const Id = z.string().min(1)
const Customer = z.string().nullable()
/** Who comes before whom at the warehouse: 1, 2, 3, … without gaps over orders, returns and stock adjustments. */
const Place = z.int().min(1)
const Goods = z.object({ article: z.string(), quantity: z.int() })
const Line = Goods.extend({ unitPrice: Money })

/** An invoice arrived from a till. Nothing about it has been checked. */
export const InvoiceReceived = event('InvoiceReceived', {
  topic: invoices,
  kind: 'integration',
  doc: 'The rows of one invoice as they stand in the orders file.',
  data: z.object({
    invoiceId: Id,
    /** `null`: a damaged row by itself, whose number cannot be read. */
    number: z.string().nullable(),
    columns: z.array(z.string()),
    rows: z.array(z.object({ line: z.int(), cells: z.array(z.string()), damage: z.string().exactOptional() })),
  }),
  key: (d) => d.invoiceId,
})

/** A customer ordered. */
export const OrderPlaced = event('OrderPlaced', {
  topic: ordering,
  doc: 'Carries all that payment and inventory need, so that nobody has to ask back.',
  data: z.object({ orderId: Id, place: Place, customerId: Customer, day: Day, total: Money, lines: z.array(Line) }),
  key: (d) => d.orderId,
})

/** An order is paid and reserved: it will be shipped. */
export const OrderConfirmed = event('OrderConfirmed', {
  topic: ordering,
  data: z.object({ orderId: Id, customerId: Customer, day: Day, total: Money }),
  key: (d) => d.orderId,
})

/** An order will not be shipped; whatever was paid has been given back. */
export const OrderCancelled = event('OrderCancelled', {
  topic: ordering,
  data: z.object({
    orderId: Id,
    customerId: Customer,
    day: Day,
    total: Money,
    /** `withdrawn`: somebody called it off by hand. */
    reason: z.enum(['payment declined', 'out of stock', 'withdrawn', 'a fault of the shop']),
  }),
  key: (d) => d.orderId,
})

/** A customer sent goods back. */
export const GoodsReturned = event('GoodsReturned', {
  topic: ordering,
  data: z.object({ returnId: Id, place: Place, customerId: Customer, day: Day, value: Money, goods: z.array(Goods) }),
  key: (d) => d.returnId,
})

/** Somebody counted the shelves and found less than there should be. Quantities are negative. */
export const StockCounted = event('StockCounted', {
  topic: ordering,
  data: z.object({ countId: Id, place: Place, day: Day, goods: z.array(Goods) }),
  key: (d) => d.countId,
})

/** The gateway captured the money for an order. */
export const PaymentReceived = event('PaymentReceived', {
  topic: payment,
  doc: 'Carries the goods that were paid, so that inventory can reserve them without remembering every order.',
  data: z.object({ orderId: Id, place: Place, amount: Money, goods: z.array(Goods) }),
  key: (d) => d.orderId,
})

/** The gateway declined the payment of an order. */
export const PaymentDeclined = event('PaymentDeclined', {
  topic: payment,
  data: z.object({ orderId: Id, place: Place, amount: Money }),
  key: (d) => d.orderId,
})

/** An order was cancelled before its payment was known: the queue at the warehouse need not wait for it. */
export const PaymentAbandoned = event('PaymentAbandoned', {
  topic: payment,
  doc: 'Whatever the gateway had captured has been given back.',
  data: z.object({ orderId: Id, place: Place }),
  key: (d) => d.orderId,
})

/** The gateway gave back what it had captured for an order. */
export const PaymentRefunded = event('PaymentRefunded', {
  topic: payment,
  data: z.object({ orderId: Id, amount: Money }),
  key: (d) => d.orderId,
})

/** The gateway paid out the value of goods that were sent back. */
export const ReturnRefunded = event('ReturnRefunded', {
  topic: payment,
  data: z.object({ returnId: Id, customerId: Customer, amount: Money }),
  key: (d) => d.returnId,
})

/** All goods of an order are set aside for it. */
export const StockReserved = event('StockReserved', {
  topic: inventory,
  data: z.object({ orderId: Id, pieces: z.int() }),
  key: (d) => d.orderId,
})

/** At least one article of an order is not there in full; nothing was set aside. */
export const StockRejected = event('StockRejected', {
  topic: inventory,
  doc: 'Of `articles` that are missing it names the first, as many as leave the event small.',
  data: z.object({
    orderId: Id,
    articles: z.int().min(1),
    missing: z.array(z.object({ article: z.string(), wanted: z.int(), available: z.int() })),
  }),
  key: (d) => d.orderId,
})

/** Returned goods are back on the shelves. */
export const StockRestocked = event('StockRestocked', {
  topic: inventory,
  data: z.object({ returnId: Id, pieces: z.int() }),
  key: (d) => d.returnId,
})

/** The books of the warehouse follow a count. */
export const StockAdjusted = event('StockAdjusted', {
  topic: inventory,
  doc: '`pieces` left the books; `unaccounted` were reported lost although the books did not have them.',
  data: z.object({ countId: Id, pieces: z.int(), unaccounted: z.int() }),
  key: (d) => d.countId,
})

/** A parcel left the house. */
export const OrderShipped = event('OrderShipped', {
  topic: shipping,
  data: z.object({ orderId: Id, customerId: Customer, parcel: z.string() }),
  key: (d) => d.orderId,
})

/** A customer was told what happened. */
export const CustomerNotified = event('CustomerNotified', {
  topic: notification,
  kind: 'integration',
  data: z.object({ about: Id, customerId: Customer, text: z.string() }),
  key: (d) => d.about,
})
