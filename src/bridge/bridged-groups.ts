import {
  ArgumentInvalidError,
  type Assignment,
  type Claim,
  type ConsumerGroups,
  type Engine,
  type EngineEnvironment,
  GroupActiveError,
  type GroupDescription,
  GroupUnknownError,
  type JoinOptions,
  type Member,
  OffsetSet,
  type PartitionLag,
  type Progress,
  type ProgressWrite,
  type StartPosition,
} from '../engine/index.ts'
import { uuidv7 } from '../kernel/index.ts'
import {
  ClaimLedger,
  ProgressPlace,
  partitionOfKey,
  progressNamespace,
  progressPrefix,
  readProgress,
  resetProgress,
} from './claim-ledger.ts'
import { MemberBridge } from './member-bridge.ts'
import { isRelayGroup } from './outbox.ts'

const pageMax = 10_000
const callbacks = ['onAssigned', 'onRevoked', 'onLost'] as const

/** How many records of a topic are still on their way to it, by partition; absent: none. */
export type Backlog = (topic: string) => Promise<ReadonlyMap<number, number>>

/**
 * Consumer groups whose members and claims one engine keeps and whose progress another one keeps, in the same commit as
 * what their messages did there.
 */
export class BridgedGroups implements ConsumerGroups {
  readonly #topics: Engine
  readonly #store: Engine
  readonly #environment: EngineEnvironment
  readonly #backlog: Backlog
  readonly #ledgers = new Map<string, ClaimLedger>()
  /** Ends of partitions, as far as readers have seen them. */
  readonly #ends = new Map<string, number>()
  readonly #nextId: () => string

  constructor(topics: Engine, store: Engine, environment: EngineEnvironment, backlog: Backlog) {
    this.#topics = topics
    this.#store = store
    this.#environment = environment
    this.#backlog = backlog
    this.#nextId = uuidv7(environment.clock, environment.random)
  }

  async join(options: JoinOptions): Promise<Member> {
    // Who has no ears is told so by the engine that would have to speak to them.
    if (callbacks.some((name) => typeof options?.[name] !== 'function')) return this.#topics.groups.join(options)
    const bridge = new MemberBridge(options, this.#environment.clock, {
      take: (assignment, isOurs) => this.#take(assignment, isOurs),
      drop: (claim) => this.#ledgers.delete(nameOf(claim)),
    })
    return bridge.join(this.#topics.groups)
  }

  /** The ledger of a claim that is taken over and not given back. */
  ledgerOf(claim: Claim): ClaimLedger | undefined {
    return this.#ledgers.get(nameOf(claim))
  }

  /** A reader saw this end of a partition. */
  noteEnd(topic: string, partition: number, latest: number): void {
    this.#ends.set(placeOf(topic, partition), latest)
  }

  /**
   * Whether it is known without asking that there are records up to the last range.
   * @throws ArgumentInvalidError `ARGUMENT_INVALID`: a range is none.
   */
  isWithinKnown({ claim, done }: ProgressWrite): boolean {
    const end = this.#ends.get(placeOf(claim.topic, claim.partition)) ?? 0
    let isWithin = true
    for (const [i, { from, to }] of done.entries()) {
      if (!Number.isSafeInteger(from) || !Number.isSafeInteger(to) || from < 0 || to < from) {
        throw new ArgumentInvalidError(`done[${i}]`, `is no range of offsets (${from} to ${to})`)
      }
      if (to > end) isWithin = false
    }
    return isWithin
  }

  /** Asks for the end of a partition. @throws ArgumentInvalidError `ARGUMENT_INVALID`: a range lies beyond it. */
  async checkEnd({ claim, done }: ProgressWrite): Promise<void> {
    const { topic, partition } = claim
    const latest = await this.#topics.topics.locate(topic, partition, 'latest')
    this.noteEnd(topic, partition, latest)
    const beyond = done.find(({ to }) => to > latest)
    if (beyond === undefined) return
    throw new ArgumentInvalidError('done', `reaches to ${beyond.to}, but ${topic}/${partition} ends at ${latest}`)
  }

