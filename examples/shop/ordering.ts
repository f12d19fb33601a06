import { none, on, publish, remove, type Service, service, set } from '../../src/index.ts'
import { InvoiceUnreadableError } from './errors.ts'
import {
  GoodsReturned,
  InvoiceReceived,
  OrderCancelled,
  OrderConfirmed,
  OrderPlaced,
  PaymentDeclined,
  PaymentRefunded,
  StockCounted,
  StockReserved,
} from './events.ts'
import { type InvoiceLine, readInvoice } from './invoice-rules.ts'
import type { Money } from './money.ts'
import type { SagaKind } from './saga-kind.ts'

/** What ordering remembers of an order that is open. */
interface OpenOrder {
  readonly customerId: string | null
  readonly day: string
  readonly total: Money
}

/** How payment and inventory answered. */
type Verdict = 'reserved' | 'payment declined' | 'out of stock'

interface OrderProcess {
  readonly order: OpenOrder | null
  readonly verdict: Verdict | null
}

const nothingKnown: OrderProcess = { order: null, verdict: null }

/**
 * Turns invoices into orders, returns and stock adjustments, and gives each its place in the queue. What cannot be read is
 * not tried again: it goes to the dead letters, and takes no place.
 */
const readInvoices = on(
  InvoiceReceived,
  { name: 'invoices', key: () => 'queue', state: { initial: { places: 0 } }, retry: none },
  ({ data }, state) => {
    const invoice = readInvoice(data)
    if (invoice.kind === 'unreadable') throw new InvoiceUnreadableError(data.number, invoice.problems)
    const place = state.places + 1
    const { customerId, day } = invoice
    const id = data.invoiceId
    const taken = set({ places: place })
    switch (invoice.kind) {
      case 'order': {
        const { total, lines } = invoice
        return [taken, publish(OrderPlaced({ orderId: id, place, customerId, day, total, lines: [...lines] }))]
      }
      case 'return': {
        const goods = goodsOf(invoice.lines)
        return [taken, publish(GoodsReturned({ returnId: id, place, customerId, day, value: invoice.value, goods }))]
      }
      case 'adjustment':
        return [taken, publish(StockCounted({ countId: id, place, day, goods: goodsOf(invoice.lines) }))]
    }
  },
)

/**
 * Follows each order until it is confirmed or cancelled, and then forgets it.
 *
 * The order and the verdict on it come on different topics, so either may be seen first.
 */
const followOrders = on(
  [OrderPlaced, StockReserved, PaymentDeclined, PaymentRefunded],
  { name: 'orders', state: { initial: nothingKnown } },
  (message, state) => {
    const next: OrderProcess =
      message.type === 'OrderPlaced'
        ? { ...state, order: { customerId: message.data.customerId, day: message.data.day, total: message.data.total } }
        : { ...state, verdict: verdictOf(message.type) }
    if (next.order === null || next.verdict === null) return set(next)
    const order = { orderId: message.data.orderId, ...next.order }
    const outcome =
      next.verdict === 'reserved' ? OrderConfirmed(order) : OrderCancelled({ ...order, reason: next.verdict })
    return [remove(), publish(outcome)]
  },
)

function verdictOf(type: 'StockReserved' | 'PaymentDeclined' | 'PaymentRefunded'): Verdict {
  if (type === 'StockReserved') return 'reserved'
  return type === 'PaymentDeclined' ? 'payment declined' : 'out of stock'
}

function goodsOf(lines: readonly InvoiceLine[]): { article: string; quantity: number }[] {
  return lines.map(({ article, quantity }) => ({ article, quantity }))
}

/** Takes orders in and, unless a saga conducts, decides in the end whether they are confirmed or cancelled. */
export function ordering(saga: SagaKind): Service {
  return service('ordering', saga === 'choreography' ? [readInvoices, followOrders] : [readInvoices])
}
