import type { MessageOf } from '../../src/index.ts'
import { type Handler, on, publish, type Service, service, set } from '../../src/index.ts'
import {
  GoodsReturned,
  PaymentAbandoned,
  PaymentDeclined,
  PaymentReceived,
  StockAdjusted,
  StockCounted,
  StockRejected,
  StockReserved,
  StockRestocked,
} from './events.ts'
import { emptyWarehouse, type Missing, type Outcome, piecesOf, receive, type Step } from './warehouse.ts'

/**
 * Sets goods aside for paid orders, and keeps the books of the warehouse.
 *
 * @param stockPerArticle Pieces of every article that are there at the start; `null`: they never run out, so there are no
 *   books to keep.
 */
export function inventory(stockPerArticle: number | null): Service {
  return service('inventory', stockPerArticle === null ? endlessStock : [limitedStock(stockPerArticle)])
}

const endlessStock: readonly Handler[] = [
  on(PaymentReceived, { name: 'reserve' }, ({ data: { orderId, goods } }) =>
    publish(StockReserved({ orderId, pieces: piecesOf(goods) })),
  ),
  on(GoodsReturned, { name: 'restock' }, ({ data: { returnId, goods } }) =>
    publish(StockRestocked({ returnId, pieces: piecesOf(goods) })),
  ),
  on(StockCounted, { name: 'adjust' }, ({ data: { countId, goods } }) =>
    publish(StockAdjusted({ countId, pieces: -piecesOf(goods), unaccounted: 0 })),
  ),
]

/** An order takes all of its articles or none, so the whole warehouse is one state: one decision at a time. */
function limitedStock(stockPerArticle: number): Handler {
  return on(
    [PaymentReceived, PaymentDeclined, PaymentAbandoned, GoodsReturned, StockCounted],
    { name: 'warehouse', key: () => 'warehouse', state: { initial: emptyWarehouse(stockPerArticle) } },
    (message, warehouse) => {
      const { next, outcomes } = receive(warehouse, message.data.place, stepOf(message))
      return [set(next), outcomes.length > 0 && publish(outcomes.map(eventOf))]
    },
  )
}

type Asked = MessageOf<
  typeof PaymentReceived | typeof PaymentDeclined | typeof PaymentAbandoned | typeof GoodsReturned | typeof StockCounted
>

function stepOf(message: Asked): Step {
  switch (message.type) {
    case 'PaymentReceived':
      return { kind: 'reserve', id: message.data.orderId, goods: message.data.goods }
    case 'PaymentDeclined':
    case 'PaymentAbandoned':
      return { kind: 'pass' }
    case 'GoodsReturned':
      return { kind: 'restock', id: message.data.returnId, goods: message.data.goods }
    case 'StockCounted':
      return { kind: 'adjust', id: message.data.countId, goods: message.data.goods }
  }
}

function eventOf(
  outcome: Outcome,
): MessageOf<typeof StockReserved | typeof StockRejected | typeof StockRestocked | typeof StockAdjusted> {
  const { id } = outcome
  switch (outcome.kind) {
    case 'reserved':
      return StockReserved({ orderId: id, pieces: outcome.pieces })
    case 'rejected':
      return StockRejected({ orderId: id, articles: outcome.missing.length, missing: fewOf(outcome.missing) })
    case 'restocked':
      return StockRestocked({ returnId: id, pieces: outcome.pieces })
    case 'adjusted':
      return StockAdjusted({ countId: id, pieces: outcome.pieces, unaccounted: outcome.unaccounted })
  }
}

/** So many missing articles are named at most. */
const missingCountMax = 100
/** So many characters of article numbers fit into an event that stays small. */
const missingCharsMax = 10_000

/** The first ones, so that no order is too long for the event that tells of it. */
function fewOf(missing: readonly Missing[]): Missing[] {
  let chars = 0
  const beyond = missing.findIndex(({ article }) => {
    chars += article.length
    return chars > missingCharsMax
  })
  return missing.slice(0, Math.min(missingCountMax, beyond < 0 ? missing.length : beyond))
}
