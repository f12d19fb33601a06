import { createHash } from 'node:crypto'
import {
  checkList,
  checkName,
  checkOwner,
  checkText,
  ReadPace,
  type StateCommand,
  type WatchOptions,
} from '../committing/index.ts'
import type { StateChange, StateEntry, StateOwner, StateRange, StateStore, StateWrite } from '../engine/index.ts'
import { type Json, sleep } from '../kernel/index.ts'
import type { Changelog } from './changelog.ts'
import { type ChangelogAccess, ChangelogTopic } from './changelog-topic.ts'
import { type ClaimBook, type HeldClaim, isClaim } from './held-claim.ts'

const topicNameMax = 249
/** How soon somebody who watches a group that has no state yet looks again. */
const absentPauseMs = 200

/** Claims, and who has any. */
export interface GroupBook extends ClaimBook {
  /** @throws GroupActiveError */
  refuseActive(group: string): Promise<void>
}

/** Where a read looks: a file, or what it holds of one partition. */
interface Shelf {
  readonly topic: ChangelogTopic
  readonly part?: number
}

/**
 * Keyed state in changelogs of the cluster, with copies in files here that answer reads. What belongs to nobody stands in one
 * changelog, of which each process has a copy. What is written under a claim stands in a changelog of the group, in the
 * partition that goes with the claim: its owner has a copy of that, and who reads the state of the whole group one of all.
 */
export class KafkaState implements StateStore {
  readonly #access: ChangelogAccess
  readonly #shared: ChangelogTopic
  readonly #book: GroupBook
  readonly #groups = new Map<string, Promise<ChangelogTopic>>()
  readonly #openGroups = new Map<string, ChangelogTopic>()
  readonly #owning = new WeakMap<HeldClaim, Promise<Changelog | undefined>>()
  readonly #owned = new WeakMap<HeldClaim, Changelog>()
  readonly #pace = new ReadPace()

  constructor(access: ChangelogAccess, shared: ChangelogTopic, book: GroupBook) {
    this.#access = access
    this.#shared = shared
    this.#book = book
  }

  async get(namespace: string, key: string, owner?: StateOwner): Promise<StateEntry | undefined> {
    const shelf = await this.#shelf(owner)
    return read(shelf, namespace, key)
  }

  async getMany(
    namespace: string,
    keys: readonly string[],
    owner?: StateOwner,
  ): Promise<readonly (StateEntry | undefined)[]> {
    const shelf = await this.#shelf(owner)
    checkList('keys', keys)
    return keys.map((key) => read(shelf, namespace, key))
  }

