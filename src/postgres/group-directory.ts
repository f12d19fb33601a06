import { checkJoin, checkName } from '../committing/index.ts'
import {
  type ConsumerGroups,
  GroupActiveError,
  type GroupDescription,
  GroupUnknownError,
  type JoinOptions,
  type Member,
  type PartitionLag,
  type StartPosition,
} from '../engine/index.ts'
import { ClosedError, type Timer } from '../kernel/index.ts'
import { GroupAbsence } from './group-absence.ts'
import { planGroup, stateAfter } from './group-plan.ts'
import { GroupSession } from './group-session.ts'
import { type GroupProgress, GroupStore } from './group-store.ts'
import type { TopicGround } from './topic-ground.ts'
import type { TopicLog } from './topic-log.ts'

/** The shortest time between two looks at the groups, in milliseconds. */
const lookMsLeast = 10

/** Closing waits this long for the server to learn who is gone, in milliseconds; otherwise the end of the session tells it. */
const closeMsMost = 5_000

/** Consumer groups of the PostgreSQL engine: their members may live in any number of processes. */
export class GroupDirectory implements ConsumerGroups {
  readonly #ground: TopicGround
  readonly #store: GroupStore
  readonly #topics: TopicLog
  readonly #absence: GroupAbsence
  readonly #sessions = new Map<string, GroupSession>()
  #timer: Timer | undefined
  #isLooking = false
  #isHinted = false
  #isClosed = false

  constructor(ground: TopicGround, topics: TopicLog) {
    this.#ground = ground
    this.#store = new GroupStore(ground.runner, ground.schema, ground.made)
    this.#topics = topics
    const { runner, clock, schema, instanceId } = ground
    this.#absence = new GroupAbsence(runner, clock, schema, instanceId)
  }

