import { sleep } from '../kernel/index.ts'
import { channels } from '../telemetry/index.ts'
import type { ChangelogFile } from './changelog-file.ts'
import { changeOf, type StateRecord } from './changelog-format.ts'
import type { Cluster } from './cluster.ts'
import { KafkaUnreachableError } from './errors.ts'
import { rawRecordsOf } from './fetched-records.ts'
import type { HeldClaim, MemberIdentity } from './held-claim.ts'
import { atTime, type PartitionExtents } from './partition-extents.ts'
import type { Partition, TopicCatalog } from './topic-catalog.ts'
import type { TopicReader } from './topic-reader.ts'

const pageBytesMax = 4 * 1024 * 1024
const pollMs = 5000
/** How long to wait before trying again when the changelog cannot be read. */
const troublePauseMs = 500
/** So often in a row it may fail for a moment's confusion among the brokers. */
const faultsMax = 5
/** How soon it is followed again after its owner is gone. */
const ownedPauseMs = 200
/** How often a file that nobody changes notes that it still holds everything. */
const noteEveryMs = 600_000

/** What a {@link Changelog} is made of. */
export interface ChangelogParts {
  readonly cluster: Cluster
  readonly reader: TopicReader
  readonly extents: PartitionExtents
  readonly catalog: TopicCatalog
  readonly partition: Partition
  readonly file: ChangelogFile
  /** How long the topic keeps tombstones, in milliseconds. */
  readonly tombstoneRetentionMs: number
  /** Told of what changed, once it can be read. */
  readonly onChanged: (changes: readonly StateRecord[]) => void
}

/**
 * One partition of a changelog, and what the file holds of it: read to its end once, then followed, unless its owner is here,
 * who alone writes to it.
 */
export class Changelog {
  readonly file: ChangelogFile
  readonly number: number
  #partition: Partition
  readonly #parts: ChangelogParts
  readonly #end = new AbortController()
  #following: Promise<void> | undefined
  readonly #owners = new Set<HeldClaim>()
  /** Why it could not be read, and how often in a row. */
  #fault: { readonly error: unknown; readonly count: number } | undefined

  constructor(parts: ChangelogParts) {
    this.#parts = parts
    this.#partition = parts.partition
    this.number = parts.partition.number
    this.file = parts.file
  }

  /** As the catalogue has it now: it may have lost sight of the topic in between. */
  get partition(): Partition {
    if (this.#partition.isGone) {
      const { topic } = this.#partition
      this.#partition = this.#parts.catalog.find(topic)?.partitions[this.number] ?? this.#partition
    }
    return this.#partition
  }

