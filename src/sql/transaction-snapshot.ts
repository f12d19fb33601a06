import { InvariantError } from '../kernel/index.ts'

const snapshotPattern = /^(\d+):(\d+):((?:\d+,)*\d+)?$/

/** Which transactions a snapshot sees, as `pg_current_snapshot()` tells it (PostgreSQL manual, section 9.27.8, `pg_snapshot`). */
export class TransactionSnapshot {
  /** All transactions before are over. */
  readonly xmin: bigint
  /** None from here on is seen. */
  readonly xmax: bigint
  readonly #running: ReadonlySet<bigint>

  private constructor(xmin: bigint, xmax: bigint, running: ReadonlySet<bigint>) {
    this.xmin = xmin
    this.xmax = xmax
    this.#running = running
  }

  /** @throws InvariantError where the text is no snapshot */
  static parse(text: string): TransactionSnapshot {
    const match = snapshotPattern.exec(text)
    if (match === null) throw new InvariantError(`${JSON.stringify(text)} is a snapshot`)
    const running = (match[3] ?? '').split(',').filter((id) => id !== '')
    return new TransactionSnapshot(
      BigInt(match[1] as string),
      BigInt(match[2] as string),
      new Set(running.map((id) => BigInt(id))),
    )
  }

  /** Whether it sees a committed transaction, of whose id the stream of changes sends the lower 32 bits. */
  sees(xid: number): boolean {
    // Transactions that matter are less than 2³¹ away from each other, or the server would have stopped.
    const id = this.xmax + BigInt.asIntN(32, BigInt(xid) - this.xmax)
    return id < this.xmin || (id < this.xmax && !this.#running.has(id))
  }
}
