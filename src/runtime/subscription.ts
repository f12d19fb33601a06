import type { Assignment, Claim, Member } from '../engine/index.ts'
import { type Duration, durationMs, sleep, type Timer } from '../kernel/index.ts'
import type { AnyEventDefinition, Message } from '../message/index.ts'
import { channels } from '../telemetry/index.ts'
import { CommitChain } from './commit-chain.ts'
import { commitFailureOf } from './commit-failure.ts'
import type { CommitBatch } from './commit-batch.ts'
import { Committer, type Refusal } from './committer.ts'
import { Dedupe } from './dedupe.ts'
import { deadLetterPrefix } from './dead-letter-entry.ts'
import { Dispatcher } from './dispatcher.ts'
import { Lanes } from './lanes.ts'
import { chainNamespace } from './namespaces.ts'
import { OutsideCalls } from './outside-calls.ts'
import { Parking } from './parking.ts'
import { PartitionReader } from './partition-reader.ts'
import { nobody, Redriver } from './redriver.ts'
import { Runner } from './runner.ts'
import { StateCache } from './state-cache.ts'
import type { SubscriptionParts, SubscriptionSetup } from './subscription-parts.ts'
import { done, Task, type TaskOutcome } from './task.ts'
import { TimerService } from './timer-service.ts'

/** How long handlers whose partition is taken away may finish. */
const revokeMs = 5000
/** How long handlers that were told to abort may take to listen. */
const abortedMs = 1000
/** Signs of life while handlers run: each attempt has its time limit, so there is progress. */
const heartbeatMs = 10_000
/** How long the app waits before it tries again to write to a full disk. */
const diskFullMs = 1000
/** How many commits in a row may be refused for what they hold before that is no message's fault. */
const refusalsMax = 20

/**
 * One handler at work, as a member of its consumer group: it reads the partitions that it owns, runs the handler in the
 * lanes of the keys, and commits effects and progress together.
 *
 * When a commit that merged many messages is refused, the subscription rewinds: it forgets what is under way and goes on from
 * what is durable.
 */
export class Subscription {
  readonly group: string
  readonly #parts: SubscriptionParts
  readonly #chain: CommitChain
  readonly #lanes: Lanes
  readonly #runner: Runner
  readonly #redriver: Redriver
  readonly #dispatcher: Dispatcher
  readonly #readers = new Map<string, PartitionReader>()
  #member: Member | undefined
  #epoch = 0
  #epochEnd = new AbortController()
  #rewinding: Promise<void> | undefined
  #openingCount = 0
  #refusalCount = 0
  #state: 'new' | 'running' | 'stopping' | 'stopped' = 'new'
  #heartbeat: Timer | undefined