  get #position(): number {
    return this.file.markOf(this.number).position
  }

  /** Members here that hold claims which it goes with. */
  get #members(): ReadonlySet<MemberIdentity> {
    for (const held of this.#owners) if (!held.isHeld) this.#owners.delete(held)
    return new Set([...this.#owners].map(({ member }) => member))
  }

  get #isOwned(): boolean {
    return this.#members.size > 0
  }

  /** @throws what keeps it from being followed, unless brokers that are gone will do again */
  refuseFaulty(): void {
    if (this.#fault !== undefined && this.#fault.count >= faultsMax) throw this.#fault.error
  }

  /** Reads to the end for somebody who was given a claim: what owners before had under way is decided first. */
  async own(held: HeldClaim): Promise<void> {
    // Another member here may not know yet that it lost the partition, and that others had it meanwhile.
    if (!this.#members.has(held.member)) {
      await this.#refresh()
      const [end] = await this.#parts.extents.offsets(
        [this.partition],
        atTime.latest,
        'undecided',
        this.#parts.cluster.lasting,
      )
      await this.#readTo(end ?? 0)
    }
    this.#owners.add(held)
  }

  /** Sees to it that the file is of this changelog, as it is now, and reads it to the end. */
  async restore(): Promise<void> {
    if (this.#isOwned) return
    await this.#refresh()
    await this.catchUp()
  }

  /** Resolves when the file holds everything that was committed before the call. */
  async catchUp(): Promise<void> {
    const [, end] = await this.#extent()
    await this.#readTo(end)
  }

  /** Keeps the file up to date with what others commit, until {@link close}. */
  follow(): void {
    this.#following ??= this.#follow()
  }

  /** Takes over what this process committed itself, from the records at `first` to before `next`. */
  async applied(changes: readonly StateRecord[], first: number, next: number): Promise<void> {
    if (this.#position > first) {
      // The follower was faster, or is in the middle of it.
      if (this.#position < next) await this.catchUp()
      return
    }
    this.file.apply(this.number, changes, { position: next, caughtUpAtMs: this.#nowMs() })
    this.#parts.onChanged(changes)
  }

  /** Reads no more. */
  async close(): Promise<void> {
    this.#end.abort()
    await this.#following
  }

  async #follow(): Promise<void> {
    const { cluster } = this.#parts
    const ended = AbortSignal.any([this.#end.signal, cluster.ended])
    while (!ended.aborted) {
      try {
        if (this.#isOwned) await sleep(ownedPauseMs, cluster.clock, ended)
        else await this.#step(pollMs, Number.POSITIVE_INFINITY)
        this.#fault = undefined
      } catch (error) {
        // What does not pass by itself is told to those who read.
        const isLasting = !ended.aborted && !(error instanceof KafkaUnreachableError)
        this.#fault = isLasting ? { error, count: (this.#fault?.count ?? 0) + 1 } : undefined
        await this.#parts.catalog.refresh(this.#partition.topic).catch(() => undefined)
        await sleep(troublePauseMs, cluster.clock, ended).catch(() => undefined)
      }
    }
  }

  /** A file that cannot have come from what the partition is now is read anew. */
  async #refresh(): Promise<void> {
    const [start, end] = await this.#extent()
    const { position, caughtUpAtMs } = this.file.markOf(this.number)
    // What was not kept up to date for long may hold what was deleted since: tombstones do not stay for ever.
    const isOutdated = this.#nowMs() - caughtUpAtMs > this.#parts.tombstoneRetentionMs / 2
    if (position > 0 && (isOutdated || position < start || position > end)) this.file.empty(this.number)
  }

  async #readTo(end: number): Promise<void> {
    while (this.#position < end) {
      await this.#step(pollMs, end)
      this.#report(end)
    }
  }

  /** Reads one page. */
  async #step(waitMs: number, end: number): Promise<void> {
    const { cluster, reader, file, onChanged } = this.#parts
    const { position: from, caughtUpAtMs } = file.markOf(this.number)
    const signal = AbortSignal.any([this.#end.signal, cluster.ended])
    const answer = await reader.fetch(this.partition, from, pageBytesMax, waitMs, signal)
    // What was committed here meanwhile is taken over already.
    if (this.#position !== from) return
    const changes: StateRecord[] = []
    const position = rawRecordsOf(cluster.library, answer, from, (record) => {
      const change = changeOf(record)
      if (change !== undefined) changes.push(change)
    })
    const isAtEnd = position >= Math.min(end, answer.lastStableOffset)
    const nowMs = this.#nowMs()
    if (position === from && !(isAtEnd && nowMs - caughtUpAtMs > noteEveryMs)) return
    file.apply(this.number, changes, { position, caughtUpAtMs: isAtEnd ? nowMs : caughtUpAtMs })
    if (changes.length > 0) onChanged(changes)
  }

  async #extent(): Promise<readonly [start: number, end: number]> {
    const { extents, cluster } = this.#parts
    const [[start], [end]] = await Promise.all([
      extents.offsets([this.partition], atTime.earliest, 'decided', cluster.lasting),
      extents.offsets([this.partition], atTime.latest, 'decided', cluster.lasting),
    ])
    return [start ?? 0, end ?? 0]
  }

  #report(end: number): void {
    if (!channels.stateRestored.hasSubscribers) return
    const { topic, number: partition } = this.partition
    channels.stateRestored.publish({ topic, partition, position: this.#position, end })
  }

  #nowMs(): number {
    return this.#parts.cluster.clock.nowMs()
  }
}
