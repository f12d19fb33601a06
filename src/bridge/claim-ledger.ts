import {
  type Claim,
  type Engine,
  type OffsetRange,
  OffsetSet,
  type Progress,
  type StateWrite,
} from '../engine/index.ts'
import type { Json } from '../kernel/index.ts'

/** Ranges of progress that may stand one by one before they are put together. */
const looseRangesMax = 64
/** How long the mark of an owner that was replaced stays: far longer than anything that it sent can be under way. */
const fenceKeptMs = 24 * 60 * 60 * 1000
const pageMax = 10_000
/** Digits of an offset in a key, so that keys sort as offsets do. */
const numberLength = 16

/** Namespace in which the store keeps a group's progress on topics of another engine. */
export function progressNamespace(group: string): string {
  return `${progressPrefix}${group}`
}

export const progressPrefix = 'progress:'

/** What stands under `<topic>/<partition>/at`. */
interface Base {
  readonly next: number
  readonly done: readonly (readonly [number, number])[]
  /** Whose commits count; `null`: nobody's. */
  readonly owner: string | null
  /** Epoch of the owner's claim. */
  readonly epoch: number
}

/** One partition's progress as it stands in the store. */
export interface StoredProgress {
  readonly offsets: OffsetSet
  readonly owner: string | null
  readonly epoch: number
  /** Of the base; 0: there is none. */
  readonly revision: number
  /** Keys of the ranges that stand one by one. */
  readonly rangeKeys: readonly string[]
}

/** Where the progress of a group on one partition stands. */
export class ProgressPlace {
  readonly namespace: string
  readonly #prefix: string

  constructor(group: string, topic: string, partition: number) {
    this.namespace = progressNamespace(group)
    this.#prefix = `${topic}/${partition}/`
  }

  get baseKey(): string {
    return `${this.#prefix}at`
  }

  get donePrefix(): string {
    return `${this.#prefix}done/`
  }

  get fencedPrefix(): string {
    return `${this.#prefix}fenced/`
  }

  /** One range, one key: of two that begin alike, neither is overwritten by the other, or removed with it. */
  doneKey({ from, to }: OffsetRange): string {
    return `${this.donePrefix}${numberText(from)}-${numberText(to)}`
  }

  /** Where the range of a key begins. Keys of before end with that. */
  doneFrom(key: string): number {
    const start = this.donePrefix.length
    return Number(key.slice(start, start + numberLength))
  }

  setBase(base: Base, expectedRevision?: number): StateWrite {
    const value: Json = { ...base, done: base.done.map(([from, to]) => [from, to]) }
    const { namespace, baseKey: key } = this
    return { kind: 'set', namespace, key, value, ...(expectedRevision !== undefined && { expectedRevision }) }
  }

  remove(key: string): StateWrite {
    return { kind: 'delete', namespace: this.namespace, key }
  }
}

/** The group, topic and partition that a key of a progress namespace speaks of. */
export function partitionOfKey(key: string): { readonly topic: string; readonly partition: number } | undefined {
  const [topic, partition] = key.split('/')
  return topic === undefined || partition === undefined ? undefined : { topic, partition: Number(partition) }
}

/** Reads what stands there; `undefined`: nothing does. */
export async function readProgress(store: Engine, place: ProgressPlace): Promise<StoredProgress | undefined> {
  const entry = await store.state.get(place.namespace, place.baseKey)
  if (entry === undefined) return undefined
  const { next, done, owner, epoch } = entry.value as unknown as Base
  const offsets = new OffsetSet({ next, done: done.map(([from, to]) => ({ from, to })) })
  const rangeKeys: string[] = []
  for (let after: string | undefined; ; ) {
    const options = { prefix: place.donePrefix, limit: pageMax, ...(after !== undefined && { after }) }
    const page = await store.state.range(place.namespace, options)
    for (const { key, value } of page) {
      offsets.add(place.doneFrom(key), value as number)
      rangeKeys.push(key)
    }
    if (page.length < pageMax) break
    after = page.at(-1)?.key
  }
  return { offsets, owner, epoch, revision: entry.revision, rangeKeys }
}

/** Writes a new start, for nobody yet: of a group that is reset. Whatever the owner before has on its way comes to nothing. */
export async function resetProgress(store: Engine, place: ProgressPlace, next: number, nowMs: number): Promise<void> {
  for (;;) {
    const before = await readProgress(store, place)
    await fence(store, place, before?.owner ?? null, nowMs)
    const last = await readProgress(store, place)
    const base = { next, done: [], owner: null, epoch: before?.epoch ?? 0 }
    const ranges = (last?.rangeKeys ?? []).map((key) => place.remove(key))
    const { ok } = await store.commit({ state: [place.setBase(base, before?.revision ?? 0), ...ranges] })
    if (ok) return
  }
}