  /** The claim whose guard refused a commit. */
  fencedBy(claims: readonly Claim[], namespace: string, key: string): Claim | undefined {
    return claims.find((claim) => this.#ledgers.get(nameOf(claim))?.isFence(namespace, key) === true)
  }

  async list(): Promise<readonly string[]> {
    const stored = await this.#store.state.namespaces(progressPrefix)
    const names = new Set(stored.map((namespace) => namespace.slice(progressPrefix.length)))
    for (const group of await this.#topics.groups.list()) {
      // Those of the relay, and what only ever made progress there, are not ours.
      if ((await this.#members(group)).length > 0 && !isRelayGroup(group)) names.add(group)
    }
    return [...names].sort()
  }

  async describe(group: string): Promise<GroupDescription | undefined> {
    const described = await this.#topics.groups.describe(group)
    const members = described?.members ?? []
    const places = await this.#placesOf(group)
    if (members.length === 0 && places.length === 0) return undefined
    const lag: PartitionLag[] = []
    for (const topic of new Set(places.map((place) => place.topic))) {
      const partitions = places.filter((place) => place.topic === topic).map((place) => place.partition)
      lag.push(...(await this.#lagOf(group, topic, partitions)))
    }
    return { group, members, lag }
  }

  async reset(group: string, topic: string, to: StartPosition, partition?: number): Promise<void> {
    await this.#refuseActive(group)
    const description = await this.#topics.topics.describe(topic)
    const numbers = partition === undefined ? description?.partitions.map((one) => one.partition) : [partition]
    // What is not there is told by the one that keeps it.
    const chosen = numbers ?? [0]
    const starts: number[] = []
    for (const number of chosen) starts.push(await this.#topics.topics.locate(topic, number, to))
    if ((await this.#placesOf(group)).length === 0) throw new GroupUnknownError(group)
    for (const [i, number] of chosen.entries()) {
      const place = new ProgressPlace(group, topic, number)
      await resetProgress(this.#store, place, starts[i] as number, this.#environment.clock.nowMs())
    }
  }

  async delete(group: string): Promise<void> {
    await this.#refuseActive(group)
    await this.#store.commit({ state: [{ kind: 'clear', namespace: progressNamespace(group) }] })
    if ((await this.#topics.groups.list()).includes(group)) await this.#topics.groups.delete(group)
  }

  /** Forgets all progress on a topic that is no more. Answers whether there was any. */
  async forgetTopic(topic: string): Promise<boolean> {
    let wasThere = false
    for (const namespace of await this.#store.state.namespaces(progressPrefix)) {
      for (;;) {
        const page = await this.#store.state.range(namespace, { prefix: `${topic}/`, limit: pageMax })
        if (page.length === 0) break
        wasThere = true
        await this.#store.commit({ state: page.map(({ key }) => ({ kind: 'delete', namespace, key })) })
      }
    }
    return wasThere
  }

  async #take({ claim, progress }: Assignment, isOurs: () => Promise<boolean>): Promise<Assignment | undefined> {
    const earliest = await this.#topics.topics.locate(claim.topic, claim.partition, 'earliest')
    const nowMs = this.#environment.clock.nowMs()
    const ledger = await ClaimLedger.take(this.#store, claim, progress, this.#nextId(), nowMs, isOurs)
    if (ledger === undefined) return undefined
    this.#ledgers.set(nameOf(claim), ledger)
    return { claim, progress: notBefore(ledger.progress, earliest) }
  }

  async #members(group: string): Promise<GroupDescription['members']> {
    return (await this.#topics.groups.describe(group))?.members ?? []
  }

  async #refuseActive(group: string): Promise<void> {
    const { length } = await this.#members(group)
    if (length > 0) throw new GroupActiveError(group, length)
  }

  /** Partitions on which the group has progress, in order. */
  async #placesOf(group: string): Promise<readonly { readonly topic: string; readonly partition: number }[]> {
    const found = new Map<string, { readonly topic: string; readonly partition: number }>()
    const namespace = progressNamespace(group)
    for (let after: string | undefined; ; ) {
      const page = await this.#store.state.range(namespace, { limit: pageMax, ...(after !== undefined && { after }) })
      for (const { key } of page) {
        const place = partitionOfKey(key)
        if (place !== undefined && key.endsWith('/at')) found.set(`${place.topic}/${place.partition}`, place)
      }
      if (page.length < pageMax) break
      after = page.at(-1)?.key
    }
    return [...found.values()].sort((a, b) =>
      a.topic === b.topic ? a.partition - b.partition : a.topic < b.topic ? -1 : 1,
    )
  }

  async #lagOf(group: string, topic: string, partitions: readonly number[]): Promise<readonly PartitionLag[]> {
    const stored = await Promise.all(
      partitions.map((partition) => readProgress(this.#store, new ProgressPlace(group, topic, partition))),
    )
    // First what is on its way, then what has arrived: in the other order a message could be missed by both.
    const onTheWay = await this.#backlog(topic)
    const description = await this.#topics.topics.describe(topic)
    const lag: PartitionLag[] = []
    for (const [i, partition] of partitions.entries()) {
      const known = description?.partitions.find((one) => one.partition === partition)
      const offsets = stored[i]?.offsets
      if (offsets === undefined || known === undefined) continue
      const { next, done } = notBefore(offsets.snapshot(), known.earliest)
      let waiting = Math.max(0, known.latest - next)
      for (const { from, to } of done) waiting -= to - from
      const lagSeconds = waiting > 0 ? await this.#ageOf(topic, partition, next) : 0
      const lagMessages = waiting + (onTheWay.get(partition) ?? 0)
      lag.push({ topic, partition, next, latest: known.latest, lagMessages, lagSeconds })
    }
    return lag
  }

  async #ageOf(topic: string, partition: number, offset: number): Promise<number> {
    const { records } = await this.#topics.topics.read({ topic, partition, offset, bytesMax: 1 })
    const [oldest] = records
    return oldest === undefined ? 0 : Math.max(0, (this.#environment.clock.nowMs() - oldest.timestampMs) / 1000)
  }
}

/** What retention took away cannot be waited for. */
function notBefore(progress: Progress, earliest: number): Progress {
  if (progress.next >= earliest) return progress
  const offsets = new OffsetSet(progress)
  offsets.add(progress.next, earliest)
  return offsets.snapshot()
}

function placeOf(topic: string, partition: number): string {
  return `${topic}/${partition}`
}

function nameOf({ group, topic, partition, epoch }: Claim): string {
  return `${group}/${topic}/${partition}/${epoch}`
}