  async range(namespace: string, range: StateRange = {}, owner?: StateOwner): Promise<readonly StateEntry[]> {
    const shelf = await this.#shelf(owner)
    const { topic, part } = shelf ?? { topic: this.#shared, part: -1 }
    return topic.file.range(namespace, range, part)
  }

  async count(namespace: string, owner?: StateOwner): Promise<number> {
    const shelf = await this.#shelf(owner)
    checkName('namespace', namespace)
    return shelf?.topic.file.count(namespace, shelf.part) ?? 0
  }

  async namespaces(prefix = '', owner?: StateOwner): Promise<readonly string[]> {
    const shelf = await this.#shelf(owner)
    checkText('prefix', prefix)
    return shelf?.topic.file.namespaces(prefix, shelf.part) ?? []
  }

  watch(namespace: string, options: WatchOptions & { readonly owner?: StateOwner }): AsyncIterable<StateChange> {
    const { owner } = options ?? {}
    if (owner === undefined) return this.#shared.watchers.watch(namespace, options)
    this.#access.door.refuseIfDone()
    checkOwner('owner', owner)
    return this.#watchGroup(namespace, owner.group, options)
  }

  /** Whether all is there that a commit of these writes needs; where not, {@link prepare} sees to it. */
  isReady(writes: readonly StateWrite[]): boolean {
    return writes.every(({ owner }) => {
      if (owner === undefined) return true
      if (!isClaim(owner)) return false
      const held = this.#book.holding(owner)
      // What is not held any more is refused anyway.
      return held === undefined || this.#owned.has(held)
    })
  }

  /**
   * Makes changelogs that are not there, and reads what is to be changed.
   *
   * @throws GroupActiveError the state of a group that has members is to be cleared
   */
  async prepare(writes: readonly StateWrite[]): Promise<void> {
    for (const { owner } of writes) {
      if (owner === undefined) continue
      if (isClaim(owner)) {
        const held = this.#book.holding(owner)
        if (held !== undefined) await this.#make(held)
        continue
      }
      await this.#book.refuseActive(owner.group)
      const topic = await this.#find(owner.group)
      if (topic !== undefined) await topic.follow()
      for (const changelog of topic?.all ?? []) await changelog.catchUp()
    }
  }

  /** Where a command writes; none: its claim is lost. Only what is {@link prepare prepared}. */
  changelogsOf({ owner }: StateCommand): readonly Changelog[] {
    if (owner === undefined) return [this.#shared.at(0)]
    if (!isClaim(owner)) return this.#openGroups.get(owner.group)?.all ?? []
    const held = this.#book.holding(owner)
    const changelog = held && this.#owned.get(held)
    return changelog === undefined ? [] : [changelog]
  }

  /** The engine closed or failed: who watches is told. */
  wake(): void {
    for (const topic of [this.#shared, ...this.#openGroups.values()]) topic.watchers.wakeAll()
  }

  async close(): Promise<void> {
    // What was being opened has a file by now, or failed.
    await Promise.allSettled(this.#groups.values())
    await Promise.all([this.#shared, ...this.#openGroups.values()].map((topic) => topic.close()))
  }

  /** `undefined`: nothing was ever written there. */
  async #shelf(owner: StateOwner | undefined): Promise<Shelf | undefined> {
    const pause = this.#pace.breathe()
    if (pause !== undefined) await pause
    this.#access.door.refuseIfDone()
    if (owner === undefined) {
      await this.#shared.follow()
      return { topic: this.#shared }
    }
    checkOwner('owner', owner)
    const topic = await this.#find(owner.group)
    if (topic === undefined) return undefined
    const held = isClaim(owner) ? this.#book.holding(owner) : undefined
    if (isClaim(owner) && held === undefined) return undefined
    if (held === undefined) await topic.follow()
    else if ((await this.#own(held)) === undefined) return undefined
    this.#access.door.refuseIfDone()
    return { topic, ...(held !== undefined && { part: held.place }) }
  }

  /** The changelog that goes with a claim, read to its end since the claim was given; `undefined`: it is not there. */
  #own(held: HeldClaim): Promise<Changelog | undefined> {
    let owning = this.#owning.get(held)
    if (owning === undefined) {
      owning = this.#take(held)
      this.#owning.set(held, owning)
      owning.catch(() => this.#owning.delete(held))
    }
    return owning
  }

  async #take(held: HeldClaim): Promise<Changelog | undefined> {
    const topic = await this.#find(held.claim.group)
    // Only its owner writes to a partition: what is not there when a claim is given is not there until it is made here.
    if (topic === undefined || !(await topic.has(held.place))) return undefined
    const changelog = topic.at(held.place)
    await changelog.own(held)
    this.#owned.set(held, changelog)
    return changelog
  }

  async #make(held: HeldClaim): Promise<void> {
    if ((await this.#own(held)) !== undefined) return
    const { group, topic: source } = held.claim
    const partitions = this.#access.catalog.find(source)?.partitions.length ?? 1
    const topic = await this.#open(group, Math.max(held.place + 1, partitions))
    await this.#lasting(() => topic.growTo(held.place))
    this.#owning.delete(held)
    await this.#own(held)
  }

  /** `undefined`: it is not there. */
  async #find(group: string): Promise<ChangelogTopic | undefined> {
    const open = this.#openGroups.get(group)
    if (open !== undefined) return open
    const { catalog, cluster } = this.#access
    const name = this.#topicOf(group)
    if (catalog.find(name) === undefined) await catalog.refresh(name, cluster.lasting)
    return catalog.find(name) === undefined ? undefined : this.#open(group, 1)
  }

  #open(group: string, partitions: number): Promise<ChangelogTopic> {
    let opening = this.#groups.get(group)
    if (opening === undefined) {
      const open = (): Promise<ChangelogTopic> => ChangelogTopic.open(this.#access, this.#topicOf(group), partitions)
      opening = this.#lasting(open).then((topic) => {
        this.#openGroups.set(group, topic)
        return topic
      })
      this.#groups.set(group, opening)
      opening.catch(() => this.#groups.delete(group))
    }
    return opening
  }

  /** Programs that run wait for brokers to come back; what administers gives up before. */
  #lasting<T>(administer: () => Promise<T>): Promise<T> {
    const { cluster } = this.#access
    return cluster.persist(administer, cluster.lasting)
  }

  async *#watchGroup(namespace: string, group: string, options: WatchOptions): AsyncGenerator<StateChange> {
    const { clock } = this.#access.cluster
    let topic = await this.#find(group)
    if (topic !== undefined) {
      await topic.follow()
      yield* topic.watchers.watch(namespace, options)
      return
    }
    while (topic === undefined && !options.signal.aborted) {
      await sleep(absentPauseMs, clock, options.signal).catch(() => undefined)
      topic = await this.#find(group)
    }
    if (topic === undefined) return
    await topic.follow()
    // All that stands there came after the call.
    yield* topic.watchers.watch(namespace, options, true)
  }

  /** Topic names take fewer characters than names of groups. */
  #topicOf(group: string): string {
    const { prefix } = this.#access.cluster.options
    const escaped = Array.from(Buffer.from(group.startsWith(prefix) ? group.slice(prefix.length) : group), (byte) => {
      const character = String.fromCharCode(byte)
      return /[a-zA-Z0-9.-]/.test(character) ? character : `_${byte.toString(16).padStart(2, '0')}`
    }).join('')
    const name = `${this.#shared.name}.${escaped}`
    if (name.length <= topicNameMax) return name
    const digest = createHash('sha256').update(group).digest('hex').slice(0, 40)
    return `${name.slice(0, topicNameMax - digest.length - 1)}_${digest}`
  }
}

function read(shelf: Shelf | undefined, namespace: string, key: string): StateEntry | undefined {
  checkName('namespace', namespace)
  checkName('key', key)
  const found = shelf?.topic.file.read(namespace, key, shelf.part)
  return found && { key, value: JSON.parse(found.value) as Json, revision: found.revision }
}
