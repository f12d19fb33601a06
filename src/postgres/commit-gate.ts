import type { CommitQueue, PlaceCatalog } from '../committing/index.ts'
import { type CommitOutcome, PartitionUnknownError, TopicUnknownError, type WriteBatch } from '../engine/index.ts'

/** A catalogue that can be brought up to date. */
interface Catalog extends PlaceCatalog {
  refresh(): Promise<void>
}

/**
 * Lets commits into the queue in the order of the calls. One that names a topic which this process does not know has to
 * wait until it has asked the server, because another process may just have created it; the commits behind it wait too.
 */
export class CommitGate {
  readonly #queue: CommitQueue
  readonly #catalog: Catalog
  /** The last commit that waits; undefined: none does. */
  #last: Promise<unknown> | undefined

  constructor(queue: CommitQueue, catalog: Catalog) {
    this.#queue = queue
    this.#catalog = catalog
  }

  commit(batch: WriteBatch, signal: AbortSignal | undefined): Promise<CommitOutcome> {
    const isKnown = this.#knowsAll(batch)
    if (isKnown && this.#last === undefined) return this.#enter(batch, signal)
    const before = this.#last ?? Promise.resolve()
    const entered = before.then(async () => {
      if (!isKnown && !this.#knowsAll(batch)) await this.#catalog.refresh()
      // In an object: the next commit enters after this one, not after its answer.
      return { outcome: this.#enter(batch, signal) }
    })
    const last = entered.then(
      ({ outcome }) => void outcome.catch(() => undefined),
      () => undefined,
    )
    this.#last = last
    const forget = (): void => {
      if (this.#last === last) this.#last = undefined
    }
    last.then(forget, forget)
    return entered.then(({ outcome }) => outcome)
  }

  /** Resolves when every commit made before has entered the queue. */
  async settled(): Promise<void> {
    await this.#last
  }

  /** A topic that another process made anew is found out about by what the server refuses: nothing of it was stored. */
  #enter(batch: WriteBatch, signal: AbortSignal | undefined): Promise<CommitOutcome> {
    return this.#queue.commit(batch, signal).catch(async (error: unknown) => {
      if (!(error instanceof TopicUnknownError) || !this.#knowsAll(batch)) throw error
      await this.#catalog.refresh()
      if (!this.#knowsAll(batch)) throw error
      return this.#queue.commit(batch, signal)
    })
  }

  #knowsAll({ publish = [], progress = [] }: WriteBatch): boolean {
    return (
      publish.every(({ topic, partition = 0 }) => this.#knows(topic, partition)) &&
      progress.every(({ claim }) => this.#knows(claim.topic, claim.partition))
    )
  }

  #knows(topic: string, partition: number): boolean {
    try {
      return this.#catalog.partition(topic, partition) !== undefined
    } catch (error) {
      if (error instanceof TopicUnknownError || error instanceof PartitionUnknownError) return false
      throw error
    }
  }
}
