import { checkJoin, checkName } from '../committing/index.ts'
import {
  type Claim,
  type ConsumerGroups,
  GroupActiveError,
  type GroupDescription,
  GroupUnknownError,
  type JoinOptions,
  type Member,
  OffsetSet,
  type PartitionLag,
  type Progress,
  type StartPosition,
} from '../engine/index.ts'
import { ClosedError } from '../kernel/index.ts'
import type { BatchReader } from './batch-reader.ts'
import type { Partition } from './catalog.ts'
import type { EngineCore } from './engine-core.ts'
import { GroupCoordinator } from './group-coordinator.ts'
import type { ProgressTable } from './progress-table.ts'
import { Counter } from './store/counter.ts'
import type { TopicLog } from './topic-log.ts'

/** More than a group can use up; and four million openings of a file still count without loss. */
const epochsPerOpening = 2 ** 31

/** Consumer groups of the embedded engine: all members live in this process. */
export class EmbeddedGroups implements ConsumerGroups {
  readonly #core: EngineCore
  readonly #topics: TopicLog
  readonly #batches: BatchReader
  readonly #progress: ProgressTable
  readonly #coordinators = new Map<string, GroupCoordinator>()
  /** Epochs of this opening of the file are greater than those of all before it. */
  readonly #firstEpoch: number
  /** Groups whose progress is being put elsewhere. */
  readonly #resets = new Map<string, Promise<unknown>>()
  #isClosed = false

  constructor(core: EngineCore, topics: TopicLog, batches: BatchReader, progress: ProgressTable) {
    this.#core = core
    this.#topics = topics
    this.#batches = batches
    this.#progress = progress
    this.#firstEpoch = core.reads.run(() => new Counter(core.reader, 'opening').read()) * epochsPerOpening + 1
  }

  async join(options: JoinOptions): Promise<Member> {
    this.#refuseIfDone()
    checkJoin(options)
    for (const topic of options.topics) this.#core.catalog.topic(topic)
    for (let reset = this.#resets.get(options.group); reset !== undefined; reset = this.#resets.get(options.group)) {
      await reset.catch(() => undefined)
    }
    return this.#coordinator(options.group).join(options)
  }

