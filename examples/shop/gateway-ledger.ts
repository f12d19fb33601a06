import { hash } from 'node:crypto'
import { DatabaseSync, type StatementSync } from 'node:sqlite'
import { addMoney, type Money, zeroMoney } from './money.ts'

/** What the gateway can be asked for. */
export type GatewayRequest =
  /** Capture this amount for an order. */
  | { readonly kind: 'charge'; readonly key: string; readonly reference: string; readonly amount: Money }
  /** Give back all that was captured for an order. */
  | { readonly kind: 'refund'; readonly key: string; readonly reference: string }
  /** Pay out this amount for goods that were sent back. */
  | { readonly kind: 'payout'; readonly key: string; readonly reference: string; readonly amount: Money }

/** What the gateway answers: the same for the same key, for ever. */
export interface GatewayReply {
  readonly accepted: boolean
  readonly amount: Money
}

/** Sums of what the gateway did so far. */
export interface GatewayTotals {
  readonly charged: Money
  readonly refunded: Money
  readonly returned: Money
}

type MovementKind = GatewayRequest['kind']

const schema = `
  PRAGMA journal_mode = WAL;
  PRAGMA synchronous = FULL;
  CREATE TABLE IF NOT EXISTS movement (
    key TEXT PRIMARY KEY, kind TEXT NOT NULL, reference TEXT NOT NULL, accepted INTEGER NOT NULL, amount TEXT NOT NULL
  ) WITHOUT ROWID;
  CREATE INDEX IF NOT EXISTS movement_by_reference ON movement (reference);
  CREATE TABLE IF NOT EXISTS total (kind TEXT PRIMARY KEY, amount TEXT NOT NULL) WITHOUT ROWID;
`

/**
 * The books of the payment gateway: another company's system, so it keeps its own file and shares nothing with the shop.
 *
 * A key is booked once; asking again with it changes nothing and brings the first answer.
 */
export class GatewayLedger {
  readonly #database: DatabaseSync
  readonly #byKey: StatementSync
  readonly #capturedFor: StatementSync
  readonly #insert: StatementSync
  readonly #setTotal: StatementSync
  readonly #totals = new Map<MovementKind, Money>()
  readonly #declineShare: number

  /** @param declineShare Share of orders, 0 to 1, whose charge is declined, by a hash of the order's id. */
  constructor(path: string, declineShare: number) {
    this.#database = new DatabaseSync(path)
    this.#database.exec(schema)
    this.#declineShare = declineShare
    this.#byKey = this.#database.prepare('SELECT accepted, amount FROM movement WHERE key = ?')
    this.#capturedFor = this.#database.prepare(
      `SELECT amount FROM movement WHERE reference = ? AND kind = 'charge' AND accepted = 1`,
    )
    this.#insert = this.#database.prepare('INSERT INTO movement VALUES (?, ?, ?, ?, ?)')
    this.#setTotal = this.#database.prepare(
      'INSERT INTO total VALUES (?, ?) ON CONFLICT (kind) DO UPDATE SET amount = excluded.amount',
    )
    for (const row of this.#database.prepare('SELECT kind, amount FROM total').all()) {
      this.#totals.set(row['kind'] as MovementKind, row['amount'] as Money)
    }
  }

  get totals(): GatewayTotals {
    return {
      charged: this.#totals.get('charge') ?? zeroMoney,
      refunded: this.#totals.get('refund') ?? zeroMoney,
      returned: this.#totals.get('payout') ?? zeroMoney,
    }
  }

  /** Books all requests in one transaction with one sync. What fails here fails for all of them. */
  book(requests: readonly GatewayRequest[]): GatewayReply[] {
    this.#database.exec('BEGIN IMMEDIATE')
    try {
      const before = new Map(this.#totals)
      const replies = requests.map((request) => this.#bookOne(request))
      for (const [kind, amount] of this.#totals) {
        if (before.get(kind) !== amount) this.#setTotal.run(kind, amount)
      }
      this.#database.exec('COMMIT')
      return replies
    } catch (error) {
      if (this.#database.isTransaction) this.#database.exec('ROLLBACK')
      throw error
    }
  }

  close(): void {
    this.#database.close()
  }

  #bookOne(request: GatewayRequest): GatewayReply {
    const earlier = this.#byKey.get(request.key)
    if (earlier !== undefined) return { accepted: earlier['accepted'] === 1, amount: earlier['amount'] as Money }
    const accepted = request.kind !== 'charge' || shareOf(request.reference) >= this.#declineShare
    const amount = request.kind === 'refund' ? this.#captured(request.reference) : request.amount
    this.#insert.run(request.key, request.kind, request.reference, accepted ? 1 : 0, amount)
    if (accepted) this.#totals.set(request.kind, addMoney(this.#totals.get(request.kind) ?? zeroMoney, amount))
    return { accepted, amount }
  }

  #captured(reference: string): Money {
    let sum = zeroMoney
    for (const row of this.#capturedFor.all(reference)) sum = addMoney(sum, row['amount'] as Money)
    return sum
  }
}

/** A number from 0 (included) to 1 (excluded) that depends on the text only and spreads evenly. */
export function shareOf(text: string): number {
  return Number.parseInt(hash('sha256', text).slice(0, 12), 16) / 2 ** 48
}