  async join(options: JoinOptions): Promise<Member> {
    this.#refuseIfDone()
    checkJoin(options)
    return this.#ground.inOrder(async () => {
      for (const topic of options.topics) await this.#ground.catalog.resolveTopic(topic)
      this.#refuseIfDone()
      const member = await this.#session(options.group).join(options)
      this.#schedule()
      return member
    })
  }

  async list(): Promise<readonly string[]> {
    this.#ground.refuseIfDone()
    return this.#store.list()
  }

  async describe(group: string): Promise<GroupDescription | undefined> {
    this.#ground.refuseIfDone()
    checkName('group', group)
    const [members, rows] = await Promise.all([this.#store.members(group), this.#store.progress(group)])
    if (rows.length === 0 && members.length === 0) return undefined
    const lag: PartitionLag[] = []
    // One after the other: each may have to fetch a batch, and a group may have a thousand partitions.
    for (const row of rows) lag.push(await this.#lag(row))
    return {
      group,
      members: members.map(({ id, claims }) => ({
        id,
        claims: claims.map(([topic, partition, epoch]) => ({ group, topic, partition, epoch })),
      })),
      lag,
    }
  }

  async reset(group: string, topic: string, to: StartPosition, partition?: number): Promise<void> {
    checkName('group', group)
    await this.#ground.inOrder(async () => {
      for (;;) {
        const generation = await this.#idle(group)
        const { partitions } = await this.#ground.catalog.resolveTopic(topic)
        const chosen =
          partition === undefined ? partitions : [await this.#ground.catalog.resolvePartition(topic, partition)]
        const isKnown = generation !== undefined && (await this.#store.progress(group)).length > 0
        if (!isKnown) throw new GroupUnknownError(group)
        const places: { partitionId: number; next: number }[] = []
        for (const { id, number } of chosen) {
          places.push({ partitionId: id, next: await this.#topics.locate(topic, number, to) })
        }
        if (await this.#store.reset(group, generation, places)) return
      }
    })
  }

  async delete(group: string): Promise<void> {
    checkName('group', group)
    await this.#ground.inOrder(async () => {
      for (;;) {
        const generation = await this.#idle(group)
        if (generation === undefined || (await this.#store.forget(group, generation))) return
      }
    })
  }

  /** Another process says that something may have changed. */
  hint(): void {
    this.#isHinted = true
    this.#look()
  }

  /** Puts all members out, when the engine closes, and takes no more. */
  async close(): Promise<void> {
    this.#isClosed = true
    this.#timer?.cancel()
    const { promise: isLate, resolve } = Promise.withResolvers<void>()
    const timer = this.#ground.clock.setTimer(resolve, closeMsMost)
    await Promise.race([Promise.all([...this.#sessions.values()].map((session) => session.close())), isLate])
    timer.cancel()
  }

  #session(group: string): GroupSession {
    let session = this.#sessions.get(group)
    if (session === undefined) {
      session = new GroupSession(group, this.#ground, this.#store)
      this.#sessions.set(group, session)
    }
    return session
  }

  #refuseIfDone(): void {
    if (this.#isClosed) throw new ClosedError('The engine')
    this.#ground.refuseIfDone()
  }

  /**
   * Generation of a group without members; undefined: nobody has ever joined. Members whose session is over are put out
   * first, so that none of them can commit any more.
   * @throws GroupActiveError
   */
  async #idle(group: string): Promise<number | undefined> {
    for (;;) {
      const read = await this.#store.read(group)
      if (read === undefined) return undefined
      const changes = planGroup(read.state)
      const { members } = stateAfter(read.state, changes)
      if (members.length > 0) throw new GroupActiveError(group, members.length)
      if (changes.gone.length === 0 && changes.claims.length === 0) return read.generation
      await this.#store.apply(group, read.generation, changes)
    }
  }

  async #lag({ partitionId, topic, number, earliest, latest, progress }: GroupProgress): Promise<PartitionLag> {
    const next = Math.max(progress.next, earliest)
    let lagMessages = Math.max(0, latest - next)
    for (const { from, to } of progress.done) lagMessages -= Math.max(0, to - Math.max(from, next))
    let lagSeconds = 0
    if (lagMessages > 0) {
      const nowMs = this.#ground.clock.nowMs()
      const oldestMs = (await this.#topics.reader.timeOf(partitionId, next)) ?? nowMs
      lagSeconds = Math.max(0, (nowMs - oldestMs) / 1000)
    }
    return { topic, partition: number, next, latest, lagMessages, lagSeconds }
  }

  #schedule(): void {
    if (this.#timer !== undefined || this.#isLooking || this.#isClosed) return
    const active = [...this.#sessions.values()].filter((session) => session.isActive)
    if (active.length === 0) return
    const sessions = active.flatMap(({ members }) => members.map(({ sessionTimeoutMs }) => sessionTimeoutMs))
    const delayMs = Math.max(lookMsLeast, Math.min(this.#ground.pollMs, ...sessions.map((ms) => ms / 6)))
    this.#timer = this.#ground.clock.setTimer(() => this.#look(), delayMs, { unref: true })
  }

  #look(): void {
    if (this.#isLooking || this.#isClosed) return
    this.#timer?.cancel()
    this.#timer = undefined
    this.#isLooking = true
    this.#isHinted = false
    const looked = (): void => {
      this.#isLooking = false
      if (this.#isHinted) this.#look()
      else this.#schedule()
    }
    // What was cut short is met again by the next look.
    this.#lookNow().then(looked, looked)
  }

  /** Tells the server who lives, and the members what has changed. */
  async #lookNow(): Promise<void> {
    for (const [group, session] of this.#sessions) if (!session.isActive) this.#sessions.delete(group)
    const sessions = [...this.#sessions]
    if (sessions.length === 0) return
    const beats = sessions.flatMap(([, session]) => session.takeBeats())
    if (beats.length > 0) await this.#store.beat(beats)
    const groups = sessions.map(([group]) => group)
    await this.#absence.look(groups)
    const looks = await this.#store.look(groups)
    await Promise.all(sessions.map(([group, session]) => session.follow(looks.get(group))))
  }
}
