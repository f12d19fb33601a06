import type { Engine, StateWrite } from '../engine/index.ts'

/** Places that are in use in this process, by engine and namespace. */
const slotsInUse = new WeakMap<Engine, Map<string, Set<number>>>()

/**
 * Ties the merged commits of one member together, so that when one is refused all those sent after it are refused too:
 * effects never become real out of their order, although two commits may be in flight.
 *
 * Each commit raises the revision of one key of the state store and expects the one before it. Members of one process take
 * different keys and use them again after a restart, so there are as many keys as there were members at once.
 */
export class CommitChain {
  readonly #engine: Engine
  readonly #namespace: string
  #slot = -1
  #revision = 0

  constructor(engine: Engine, namespace: string) {
    this.#engine = engine
    this.#namespace = namespace
  }

  /** Takes a key and reads where it stands. */
  async open(): Promise<void> {
    const slots = this.#slots()
    let slot = 0
    while (slots.has(slot)) slot++
    slots.add(slot)
    this.#slot = slot
    await this.reload()
  }

  /** After a refused commit: finds out where the chain stands. Only when nothing is in flight. */
  async reload(): Promise<void> {
    const entry = await this.#engine.state.get(this.#namespace, String(this.#slot))
    this.#revision = entry?.revision ?? 0
  }

  /** The write that puts a commit behind all those before it. */
  link(): StateWrite {
    return {
      kind: 'set',
      namespace: this.#namespace,
      key: String(this.#slot),
      value: null,
      expectedRevision: this.#revision++,
    }
  }

  close(): void {
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