  async list(): Promise<readonly string[]> {
    const pause = this.#core.breathe()
    if (pause !== undefined) await pause
    this.#core.refuseIfDone()
    const names = new Set(this.#progress.groups())
    for (const [name, coordinator] of this.#coordinators) if (coordinator.memberCount > 0) names.add(name)
    return [...names].sort()
  }

  async describe(group: string): Promise<GroupDescription | undefined> {
    const pause = this.#core.breathe()
    if (pause !== undefined) await pause
    this.#core.refresh()
    checkName('group', group)
    const members = this.#coordinators.get(group)?.members ?? []
    const rows = this.#progress.ofGroup(group)
    if (rows.length === 0 && members.length === 0) return undefined
    const lag = rows.flatMap(({ partitionId, progress }) => {
      const partition = this.#core.catalog.partitionById(partitionId)
      return partition === undefined ? [] : [this.#lag(partition, progress)]
    })
    lag.sort((a, b) => (a.topic === b.topic ? a.partition - b.partition : a.topic < b.topic ? -1 : 1))
    return { group, members: members.map(({ id, claims }) => ({ id, claims })), lag }
  }

  async reset(group: string, topic: string, to: StartPosition, partition?: number): Promise<void> {
    checkName('group', group)
    this.#refuseActive(group)
    const { partitions } = this.#core.catalog.topic(topic)
    const chosen = partition === undefined ? partitions : [this.#core.catalog.partition(topic, partition)]
    if (!this.#progress.has(group)) throw new GroupUnknownError(group)
    const entries = await Promise.all(
      chosen.map(async ({ id, number }) => ({
        group,
        partitionId: id,
        next: await this.#topics.locate(topic, number, to),
      })),
    )
    // Somebody may have joined meanwhile; who comes now waits to be told where it begins.
    this.#refuseActive(group)
    const done = this.#core.request({ kind: 'put-progress', entries })
    this.#resets.set(group, done)
    try {
      await done
    } finally {
      if (this.#resets.get(group) === done) this.#resets.delete(group)
    }
  }

  async delete(group: string): Promise<void> {
    checkName('group', group)
    this.#refuseActive(group)
    await this.#core.request({ kind: 'delete-group', group })
  }

  /** Whether a claim stands no more, so that no commit may rely on it. When the engine closes, nobody takes a partition over. */
  isOver(claim: Claim): boolean {
    return !this.#isClosed && this.#coordinators.get(claim.group)?.isCurrent(claim) !== true
  }

  /** Ends all claims on a partition and gives out new ones: its owners have read what will never stand there. */
  takeBack({ topic, number }: { readonly topic: string; readonly number: number }): void {
    const partition = this.#core.catalog.find(topic)?.partitions[number]
    if (partition === undefined) return
    for (const coordinator of this.#coordinators.values()) coordinator.takeBack(partition)
  }

  /** The same for one claim, unless it is over. */
  endClaim(claim: Claim): void {
    const coordinator = this.#coordinators.get(claim.group)
    const partition = this.#core.catalog.find(claim.topic)?.partitions[claim.partition]
    if (partition !== undefined && coordinator?.isCurrent(claim) === true) coordinator.takeBack(partition)
  }

  /** Shares a topic anew after it got more partitions or was deleted. */
  async rebalance(topic: string): Promise<void> {
    await Promise.all([...this.#coordinators.values()].map((coordinator) => coordinator.topicChanged(topic)))
  }

  /** Puts all members out, when the engine closes, and takes no more. */
  close(): void {
    this.#isClosed = true
    for (const coordinator of this.#coordinators.values()) coordinator.close()
  }

  #coordinator(group: string): GroupCoordinator {
    let coordinator = this.#coordinators.get(group)
    if (coordinator === undefined) {
      coordinator = new GroupCoordinator(group, this.#core, this.#firstEpoch, (partition, from) =>
        this.#startOf(group, partition, from),
      )
      this.#coordinators.set(group, coordinator)
    }
    return coordinator
  }

  /** Where a new owner goes on, after everything that earlier owners committed. */
  async #startOf(group: string, partition: Partition, from: 'earliest' | 'latest'): Promise<Progress> {
    await this.#core.queue?.settled()
    this.#refuseIfDone()
    const stored = this.#progress.of(group, partition.id)
    if (stored === undefined) {
      const next = from === 'latest' ? partition.latest : partition.earliest
      // Written at once: a group that starts at the end must find the same place after a restart.
      await this.#core.request({ kind: 'put-progress', entries: [{ group, partitionId: partition.id, next }] })
      return { next, done: [] }
    }
    if (stored.next >= partition.earliest) return stored
    // Retention went past the group; what is gone cannot be waited for.
    const offsets = new OffsetSet(stored)
    offsets.add(stored.next, partition.earliest)
    return offsets.snapshot()
  }

  #refuseIfDone(): void {
    if (this.#isClosed) throw new ClosedError('The engine')
    this.#core.refuseIfDone()
  }

  #refuseActive(group: string): void {
    this.#refuseIfDone()
    const count = this.#coordinators.get(group)?.memberCount ?? 0
    if (count > 0) throw new GroupActiveError(group, count)
  }

  #lag(partition: Partition, progress: Progress): PartitionLag {
    const { latest, earliest, topic } = partition
    const next = Math.max(progress.next, earliest)
    let lagMessages = Math.max(0, latest - next)
    for (const { from, to } of progress.done) lagMessages -= Math.max(0, to - Math.max(from, next))
    let lagSeconds = 0
    if (lagMessages > 0) {
      const oldestMs = this.#batches.timeOf(partition.id, next) ?? this.#core.clock.nowMs()
      lagSeconds = Math.max(0, (this.#core.clock.nowMs() - oldestMs) / 1000)
    }
    return { topic, partition: partition.number, next, latest, lagMessages, lagSeconds }
  }
}
