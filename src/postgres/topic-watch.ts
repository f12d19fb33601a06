import type { Clock, Timer } from '../kernel/index.ts'
import { type NamedStatement, numberOf, type StatementRunner } from './statements.ts'
import type { Partition, TopicCatalog } from './topic-catalog.ts'

/** The shortest time between two looks, in milliseconds: right after something was found. */
const pollMsLeast = 5

/**
 * Looks for what other processes append, as long as somebody waits for it: one statement for all partitions that are waited
 * for. It looks often after something was found and ever more rarely after that; a hint from another process makes it look
 * at once, but nothing rests on hints. What this process commits itself wakes who waits without a look.
 */
export class TopicWatch {
  readonly #runner: StatementRunner
  readonly #catalog: TopicCatalog
  readonly #clock: Clock
  readonly #pollMsMost: number
  readonly #ends: NamedStatement
  readonly #waitedFor = new Map<Partition, number>()
  #intervalMs: number
  #timer: Timer | undefined
  #isLooking = false
  #isHinted = false

  /** @param schema Quoted. */
  constructor(runner: StatementRunner, catalog: TopicCatalog, clock: Clock, pollMs: number, schema: string) {
    this.#runner = runner
    this.#catalog = catalog
    this.#clock = clock
    this.#pollMsMost = pollMs
    this.#intervalMs = pollMs
    this.#ends = {
      name: 'millrace_ends',
      text: `SELECT id, next_offset FROM ${schema}.partition WHERE id = ANY ($1::bigint[]) AND NOT is_deleted`,
    }
  }

  /**
   * Waits until the partition goes beyond `offset` or goes away, `waitMs` have passed, `signal` aborts (which throws its
   * reason), or {@link TopicCatalog.wake} is called.
   */
  async beyond(partition: Partition, offset: number, waitMs: number, signal: AbortSignal | undefined): Promise<void> {
    if (partition.latest > offset) return
    this.#waitedFor.set(partition, (this.#waitedFor.get(partition) ?? 0) + 1)
    this.#schedule()
    try {
      await new Promise<void>((resolve) => {
        const done = (): void => {
          unsubscribe()
          timer?.cancel()
          signal?.removeEventListener('abort', done)
          resolve()
        }
        const unsubscribe = partition.onChange(done)
        const timer = Number.isFinite(waitMs) ? this.#clock.setTimer(done, waitMs) : undefined
        signal?.addEventListener('abort', done, { once: true })
      })
      signal?.throwIfAborted()
    } finally {
      const count = (this.#waitedFor.get(partition) ?? 1) - 1
      if (count > 0) this.#waitedFor.set(partition, count)
      else this.#waitedFor.delete(partition)
      if (this.#waitedFor.size === 0) {
        this.#timer?.cancel()
        this.#timer = undefined
      }
    }
  }

  /** Another process says that something may have changed. */
  hint(): void {
    this.#intervalMs = pollMsLeast
    this.#isHinted = true
    if (this.#waitedFor.size > 0) this.#look()
  }

  #schedule(): void {
    if (this.#timer !== undefined || this.#isLooking || this.#waitedFor.size === 0) return
    this.#timer = this.#clock.setTimer(() => this.#look(), Math.min(this.#intervalMs, this.#pollMsMost), {
      unref: true,
    })
  }

  #look(): void {
    if (this.#isLooking) return
    this.#isLooking = true
    this.#isHinted = false
    this.#timer?.cancel()
    this.#timer = undefined
    const partitions = [...this.#waitedFor.keys()]
    this.#lookAt(partitions).then(
      (isChanged) => this.#looked(isChanged),
      () => {
        // Each of them looks for itself, and is told by its own statement what is the matter.
        for (const partition of partitions) partition.wake()
        this.#looked(false)
      },
    )
  }

  #looked(isChanged: boolean): void {
    this.#isLooking = false
    this.#intervalMs = isChanged ? pollMsLeast : Math.min(this.#intervalMs * 2, this.#pollMsMost)
    if (this.#isHinted && this.#waitedFor.size > 0) this.#look()
    else this.#schedule()
  }

  async #lookAt(partitions: readonly Partition[]): Promise<boolean> {
    const ids = partitions.map(({ id }) => id)
    const ends = new Map<number, number>()
    for (const row of await this.#runner.query(this.#ends, [ids])) {
      ends.set(numberOf(row, 'id'), numberOf(row, 'next_offset'))
    }
    let isChanged = false
    for (const partition of partitions) {
      const latest = ends.get(partition.id)
      isChanged ||= latest === undefined || latest > partition.latest
      if (latest !== undefined) partition.advance(latest)
    }
    if (ends.size < partitions.length) {
      await this.#catalog.refresh()
      for (const partition of partitions) if (!ends.has(partition.id)) partition.wake()
    }
    return isChanged
  }
}