/** Marks an owner: no commit of his counts from here on. */
async function fence(store: Engine, place: ProgressPlace, owner: string | null, nowMs: number): Promise<void> {
  if (owner === null) return
  const key = `${place.fencedPrefix}${owner}`
  await store.commit({ state: [{ kind: 'set', namespace: place.namespace, key, value: nowMs }] })
}

/**
 * One claim whose progress is kept in another engine than the one that gave it.
 *
 * Taking it over marks the owner before as fenced. Each commit of an owner carries a guard: that no such mark stands
 * against itself. So a commit that was sent before the claim was lost and arrives after it is refused, whatever the engine
 * of the topics knows of that. Ranges of progress are keys of their own: commits of one owner do not wait for each other, and
 * one that is refused takes nothing of the others along.
 */
export class ClaimLedger {
  readonly claim: Claim
  readonly progress: Progress
  readonly #place: ProgressPlace
  readonly #owner: string
  /** What is durable. */
  readonly #durable: OffsetSet
  #looseKeys: string[] = []

  private constructor(claim: Claim, place: ProgressPlace, owner: string, progress: Progress) {
    this.claim = claim
    this.progress = progress
    this.#place = place
    this.#owner = owner
    this.#durable = new OffsetSet(progress)
  }

  /**
   * Makes the owner of a claim the one whose commits count. `undefined`: a later owner was there before.
   *
   * @param start Where a group without progress begins.
   * @param owner Unique for this ownership.
   * @param isOurs Whether the claim is still the owner's, now. Asked where one of a later epoch stands: epochs begin anew when
   * the engine that counts them has forgotten the group, as Kafka does with one that nobody was in for a while.
   */
  static async take(
    store: Engine,
    claim: Claim,
    start: Progress,
    owner: string,
    nowMs: number,
    isOurs: () => Promise<boolean>,
  ): Promise<ClaimLedger | undefined> {
    const { group, topic, partition, epoch } = claim
    const place = new ProgressPlace(group, topic, partition)
    for (;;) {
      const before = await readProgress(store, place)
      // Should the answer be out of date by the time of the commit, what stands there has changed, and is looked at again.
      if (before !== undefined && before.epoch > epoch && !(await isOurs())) return undefined
      const base = { owner, epoch }
      if (before === undefined) {
        const done = start.done.map(({ from, to }): [number, number] => [from, to])
        const outcome = await store.commit({ state: [place.setBase({ ...base, next: start.next, done }, 0)] })
        if (outcome.ok) return new ClaimLedger(claim, place, owner, start)
        continue
      }
      // First the mark, then a second look: what the owner before got in until then counts, and nothing after it.
      await fence(store, place, before.owner, nowMs)
      const last = (await readProgress(store, place)) ?? before
      const progress = last.offsets.snapshot()
      const done = progress.done.map(({ from, to }): [number, number] => [from, to])
      const outcome = await store.commit({
        state: [
          place.setBase({ ...base, next: progress.next, done }, before.revision),
          ...last.rangeKeys.map((key) => place.remove(key)),
          ...(await oldFences(store, place, nowMs)).map((key) => place.remove(key)),
        ],
      })
      if (outcome.ok) return new ClaimLedger(claim, place, owner, progress)
    }
  }

  /** What a commit writes to make progress. */
  writes(done: readonly OffsetRange[]): readonly StateWrite[] {
    const place = this.#place
    const { namespace } = place
    const writes: StateWrite[] = [
      // Deleting what must not be there is a guard: it writes nothing.
      { kind: 'delete', namespace, key: `${place.fencedPrefix}${this.#owner}`, expectedRevision: 0 },
      ...done.map((range): StateWrite => ({ kind: 'set', namespace, key: place.doneKey(range), value: range.to })),
    ]
    if (this.#looseKeys.length >= looseRangesMax) {
      const { next, done: ranges } = this.#durable.snapshot()
      const base = { next, done: ranges.map(({ from, to }): [number, number] => [from, to]) }
      writes.push(place.setBase({ ...base, owner: this.#owner, epoch: this.claim.epoch }))
      for (const key of this.#looseKeys.splice(0)) writes.push(place.remove(key))
    }
    return writes
  }

  /** A commit with these ranges is durable. */
  committed(done: readonly OffsetRange[]): void {
    for (const range of done) {
      this.#durable.add(range.from, range.to)
      this.#looseKeys.push(this.#place.doneKey(range))
    }
  }

  /** Whether a refused write was the guard of this claim. */
  isFence(namespace: string, key: string): boolean {
    return namespace === this.#place.namespace && key === `${this.#place.fencedPrefix}${this.#owner}`
  }
}

function numberText(value: number): string {
  return String(value).padStart(numberLength, '0')
}

async function oldFences(store: Engine, place: ProgressPlace, nowMs: number): Promise<readonly string[]> {
  const marks = await store.state.range(place.namespace, { prefix: place.fencedPrefix })
  return marks.filter(({ value }) => Number(value) < nowMs - fenceKeptMs).map(({ key }) => key)
}
