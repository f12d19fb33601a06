import { TransactionSnapshot } from '../sql/index.ts'
import type { BatchMark } from './relay-ledger.ts'
import type { RelaySession } from './relay-session.ts'

/** So much is published at most before it is cleared. */
const rowsMax = 20_000
const batchesMax = 32

/** Rows of one commit. */
interface PublishedBatch {
  readonly ids: readonly string[]
  /** Transactions that put them in, by the lower 32 bits of their ids. */
  readonly xids: ReadonlySet<number>
  readonly mark: BatchMark | undefined
  /** The commit is known to be made. */
  isDone: boolean
}

/** What a relay has published as the log told of it, until it is cleared from the outbox. Outlasts a session. */
export class PublishedRows {
  #batches: PublishedBatch[] = []
  #rowCount = 0

  get isEmpty(): boolean {
    return this.#batches.length === 0
  }

  /** Nothing more should be published before something was cleared. */
  get isFull(): boolean {
    return this.#rowCount >= rowsMax || this.#batches.length >= batchesMax
  }

  /** What a ledger holds of them. */
  get marks(): readonly BatchMark[] {
    return this.#batches.flatMap(({ mark }) => mark ?? [])
  }

  /** A commit begins. Tell the answer when it is made. */
  add(ids: readonly string[], xids: ReadonlySet<number>, mark: BatchMark | undefined): () => void {
    const batch: PublishedBatch = { ids, xids, mark, isDone: false }
    this.#batches.push(batch)
    this.#rowCount += ids.length
    return () => {
      batch.isDone = true
    }
  }

  /** Once no commit is under way: forgets those of which it is not known whether they were made. */
  forgetUnknown(): void {
    this.#keep(this.#batches.filter(({ isDone }) => isDone))
  }

  /**
   * Clears what is published. The log tells of a transaction a moment before statements see it, and for longer where its commit waits
   * for another server: such rows wait for another time.
   */
  async clear(session: RelaySession, keep: boolean): Promise<void> {
    const done = this.#batches.filter(({ isDone }) => isDone)
    if (done.length === 0) return
    const snapshot = TransactionSnapshot.parse(await session.snapshot())
    const seen = new Set(done.filter(({ xids }) => [...xids].every((xid) => snapshot.sees(xid))))
    if (seen.size === 0) return
    await session.clear(
      [...seen].flatMap(({ ids }) => ids),
      keep,
    )
    this.#keep(this.#batches.filter((batch) => !seen.has(batch)))
  }

  #keep(batches: PublishedBatch[]): void {
    this.#batches = batches
    this.#rowCount = batches.reduce((sum, { ids }) => sum + ids.length, 0)
  }
}
