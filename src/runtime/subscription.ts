import type { Assignment, Claim, GroupDescription, LeaveOptions, Member } from '../engine/index.ts'
import type { Timer } from '../kernel/index.ts'
import { channels } from '../telemetry/index.ts'
import type { CommitBatch } from './commit-batch.ts'
import { commitFailureOf } from './commit-failure.ts'
import { deadLetterPrefix } from './dead-letter-entry.ts'
import { PartitionReader } from './partition-reader.ts'
import { Rewinder } from './rewinder.ts'
import { happensWithin, placeOf, SubscriptionCore, topicsOf } from './subscription-core.ts'
import type { SubscriptionSetup } from './subscription-parts.ts'
import { nobody, Task } from './task.ts'

/** How long handlers whose partition is taken away may finish. */
const revokeMs = 5000
/** How long handlers that were told to abort may take to listen. */
const abortedMs = 1000
/** Signs of life in each session while handlers run: each attempt has its time limit, so there is progress. */
const heartbeatsPerSession = 4

/**
 * One handler at work, as a member of its consumer group: it reads the partitions that it owns, runs the handler in the
 * lanes of the keys, and commits effects and progress together.
 *
 * When a commit that merged many messages is refused, the subscription rewinds: it forgets what is under way and goes on from
 * what is durable.
 */
export class Subscription {
  readonly group: string
  readonly #core: SubscriptionCore
  readonly #rewinder: Rewinder
  #member: Member | undefined
  #joining: Promise<Member> | undefined
  #openingCount = 0
  /** Parked keys that are being looked up. */
  readonly #loading = new Set<Promise<unknown>>()
  #state: 'running' | 'stopping' | 'stopped' = 'running'
  #heartbeat: Timer | undefined