  constructor(setup: SubscriptionSetup, onFatal: (error: unknown) => void) {
    const { engine, group, handler, clock } = setup
    this.group = group
    this.#chain = new CommitChain(engine, chainNamespace(group))
    const definitions = new Map(handler.events.map((definition) => [definition.type as string, definition]))
    const topics = topicsOf(handler.events)
    const isShared = handler.key !== undefined || topics.length > 1
    const committer = new Committer(
      { engine, group, chain: this.#chain, clock },
      (batch) => this.#onCommitted(batch),
      (refusal, batch) => this.#onRefused(refusal, batch),
    )
    this.#parts = {
      ...setup,
      committer,
      cache: new StateCache(engine.state, setup.stateNamespace),
      parking: new Parking(engine, group),
      dedupe:
        handler.dedupeWindowMs === undefined ? undefined : new Dedupe(engine, group, handler.dedupeWindowMs, clock),
      outside: new OutsideCalls(group, handler, () => this.#onBreaker()),
      timers: new TimerService({
        engine,
        group,
        clock,
        shared: isShared ? { topic: topics[0] as string } : undefined,
        enqueue: (task) => this.#lanes.enqueue(task),
        onError: (error) => onFatal(error),
      }),
      epoch: () => this.#epoch,
      epochSignal: () => this.#epochEnd.signal,
      onFatal,
      onFenced: (reader) => this.#onFenced(reader),
      current: (message) => currentMessage(definitions, message),
    }
    this.#runner = new Runner(this.#parts)
    this.#lanes = new Lanes({
      run: (task) => this.#run(task),
      mayRun: () => !committer.isFull && !this.#runner.isPaused,
      clock,
      concurrencyMax: handler.concurrency,
    })
    this.#redriver = new Redriver(
      this.#parts,
      (task) => this.#lanes.enqueue(task),
      (task, error) => this.#runner.giveUpAgain(task, error),
    )
    this.#dispatcher = new Dispatcher(this.#parts, this.#lanes, this.#runner, definitions)
  }

  /** Joins the consumer group and begins to work. */
  async start(): Promise<void> {
    const { engine, handler, clock } = this.#parts
    this.#state = 'running'
    await this.#chain.open()
    this.#member = await engine.groups.join({
      group: this.group,
      topics: topicsOf(handler.events),
      from: handler.from,
      onAssigned: (assignments) => this.#onAssigned(assignments),
      onRevoked: (claims) => this.#onRevoked(claims),
      onLost: (claims) => this.#onLost(claims),
    })
    const beat = (): void => {
      this.#member?.heartbeat()
      this.#heartbeat = clock.setTimer(beat, heartbeatMs, { unref: true })
    }
    this.#heartbeat = clock.setTimer(beat, heartbeatMs, { unref: true })
  }

  /** Whether all that this member knows of is handled and durable. Commits what is merged, if need be. */
  async isQuiet(): Promise<boolean> {
    await this.#rewinding
    const looksQuiet = (): boolean =>
      this.#rewinding === undefined &&
      this.#openingCount === 0 &&
      this.#lanes.isEmpty &&
      this.#redriver.isIdle &&
      [...this.#readers.values()].every((reader) => reader.isCaughtUp)
    if (!looksQuiet()) return false
    await this.#parts.committer.settled({ progressToo: true })
    return looksQuiet() && this.#parts.committer.isIdle
  }

  /** Resolves when something changed that may have made it quiet. */
  changed(): Promise<void> {
    return this.#lanes.changed.changed()
  }

  /** Takes up requests for dead letters of the partitions at hand. */
  async scanRequests(): Promise<void> {
    for (const reader of [...this.#readers.values()]) if (reader.isLive) await this.#redriver.scan(reader)
  }

  /** A dead letter changed: is it a request for this member? */
  async onDeadLetterChange(id: string): Promise<void> {
    for (const reader of [...this.#readers.values()]) {
      if (!reader.isLive || !id.startsWith(deadLetterPrefix(this.group, reader.topic, reader.partition))) continue
      await this.#redriver.check(reader, id)
    }
  }

  /** Finishes what runs, for so long, commits and leaves. What waits for a retry is left for the next start. */
  async stop(timeout: Duration): Promise<void> {
    if (this.#state !== 'running') return
    this.#state = 'stopping'
    await this.#rewinding
    const { committer, timers } = this.#parts
    timers.stop()
    const readers = [...this.#readers.values()]
    await Promise.all(readers.map((reader) => reader.halt()))
    for (const reader of readers) this.#lanes.dropWaiting(reader)
    const isInTime = await this.#within(this.#lanesEmpty(), durationMs(timeout))
    if (!isInTime) {
      this.#runner.attempts.abort(new DOMException('The app stops.', 'AbortError'))
      await this.#within(this.#lanesEmpty(), abortedMs)
    }
    this.#endEpoch()
    this.#lanes.clear()
    await committer.settled({ progressToo: true })
    this.#heartbeat?.cancel()
    await this.#member?.leave()
    this.#chain.close()
    this.#state = 'stopped'
  }

  /** Drops everything: the engine has failed. */
  async abandon(): Promise<void> {
    if (this.#state === 'stopped') return
    this.#state = 'stopped'
    this.#endEpoch()
    this.#parts.timers.stop()
    this.#lanes.clear()
    this.#heartbeat?.cancel()
    this.#chain.close()
    await Promise.all([...this.#readers.values()].map((reader) => reader.halt()))
    await this.#member?.leave().catch(() => undefined)
  }

  #run(task: Task): TaskOutcome | Promise<TaskOutcome> {
    const outcome = this.#runner.run(task)
    if (task.dead === undefined) return outcome
    return Promise.resolve(outcome).then((settled) => {
      if (settled === done) this.#redriver.finished(task)
      return settled
    })
  }

  #onAssigned(assignments: readonly Assignment[]): void {
    this.#report('assigned', assignments.map(({ claim }) => claim))
    for (const { claim, progress } of assignments) {
      const reader = new PartitionReader(claim, progress, {
        engine: this.#parts.engine,
        dispatch: (self, result) => this.#dispatcher.dispatch(self, result),
        changed: this.#lanes.changed,
        onRead: () => this.#member?.heartbeat(),
        onError: (error) => this.#parts.onFatal(error),
      })
      this.#readers.set(placeOf(claim), reader)
      if (this.#state === 'running' && this.#rewinding === undefined) this.#open(reader)
    }
  }

  /** Loads what is kept about a partition, then starts to read it. */
  #open(reader: PartitionReader): void {
    const epoch = this.#epoch
    const isCurrent = (): boolean => epoch === this.#epoch && this.#readers.get(placeOf(reader.claim)) === reader
    this.#openingCount++
    const opening = async (): Promise<void> => {
      const released = await this.#parts.parking.load(reader)
      if (!isCurrent()) return
      await this.#parts.timers.open(reader)
      if (!isCurrent()) return
      for (const { key } of released) this.#lanes.enqueue(new Task('replay', reader, key, nobody, 0, -1, 0))
      await this.#redriver.scan(reader)
      if (isCurrent() && this.#state === 'running') reader.start()
    }
    opening()
      .catch((error: unknown) => {
        if (isCurrent()) this.#parts.onFatal(error)
      })
      .finally(() => {
        this.#openingCount--
        this.#lanes.changed.notify()
      })
  }

  async #onRevoked(claims: readonly Claim[]): Promise<void> {
    this.#report('revoked', claims)
    await this.#rewinding
    const readers = this.#readersOf(claims)
    for (const reader of readers) this.#readers.delete(placeOf(reader.claim))
    await Promise.all(readers.map((reader) => reader.halt()))
    for (const reader of readers) {
      this.#parts.timers.close(reader)
      this.#lanes.dropWaiting(reader)
    }
    const released = this.#lanes.changed.until(() => !readers.some((reader) => this.#lanes.holds(reader)))
    const isInTime = await this.#within(released, revokeMs)
    if (!isInTime) await this.#rewind('handlers did not finish before their partition was taken away', 0, 0)
    await this.#parts.committer.settled({ progressToo: true })
    for (const reader of readers) this.#parts.parking.forget(reader)
    this.#parts.cache.forgetSettled()
  }

  #onLost(claims: readonly Claim[]): void {
    this.#report('lost', claims)
    for (const reader of this.#readersOf(claims)) this.#onFenced(reader)
  }

  /** Another member owns the partition: what was under way for it must not become real, and cannot. */
  #onFenced(reader: PartitionReader): void {
    const place = placeOf(reader.claim)
    if (this.#readers.get(place) !== reader) return
    this.#readers.delete(place)
    void reader.halt()
    this.#startRewind(`partition ${reader.partition} of topic "${reader.topic}" belongs to another member now`, 0, 0)
  }

  #onBreaker(): void {
    const { outside, clock } = this.#parts
    if (!outside.isOpen) {
      this.#lanes.wake()
      return
    }
    this.#runner.pause(outside.openForMs)
    clock.setTimer(() => this.#lanes.wake(), outside.openForMs + 1, { unref: true })
  }

  #onCommitted(batch: CommitBatch): void {
    if (batch.messageCount > 0) this.#refusalCount = 0
    if (channels.lag.hasSubscribers) {
      for (const { reader } of batch.progress) {
        const { topic, partition, latest, committed } = reader
        const lagMessages = Math.max(0, latest - committed.next)
        channels.lag.publish({ handler: this.group, topic, partition, lagMessages })
      }
    }
    if (channels.published.hasSubscribers && batch.publishedCount > 0) {
      channels.published.publish({
        app: this.#parts.app,
        handler: this.group,
        messageCount: batch.publishedCount,
        durationMs: batch.durationMs,
      })
    }
    this.#lanes.wake()
  }

  #onRefused(refusal: Refusal, batch: CommitBatch): void {
    if (refusal.kind === 'conflict') {
      const { conflict } = refusal
      if (conflict.kind === 'fenced') {
        const reader = this.#readers.get(placeOf(conflict))
        if (reader !== undefined) this.#onFenced(reader)
        else this.#startRewind('a partition was taken away', 0, 0)
        return
      }
      // State was changed by another member: read it again. Anything else is one message's fault: find out whose.
      const isolated = conflict.kind === 'revision' ? 0 : batch.messageCount
      this.#startRewind(`conflict: ${conflict.kind}`, isolated, 0)
      return
    }
    const failure = commitFailureOf(refusal.error)
    if (failure === 'engine' || (failure === 'content' && ++this.#refusalCount > refusalsMax)) {
      this.#parts.onFatal(refusal.error)
      return
    }
    const isFull = failure === 'disk-full'
    this.#startRewind(String(refusal.error), isFull ? 0 : batch.messageCount, isFull ? diskFullMs : 0)
  }

  #startRewind(reason: string, isolatedCount: number, pauseMs: number): void {
    void this.#rewind(reason, isolatedCount, pauseMs)
  }

  /** Forgets what is under way and goes on from what is durable. */
  #rewind(reason: string, isolatedCount: number, pauseMs: number): Promise<void> {
    if (this.#state === 'stopped') return Promise.resolve()
    this.#runner.isolatedCount = Math.max(this.#runner.isolatedCount, isolatedCount)
    if (this.#rewinding !== undefined) return this.#rewinding
    if (channels.rewound.hasSubscribers) channels.rewound.publish({ handler: this.group, reason })
    this.#rewinding = this.#doRewind(pauseMs)
      .catch((error: unknown) => this.#parts.onFatal(error))
      .finally(() => {
        this.#rewinding = undefined
        if (this.#state === 'running') for (const reader of this.#readers.values()) this.#open(reader)
        this.#lanes.changed.notify()
      })
    return this.#rewinding
  }

  async #doRewind(pauseMs: number): Promise<void> {
    const { committer, cache, parking, dedupe, timers, clock } = this.#parts
    this.#endEpoch()
    this.#lanes.clear()
    this.#runner.attempts.abort(new DOMException('What it was doing starts anew.', 'AbortError'))
    timers.close()
    await Promise.all([...this.#readers.values()].map((reader) => reader.halt()))
    await committer.reset()
    await this.#within(this.#runner.attempts.quiet(), abortedMs)
    cache.clear()
    parking.forget()
    dedupe?.clear()
    this.#redriver.clear()
    await this.#chain.reload()
    if (pauseMs > 0) await sleep(pauseMs, clock)
    committer.resume()
  }

  #endEpoch(): void {
    this.#epoch++
    this.#epochEnd.abort()
    this.#epochEnd = new AbortController()
  }

  #lanesEmpty(): Promise<void> {
    return this.#lanes.changed.until(() => this.#lanes.isEmpty)
  }

  /** Whether it happens in time. */
  async #within(what: Promise<void>, limitMs: number): Promise<boolean> {
    const abort = new AbortController()
    const limit = sleep(limitMs, this.#parts.clock, abort.signal).then(
      () => false,
      () => false,
    )
    const isInTime = await Promise.race([what.then(() => true), limit])
    abort.abort()
    return isInTime
  }

  #readersOf(claims: readonly Claim[]): PartitionReader[] {
    return claims.flatMap((claim) => {
      const reader = this.#readers.get(placeOf(claim))
      return reader !== undefined && reader.claim.epoch === claim.epoch ? [reader] : []
    })
  }

  #report(change: 'assigned' | 'revoked' | 'lost', claims: readonly Claim[]): void {
    if (!channels.rebalanced.hasSubscribers) return
    const partitions = claims.map(({ topic, partition }) => ({ topic, partition }))
    channels.rebalanced.publish({ handler: this.group, change, partitions })
  }
}

function placeOf(place: { readonly topic: string; readonly partition: number }): string {
  return `${place.topic}/${place.partition}`
}

/** Topics of definitions, each once, in the order in which the handler names them. */
export function topicsOf(events: readonly AnyEventDefinition[]): readonly string[] {
  return [...new Set(events.map((definition) => definition.topic))]
}

function currentMessage(definitions: ReadonlyMap<string, AnyEventDefinition>, message: Message): Message {
  const definition = definitions.get(message.type)
  return definition === undefined || definition.version === message.dataversion ? message : definition.read(message)
}
