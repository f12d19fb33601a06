import type { Claim, Conflict, Engine } from '../engine/index.ts'
import type { Clock } from '../kernel/index.ts'
import { identityOf, type Message } from '../message/index.ts'
import type { CommitBatch } from './commit-batch.ts'
import { dedupeNamespace, dedupePrefix } from './namespaces.ts'

/**
 * Remembers which messages a handler has handled, by id and source, for at least one window of time and at most two.
 *
 * Time is cut into buckets of one window, each its own namespace: what is looked up is the bucket at hand and those beside
 * it, what is older is cleared as a whole. What is remembered is committed with the effects of the message.
 *
 * Two members that handle a message at the border of two buckets may each take another one for the bucket at hand, and
 * each may have looked before the other's commit. So a commit that remembers a message in one bucket also expects that
 * it stands in neither of those beside it. The later bucket is among them for clocks that are behind, by up to a window.
 */
export class Dedupe {
  readonly #engine: Engine
  readonly #group: string
  readonly #windowMs: number
  readonly #clock: Clock
  /** Ids that are known to have been handled, with the bucket in which that is remembered. */
  readonly #known = new Map<string, number>()
  /** Ids whose commit is not done yet. */
  readonly #pending = new Set<string>()
  readonly #isTogether: boolean
  /** Buckets before this one are gone, by whose they were. */
  readonly #clearedBefore = new Map<string, number>()

  /** @param isTogether One member works on all partitions of the group. */
  constructor(engine: Engine, group: string, windowMs: number, clock: Clock, isTogether: boolean) {
    this.#engine = engine
    this.#group = group
    this.#windowMs = windowMs
    this.#clock = clock
    this.#isTogether = isTogether
  }

  /** Looks messages of one partition up, all in one go. */
  async load(messages: readonly Message[], claim: Claim): Promise<void> {
    if (this.#known.size > knownMax) this.#known.clear()
    const byOwner = Map.groupBy(messages, (message) => this.#ownerOf(message, claim))
    await Promise.all([...byOwner].map(([owner, own]) => this.#load([...new Set(own.map(identityOf))], owner)))
  }

  async #load(ids: readonly string[], owner: Claim | undefined): Promise<void> {
    const bucket = this.#bucket()
    await this.#clearOld(bucket, owner)
    const buckets = [bucket + 1, bucket, bucket - 1]
    const found = await Promise.all(
      buckets.map((one) => this.#engine.state.getMany(dedupeNamespace(this.#group, one), ids, owner)),
    )
    for (const [index, id] of ids.entries()) {
      const at = found.findIndex((entries) => entries[index] !== undefined)
      if (at >= 0) this.#known.set(id, buckets[at] as number)
    }
  }

  isKnown(message: Message): boolean {
    const id = identityOf(message)
    return (this.#known.get(id) ?? Number.NEGATIVE_INFINITY) >= this.#bucket() - 1 || this.#pending.has(id)
  }

  /** Of several members that handle the same message at once, one gets through: the others expect what is not so. */
  remember(message: Message, batch: CommitBatch, claim: Claim): void {
    if (this.isKnown(message)) return
    const id = identityOf(message)
    const bucket = this.#bucket()
    this.#pending.add(id)
    const namespace = dedupeNamespace(this.#group, bucket)
    const owner = this.#ownerOf(message, claim)
    const owned = owner !== undefined && { owner }
    batch.addOtherState({ kind: 'set', namespace, key: id, value: null, expectedRevision: 0, ...owned })
    for (const beside of [bucket - 1, bucket + 1]) {
      batch.addOtherState({
        kind: 'delete',
        namespace: dedupeNamespace(this.#group, beside),
        key: id,
        expectedRevision: 0,
        ...owned,
      })
    }
    batch.afterCommit.push(() => {
      this.#pending.delete(id)
      this.#known.set(id, bucket)
    })
  }

  /** Whether a commit was refused because somebody else remembered its message first. */
  isAbout(conflict: Conflict): boolean {
    return conflict.kind === 'revision' && conflict.namespace.startsWith(dedupePrefix(this.#group))
  }

  /** The commit that would have remembered it was not made. */
  forget(message: Message): void {
    this.#pending.delete(identityOf(message))
  }

  clear(): void {
    this.#known.clear()
    this.#pending.clear()
    this.#clearedBefore.clear()
  }

  #bucket(): number {
    return Math.floor(this.#clock.nowMs() / this.#windowMs)
  }

  /** A repeated message has the key of the first, and so its partition; without a key it may come from any. */
  #ownerOf(message: Message, claim: Claim): Claim | undefined {
    return message.partitionkey === undefined && !this.#isTogether ? undefined : claim
  }

  async #clearOld(bucket: number, owner: Claim | undefined): Promise<void> {
    const isOwned = this.#engine.capabilities.ownedState === true && owner !== undefined
    const place = isOwned ? `${owner.topic}/${owner.partition}/${owner.epoch}` : ''
    if (bucket <= (this.#clearedBefore.get(place) ?? Number.NEGATIVE_INFINITY)) return
    const prefix = dedupePrefix(this.#group)
    const old = (await this.#engine.state.namespaces(prefix, owner)).filter((name) => {
      const of = Number(name.slice(prefix.length))
      // One more than is looked at: a member whose clock is behind may still look at it.
      return Number.isInteger(of) && of < bucket - 2
    })
    if (old.length > 0) {
      const owned = owner !== undefined && { owner }
      await this.#engine.commit({ state: old.map((namespace) => ({ kind: 'clear', namespace, ...owned })) })
    }
    this.#clearedBefore.set(place, bucket)
  }
}

/** Known ids are kept beyond the chunk they were looked up for, as tasks may wait in their lanes. */
const knownMax = 100_000
