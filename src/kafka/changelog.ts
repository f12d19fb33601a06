import { sleep } from '../kernel/index.ts'
import { channels } from '../telemetry/index.ts'
import type { ChangelogFile } from './changelog-file.ts'
import { changeOf, type StateRecord } from './changelog-format.ts'
import type { Cluster } from './cluster.ts'
import { rawRecordsOf } from './fetched-records.ts'
import { atTime, type PartitionExtents } from './partition-extents.ts'
import type { Partition } from './topic-catalog.ts'
import type { TopicReader } from './topic-reader.ts'

const pageBytesMax = 4 * 1024 * 1024
const pollMs = 5000
/** How long to wait before trying again when the changelog cannot be read. */
const troublePauseMs = 500
/** How often a file that nobody changes notes that it still holds everything. */
const noteEveryMs = 600_000

/** What a {@link Changelog} is made of. */
export interface ChangelogParts {
  readonly cluster: Cluster
  readonly reader: TopicReader
  readonly extents: PartitionExtents
  readonly partition: Partition
  readonly file: ChangelogFile
  /** How long the topic keeps tombstones, in milliseconds. */
  readonly tombstoneRetentionMs: number
}

/** One partition of a changelog and the file that holds what it stands for: read to its end once, then followed. */
export class Changelog {
  readonly partition: Partition
  readonly file: ChangelogFile
  readonly #parts: ChangelogParts
  readonly #end = new AbortController()
  #following: Promise<void> | undefined
  #onChanged: (changes: readonly StateRecord[]) => void = () => undefined

  constructor(parts: ChangelogParts) {
    this.#parts = parts
    this.partition = parts.partition
    this.file = parts.file
  }

  /** Sees to it that the file is of this changelog, as it is now, and reads it to the end. */
  async restore(): Promise<void> {
    const [start, end] = await this.#extent()
    if (this.#isOutdated() || this.file.position < start || this.file.position > end) this.file.empty()
    await this.catchUp()
  }

  /** Resolves when the file holds everything that was committed before the call. */
  async catchUp(): Promise<void> {
    const [, end] = await this.#extent()
    while (this.file.position < end) {
      await this.#step(pollMs, end)
      this.#report(end)
    }
  }

  /** Keeps the file up to date with what others commit, until {@link close}; tells of what changed, once it can be read. */
  follow(onChanged: (changes: readonly StateRecord[]) => void): void {
    this.#onChanged = onChanged
    this.#following ??= this.#follow()
  }

  /** Takes over what this process committed itself, from the records at `first` to before `next`. */
  async applied(changes: readonly StateRecord[], first: number, next: number): Promise<void> {
    if (this.file.position > first) {
      // The follower was faster, or is in the middle of it.
      if (this.file.position < next) await this.catchUp()
      return
    }
    this.file.apply(changes, next, this.#nowMs())
    this.#onChanged(changes)
  }

  /** Whether the record at an offset was committed; resolves when that is decided. */
  async holds(offset: number): Promise<boolean> {
    const { cluster, reader } = this.#parts
    await cluster.persist(async () => {
      const [, end] = await this.#extent()
      if (end <= offset) throw cluster.obstacle('a transaction is not decided yet')
    })
    const answer = await reader.fetch(this.partition, offset, pageBytesMax, 0, cluster.ended)
    let isThere = false
    rawRecordsOf(cluster.library, answer, offset, (record) => {
      isThere ||= record.offset === offset
    })
    return isThere
  }

  async close(): Promise<void> {
    this.#end.abort()
    await this.#following
    this.file.close()
  }

  async #follow(): Promise<void> {
    const { cluster } = this.#parts
    const ended = AbortSignal.any([this.#end.signal, cluster.ended])
    while (!ended.aborted) {
      try {
        await this.#step(pollMs, Number.POSITIVE_INFINITY)
      } catch {
        // Whoever needs it to be up to date asks for that, and is told what is wrong.
        await sleep(troublePauseMs, cluster.clock, ended).catch(() => undefined)
      }
    }
  }

  /** Reads one page. */
  async #step(waitMs: number, end: number): Promise<void> {
    const { cluster, reader } = this.#parts
    const from = this.file.position
    const signal = AbortSignal.any([this.#end.signal, cluster.ended])
    const answer = await reader.fetch(this.partition, from, pageBytesMax, waitMs, signal)
    // What was committed here meanwhile is taken over already.
    if (this.file.position !== from) return
    const changes: StateRecord[] = []
    const next = rawRecordsOf(cluster.library, answer, from, (record) => {
      const change = changeOf(record)
      if (change !== undefined) changes.push(change)
    })
    const isAtEnd = next >= Math.min(end, answer.lastStableOffset)
    const nowMs = this.#nowMs()
    if (next === from && !(isAtEnd && nowMs - this.file.caughtUpAtMs > noteEveryMs)) return
    this.file.apply(changes, next, isAtEnd ? nowMs : this.file.caughtUpAtMs)
    if (changes.length > 0) this.#onChanged(changes)
  }

  /** A file that was not kept up to date for long may hold what was deleted since: tombstones do not stay for ever. */
  #isOutdated(): boolean {
    const { caughtUpAtMs, position } = this.file
    return position > 0 && this.#nowMs() - caughtUpAtMs > this.#parts.tombstoneRetentionMs / 2
  }

  async #extent(): Promise<readonly [start: number, end: number]> {
    const { extents } = this.#parts
    const [[start], [end]] = await Promise.all([
      extents.offsets([this.partition], atTime.earliest),
      extents.offsets([this.partition], atTime.latest),
    ])
    return [start ?? 0, end ?? 0]
  }

  #report(end: number): void {
    if (!channels.stateRestored.hasSubscribers) return
    const { topic, number: partition } = this.partition
    channels.stateRestored.publish({ topic, partition, position: this.file.position, end })
  }

  #nowMs(): number {
    return this.#parts.cluster.clock.nowMs()
  }
}