  constructor(setup: SubscriptionSetup, onFatal: (error: unknown) => void) {
    this.group = setup.group
    const fatal = (error: unknown): void => {
      // Who stops waits for nothing, and is told so by what cannot be done now.
      if (this.#state === 'running' || commitFailureOf(error) !== 'passing') onFatal(error)
    }
    this.#core = new SubscriptionCore(setup, {
      onCommitted: (batch) => this.#onCommitted(batch),
      onRefused: (refusal, batch) => this.#rewinder.onRefused(refusal, batch),
      onLone: () => this.#rewinder.onLone(),
      onFenced: (reader) => this.#rewinder.onFenced(reader),
      onStale: (reason) => this.#rewinder.begin(reason),
      onFatal: fatal,
    })
    this.#rewinder = new Rewinder(this.#core, () => {
      for (const reader of this.#core.readers.values()) this.#open(reader)
    })
  }

  /** The topics that it reads. */
  get topics(): readonly string[] {
    return topicsOf(this.#core.parts.handler.events)
  }

  /** Joins the consumer group and begins to work. */
  async start(): Promise<void> {
    const { engine } = this.#core.setup
    const { handler, clock, sessionTimeoutMs } = this.#core.parts
    const heartbeatMs = sessionTimeoutMs / heartbeatsPerSession
    this.#joining = engine.groups.join({
      group: this.group,
      topics: topicsOf(handler.events),
      from: handler.from,
      sessionTimeoutMs,
      together: this.#core.together,
      onAssigned: (assignments) => this.#onAssigned(assignments),
      onRevoked: (claims) => this.#onRevoked(claims),
      onLost: (claims) => {
        this.#report('lost', claims)
        for (const reader of this.#readersOf(claims)) this.#rewinder.onFenced(reader)
      },
      onFailed: (error) => this.#core.parts.onFatal(error),
    })
    this.#member = await this.#joining
    // Whoever stops or abandons meanwhile sees to it that the member leaves.
    if (this.#state !== 'running') return
    const beat = (): void => {
      this.#member?.heartbeat()
      this.#heartbeat = clock.setTimer(beat, heartbeatMs, { unref: true })
    }
    this.#heartbeat = clock.setTimer(beat, heartbeatMs, { unref: true })
  }

  /**
   * Whether this member looks after all partitions that it was given, and all that it knows of is handled and durable.
   * Commits what is merged, if need be.
   */
  async isQuiet(): Promise<boolean> {
    await this.#rewinder.underWay
    if (!this.#looksQuiet()) return false
    await this.#core.parts.committer.settled({ progressToo: true })
    return this.#looksQuiet() && this.#core.parts.committer.isIdle
  }

  /** Whether it looks after all that the members of its group are said to have, as far as it is one of them, and is still at rest. */
  looksAfterAll(members: GroupDescription['members']): boolean {
    const told = members.find(({ id }) => id === this.#member?.id)?.claims ?? []
    return this.#looksQuiet(told)
  }

  /** @param told Claims that others say it has. */
  #looksQuiet(told: readonly Claim[] = []): boolean {
    const { readers, isAtRest } = this.#core
    return (
      this.#rewinder.underWay === undefined &&
      this.#openingCount === 0 &&
      this.#member !== undefined &&
      [...this.#member.claims, ...told].every((claim) => readers.has(placeOf(claim))) &&
      isAtRest
    )
  }

  /** Resolves when something changed that may have made it quiet. */
  changed(): Promise<void> {
    return this.#core.lanes.changed.changed()
  }

  /** Takes up requests for dead letters of the partitions at hand. */
  async scanRequests(): Promise<void> {
    for (const reader of [...this.#core.readers.values()]) await this.#core.redriver.scan(reader)
  }

  /** A dead letter changed: is it a request for this member? */
  async onDeadLetterChange(id: string): Promise<void> {
    for (const reader of [...this.#core.readers.values()]) {
      if (id.startsWith(deadLetterPrefix(this.group, reader.topic, reader.partition)))
        await this.#core.redriver.check(reader, id)
    }
  }

  /** Finishes what runs, for so long, commits and leaves. What waits for a retry is left for the next start. */
  async stop(timeoutMs: number, leaving: LeaveOptions = {}): Promise<void> {
    if (this.#state !== 'running') return
    this.#state = 'stopping'
    const { lanes, runner, epoch, readers, redriver, parts } = this.#core
    parts.timers.stop()
    redriver.clear()
    parts.patience.end()
    this.#rewinder.hurry()
    await this.#rewinder.underWay
    const open = [...readers.values()]
    for (const reader of open) reader.leave()
    await Promise.all(open.map((reader) => reader.halt()))
    for (const reader of open) lanes.dropWaiting(reader)
    const isInTime = await happensWithin(this.#lanesEmpty(), timeoutMs, parts.clock)
    if (!isInTime) {
      runner.attempts.abort(new DOMException('The app stops.', 'AbortError'))
      await happensWithin(this.#lanesEmpty(), abortedMs, parts.clock)
    }
    epoch.end()
    lanes.clear()
    await parts.committer.drained()
    await this.#rewinder.underWay
    this.#rewinder.stop()
    await parts.crashWatch.close(open)
    this.#heartbeat?.cancel()
    await (await this.#joining?.catch(() => undefined))?.leave(leaving)
    this.#state = 'stopped'
  }

  /** Drops everything: the engine has failed. */
  async abandon(): Promise<void> {
    if (this.#state === 'stopped') return
    this.#state = 'stopped'
    const { lanes, runner, epoch, readers, redriver, parts } = this.#core
    this.#rewinder.stop()
    redriver.clear()
    parts.patience.end()
    this.#rewinder.hurry()
    epoch.end()
    runner.attempts.abort(new DOMException('The app has failed.', 'AbortError'))
    parts.timers.stop()
    parts.crashWatch.abandon()
    lanes.clear()
    this.#heartbeat?.cancel()
    await Promise.all([...readers.values()].map((reader) => reader.halt()))
    // A join that is under way may be answered late, if at all: nobody waits for it, and its member leaves all the same. The engine that has
    // failed may have nothing to say to either.
    const left = this.#joining?.then((member) => member.leave()).catch(() => undefined)
    if (this.#member !== undefined) await left
  }

  #onAssigned(assignments: readonly Assignment[]): void {
    const claims = assignments.map(({ claim }) => claim)
    this.#report('assigned', claims)
    for (const { claim, progress } of assignments) {
      const reader = new PartitionReader(claim, progress, {
        engine: this.#core.parts.engine,
        clock: this.#core.parts.clock,
        early: this.#core.readsEarly,
        dispatch: (self, result) => this.#core.dispatcher.dispatch(self, result),
        changed: this.#core.lanes.changed,
        isBulk: this.#core.isBulk,
        onRead: () => this.#member?.heartbeat(),
        onGone: (self, from, to) => {
          const { committer } = this.#core.parts
          committer.open.addProgress(self, from, to)
          committer.open.skippedCount += to - from
          committer.flushSoon()
        },
        onError: (error) => this.#core.parts.onFatal(error),
      })
      this.#core.readers.set(placeOf(claim), reader)
      if (this.#rewinder.underWay === undefined) this.#open(reader)
    }
  }

  /** Loads what is kept about a partition, then starts to read it. */
  #open(reader: PartitionReader): void {
    if (this.#state !== 'running') return
    const { epoch, readers, parts, lanes, redriver, chain } = this.#core
    const began = epoch.current
    const isCurrent = (): boolean =>
      began === epoch.current && this.#state === 'running' && readers.get(placeOf(reader.claim)) === reader
    const open = async (): Promise<void> => {
      const load = parts.parking.load(reader, isCurrent)
      this.#loading.add(load)
      const released = await load.finally(() => this.#loading.delete(load))
      await parts.keptAttempts.load(reader, () => parts.committer.open, isCurrent)
      await parts.crashWatch.open(reader, isCurrent)
      // A key that is parked on one partition holds back its messages on all: none is read before all are looked up.
      await Promise.allSettled(this.#loading)
      if (isCurrent()) await chain.open(reader, isCurrent)
      if (isCurrent()) await parts.timers.open(reader)
      if (!isCurrent()) return
      for (const { key } of released) lanes.enqueue(new Task('replay', reader, key, nobody, 0, -1, 0))
      await redriver.open(reader)
      if (isCurrent()) reader.start()
    }
    this.#openingCount++
    open()
      .catch((error: unknown) => {
        if (isCurrent()) parts.onFatal(error)
      })
      .finally(() => {
        this.#openingCount--
        lanes.changed.notify()
      })
  }

  async #onRevoked(claims: readonly Claim[]): Promise<void> {
    this.#report('revoked', claims)
    this.#rewinder.endPause()
    await this.#rewinder.underWay
    const { lanes, readers, parts, redriver, chain } = this.#core
    const revoked = this.#readersOf(claims)
    for (const reader of revoked) {
      readers.delete(placeOf(reader.claim))
      reader.leave()
      redriver.forget(reader)
    }
    await Promise.all(revoked.map((reader) => reader.halt()))
    for (const reader of revoked) {
      parts.timers.close(reader)
      lanes.dropWaiting(reader)
    }
    const finished = lanes.changed.until(() => !revoked.some((reader) => lanes.holds(reader)))
    if (!(await happensWithin(finished, revokeMs, parts.clock))) {
      this.#rewinder.begin('handlers did not finish before their partition was taken away')
      await this.#rewinder.underWay
    }
    // Nothing joins a queue of theirs behind what is drained here: its next owner could not know of it.
    for (const reader of revoked) parts.parking.forget(reader)
    await parts.committer.drained()
    this.#rewinder.endPause()
    await this.#rewinder.underWay
    await parts.crashWatch.close(revoked)
    for (const reader of revoked) {
      parts.parking.forget(reader)
      parts.keptAttempts.forget(reader)
      chain.forget(reader)
    }
    parts.cache.forgetSettled()
  }

  #onCommitted(batch: CommitBatch): void {
    this.#rewinder.onCommitted(batch)
    this.#core.lanes.wake()
  }

  #lanesEmpty(): Promise<void> {
    return this.#core.lanes.changed.until(() => this.#core.lanes.isEmpty)
  }

  #readersOf(claims: readonly Claim[]): PartitionReader[] {
    return claims.flatMap((claim) => {
      const reader = this.#core.readers.get(placeOf(claim))
      return reader !== undefined && reader.claim.epoch === claim.epoch ? [reader] : []
    })
  }

  #report(change: 'assigned' | 'revoked' | 'lost', claims: readonly Claim[]): void {
    if (!channels.rebalanced.hasSubscribers) return
    const partitions = claims.map(({ topic, partition }) => ({ topic, partition }))
    channels.rebalanced.publish({ handler: this.group, change, partitions })
  }
}
