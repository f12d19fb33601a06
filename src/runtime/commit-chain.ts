import type { Engine, StateWrite } from '../engine/index.ts'
import { InvariantError } from '../kernel/index.ts'
import type { PartitionReader } from './partition-reader.ts'

/** Places that are in use in this process, by engine and namespace. */
const slotsInUse = new WeakMap<Engine, Map<string, Set<number>>>()

/**
 * Ties the merged commits of one member together, so that when one is refused all those sent after it are refused too:
 * effects never become real out of their order, although two commits may be in flight.
 *
 * Each commit raises the revision of one key of the state store and expects the one before it. Members of one process take
 * different keys and use them again after a restart, so there are as many keys as there were members at once. Where state
 * lives with the owner of a partition, there is a key for each partition on which a commit makes progress.
 */
export class CommitChain {
  readonly #engine: Engine
  readonly #namespace: string
  /** Where state lives with the owner of a partition. */
  readonly #revisions: WeakMap<PartitionReader, number> | undefined
  #slot = -1
  #revision = 0

  constructor(engine: Engine, namespace: string) {
    this.#engine = engine
    this.#namespace = namespace
    this.#revisions = engine.capabilities.ownedState === true ? new WeakMap() : undefined
  }

  /** Takes a key and reads where it stands. */
  async open(): Promise<void> {
    if (this.#revisions !== undefined) return
    const slots = this.#slots()
    let slot = 0
    while (slots.has(slot)) slot++
    slots.add(slot)
    this.#slot = slot
    await this.reload()
  }

  /** After a refused commit: finds out where the chain stands. Only when nothing is in flight. */
  async reload(): Promise<void> {
    if (this.#revisions !== undefined) return
    const entry = await this.#engine.state.get(this.#namespace, String(this.#slot))
    this.#revision = entry?.revision ?? 0
  }

  /** A partition is about to be read: finds out where its chain stands. Only when nothing of it is in flight. */
  async openPartition(reader: PartitionReader): Promise<void> {
    if (this.#revisions === undefined) return
    const entry = await this.#engine.state.get(this.#namespace, keyOf(reader), reader.claim)
    this.#revisions.set(reader, entry?.revision ?? 0)
  }

  /** The writes that put a commit, which makes progress on some partitions, behind all those before it. */
  links(readers: readonly PartitionReader[]): readonly StateWrite[] {
    const revisions = this.#revisions
    if (revisions === undefined) return [this.#link(String(this.#slot), this.#revision++)]
    return readers.map((reader) => {
      const revision = revisions.get(reader)
      if (revision === undefined) throw new InvariantError('a partition makes progress only once its chain is known')
      revisions.set(reader, revision + 1)
      return { ...this.#link(keyOf(reader), revision), owner: reader.claim }
    })
  }

  #link(key: string, expectedRevision: number): StateWrite & { readonly kind: 'set' } {
    return { kind: 'set', namespace: this.#namespace, key, value: null, expectedRevision }
  }

  close(): void {
    if (this.#revisions !== undefined) return
    this.#slots().delete(this.#slot)
  }

  #slots(): Set<number> {
    let byNamespace = slotsInUse.get(this.#engine)
    if (byNamespace === undefined) {
      byNamespace = new Map()
      slotsInUse.set(this.#engine, byNamespace)
    }
    let slots = byNamespace.get(this.#namespace)
    if (slots === undefined) {
      slots = new Set()
      byNamespace.set(this.#namespace, slots)
    }
    return slots
  }
}

function keyOf({ topic, partition }: PartitionReader): string {
  return `${topic}/${partition}`
}
