import type { Engine, StateWrite, Together } from '../engine/index.ts'
import { InvariantError } from '../kernel/index.ts'
import type { PartitionReader } from './partition-reader.ts'

/** One key of a chain, and the readers that stand behind it. */
interface Link {
  revision: number
  readonly readers: Set<PartitionReader>
}

/**
 * Ties the merged commits of one member together, so that when one is refused those sent after it are refused too: effects of
 * a key never become real out of their order, although two commits may be in flight.
 *
 * Each commit raises the revision of a key of the state store and expects the one before it: one key for each partition on
 * which it makes progress, and one for those together whose messages may have ordering keys in common. A partition has one
 * owner, so members do not get in each other's way.
 */
export class CommitChain {
  readonly #engine: Engine
  readonly #namespace: string
  readonly #together: Together | undefined
  readonly #links = new Map<string, Link>()

  constructor(engine: Engine, namespace: string, together: Together | undefined) {
    this.#engine = engine
    this.#namespace = namespace
    // State that lives with the owner of a partition cannot be shared by partitions.
    this.#together = engine.capabilities.ownedState === true ? undefined : together
  }

  /**
   * A partition is about to be read: finds out where its chain stands. Only when nothing of it is in flight.
   *
   * @param isCurrent Whether that is still of interest.
   */
  async open(reader: PartitionReader, isCurrent: () => boolean): Promise<void> {
    const key = this.#keyOf(reader)
    if (!this.#links.has(key)) {
      const entry = await this.#engine.state.get(this.#namespace, key, reader.claim)
      if (!isCurrent()) return
      if (!this.#links.has(key)) this.#links.set(key, { revision: entry?.revision ?? 0, readers: new Set() })
    }
    this.#links.get(key)?.readers.add(reader)
  }

  /** The writes that put a commit, which makes progress on some partitions, behind all those before it. */
  links(readers: readonly PartitionReader[]): readonly StateWrite[] {
    const linked = new Set<string>()
    const writes: StateWrite[] = []
    for (const reader of readers) {
      const key = this.#keyOf(reader)
      if (linked.has(key)) continue
      linked.add(key)
      const link = this.#links.get(key)
      if (link === undefined) throw new InvariantError('a partition makes progress only once its chain is known')
      const expectedRevision = link.revision++
      const { claim: owner } = reader
      writes.push({ kind: 'set', namespace: this.#namespace, key, value: null, expectedRevision, owner })
    }
    return writes
  }

  /** Forgets a partition, or all: the next owner raises the revisions, and after a refused commit nobody knows them. */
  forget(reader?: PartitionReader): void {
    for (const [key, { readers }] of this.#links) {
      if (reader !== undefined) readers.delete(reader)
      if (reader === undefined || readers.size === 0) this.#links.delete(key)
    }
  }

  #keyOf({ topic, partition }: PartitionReader): string {
    if (this.#together === 'all') return 'all'
    return this.#together === 'numbers' ? String(partition) : `${topic}/${partition}`
  }
}
