import type { Together } from '../engine/index.ts'
import { type Clock, sleep } from '../kernel/index.ts'
import { type AnyDefinition, isCurrent, type Message, topicOfDefinition } from '../message/index.ts'
import type { CommitBatch } from './commit-batch.ts'
import { CommitChain } from './commit-chain.ts'
import { Committer, type Refusal } from './committer.ts'
import { CrashWatch } from './crash-watch.ts'
import { Dedupe } from './dedupe.ts'
import { Dispatcher } from './dispatcher.ts'
import { Epoch } from './epoch.ts'
import type { Handler } from './handler.ts'
import { Isolation } from './isolation.ts'
import { KeptAttempts } from './kept-attempts.ts'
import { Lanes } from './lanes.ts'
import { chainNamespace } from './namespaces.ts'
import { OutsideCalls } from './outside-calls.ts'
import { Pace, SharedPace } from './pace.ts'
import { Parking } from './parking.ts'
import type { PartitionReader } from './partition-reader.ts'
import { Patience } from './patience.ts'
import { patientEngine } from './patient-engine.ts'
import { Redriver } from './redriver.ts'
import { Runner } from './runner.ts'
import { StateCache } from './state-cache.ts'
import type { SubscriptionParts, SubscriptionSetup } from './subscription-parts.ts'
import { done, nobody, Task, type TaskOutcome } from './task.ts'
import { TimerService } from './timer-service.ts'

/** Whom the parts of a subscription tell what happened. */
export interface CoreEvents {
  readonly onCommitted: (batch: CommitBatch) => void
  readonly onRefused: (refusal: Refusal, batch: CommitBatch) => void
  /** A task was committed by itself. */
  readonly onLone: () => void
  readonly onFenced: (reader: PartitionReader) => void
  /** What is in memory is not what is stored. */
  readonly onStale: (reason: string) => void
  readonly onFatal: (error: unknown) => void
}

/** The working parts of a subscription, put together. */
export class SubscriptionCore {
  readonly setup: SubscriptionSetup
  readonly parts: SubscriptionParts
  readonly epoch: Epoch = new Epoch()
  readonly chain: CommitChain
  readonly lanes: Lanes
  readonly runner: Runner
  readonly isolation: Isolation
  readonly redriver: Redriver
  readonly dispatcher: Dispatcher
  /** The partitions that this member owns, by topic and partition. */
  readonly readers: Map<string, PartitionReader> = new Map()
  /** Which partitions belong to one member. */
  readonly together: Together | undefined
  /** Whether messages are handled while they are on their way to the disk. */
  readonly readsEarly: boolean
  /** Whether commits are to be few and large. */
  readonly isBulk: () => boolean

  constructor(setup: SubscriptionSetup, events: CoreEvents) {
    const { app, group, handler, clock } = setup
    const patience = new Patience({ clock, app, handler: group }).begin()
    const engine = patientEngine(setup.engine, patience)
    this.setup = setup
    const definitions = new Map(handler.events.map((definition) => [definition.type, definition]))
    const topics = topicsOf(handler.events)
    this.together = togetherOf(handler)
    this.chain = new CommitChain(engine, chainNamespace(group), this.together)
    this.readsEarly = handler.early && engine.capabilities.topics.early === true
    this.isBulk = setup.haste?.isBulk ?? (() => false)
    const isPerPartition = engine.capabilities.ownedState === true && this.together !== 'all'
    const committer = new Committer(
      // A commit that fails for a reason that passes is made anew, of what is handled anew.
      { engine: setup.engine, app, group, chain: this.chain, clock, isBulk: this.isBulk },
      (batch) => events.onCommitted(batch),
      (refusal, batch) => events.onRefused(refusal, batch),
      () => events.onLone(),
    )
    this.parts = {
      ...setup,
      engine,
      patience,
      committer,
      cache: new StateCache(engine.state, setup.stateNamespace, isPerPartition),
      parking: new Parking(engine, group),
      keptAttempts: new KeptAttempts(engine, group, handler.retry.description, clock),
      crashWatch: new CrashWatch(engine, setup.engine, group, clock),
      dedupe:
        handler.dedupeWindowMs === undefined
          ? undefined
          : new Dedupe(engine, group, handler.dedupeWindowMs, clock, this.together === 'all'),
      outside: new OutsideCalls(group, handler, () => this.#onBreaker()),
      timers: new TimerService({
        engine,
        group,
        clock,
        shared: this.together !== undefined ? { topic: topics[0] as string } : undefined,
        enqueue: (task) => this.lanes.enqueue(task),
        onError: events.onFatal,
      }),
      behind: (task) => this.lanes.behind(task),
      epoch: () => this.epoch.current,
      epochSignal: () => this.epoch.signal,
      pause: (forMs) => this.#pause(forMs),
      onFatal: events.onFatal,
      onFenced: events.onFenced,
      onStale: events.onStale,
      current: (message) => currentMessage(definitions, message),
    }
    this.isolation = new Isolation(this.readers)
    this.runner = new Runner(this.parts, this.isolation)
    this.lanes = new Lanes({
      run: (task) => this.#run(task),
      mayRun: () => !committer.isFull && !this.runner.isPaused && committer.open.stateCount < this.parts.cache.capacity,
      clock,
      concurrencyMax: handler.concurrency,
      onError: events.onFatal,
    })
    this.redriver = new Redriver(this.parts, {
      enqueue: (task) => this.lanes.enqueue(task),
      giveUpAgain: (task, error) => this.runner.giveUpAgain(task, error),
      onLooked: () => this.lanes.changed.notify(),
    })
    this.dispatcher = new Dispatcher(this.parts, this.lanes, this.runner, {
      definitions,
      pace: setup.haste?.pace ?? this.#ownPace(topics),
      ownPartitionCount: () => this.readers.size,
    })
  }

  /** As its options say. */
  #ownPace(topics: readonly string[]): SharedPace | undefined {
    const { engine, clock, handler } = this.setup
    const { messagesPerSecond: rate } = handler
    return rate === undefined ? undefined : new SharedPace({ pace: new Pace(clock, rate), engine, clock, topics })
  }

  /** Whether nothing that was taken up is unfinished, but for what is merged and not committed. */
  get isAtRest(): boolean {
    const isCaughtUp = [...this.readers.values()].every((reader) => reader.isCaughtUp)
    return isCaughtUp && this.lanes.isEmpty && this.redriver.isIdle && !this.parts.timers.isLooking
  }

  #run(task: Task): TaskOutcome | Promise<TaskOutcome> {
    const outcome = this.runner.run(task)
    if (task.dead === undefined && !task.isKept) return outcome
    const began = this.epoch.current
    return Promise.resolve(outcome).then((settled) => {
      // What a rewind dropped has come to nothing.
      if (settled === done && began === this.epoch.current) {
        if (task.isKept) this.#forgetAttempts(task)
        if (task.dead !== undefined) {
          this.#replayElsewhere(task)
          this.redriver.finished(task)
        }
      }
      return settled
    })
  }

  #forgetAttempts(task: Task): void {
    const { keptAttempts, committer } = this.parts
    keptAttempts.done(task, committer.open)
    committer.flushThisTurn()
  }

  /** A dead letter may have parked another key than its message has by now: what waits there has a lane of its own. */
  #replayElsewhere({ kind, key, dead, reader }: Task): void {
    const parkedKey = dead?.letter.parksKey === true ? dead.letter.key : null
    if (kind !== 'redrive' || parkedKey === null || parkedKey === key) return
    this.lanes.enqueue(new Task('replay', reader, parkedKey, nobody, 0, -1, 0))
  }

  #onBreaker(): void {
    const { outside } = this.parts
    if (outside.isOpen) this.#pause(outside.openForMs)
    else this.lanes.wake()
  }

  #pause(forMs: number): void {
    this.runner.pause(forMs)
    const goOn = (): void => {
      // Timers and the monotonic clock may differ by a fraction of a millisecond.
      if (this.runner.isPaused) this.parts.clock.setTimer(goOn, 1, { unref: true })
      else this.lanes.wake()
    }
    this.parts.clock.setTimer(goOn, forMs, { unref: true })
  }
}

/** Topics of definitions, each once, in the order in which the handler names them. */
export function topicsOf(events: readonly AnyDefinition[]): readonly string[] {
  return [...new Set(events.map(topicOfDefinition))]
}

/**
 * Which partitions belong to one member, so that each key of a handler has one owner: a key of its own may come from any
 * partition, a partition key of several topics comes from those of one number. Its timers, of which a key has one set, cannot
 * be told apart by number: topics may have different numbers of partitions.
 */
export function togetherOf(handler: Handler): Together | undefined {
  if (handler.key !== undefined) return 'all'
  if (topicsOf(handler.events).length === 1) return undefined
  return Object.keys(handler.timers).length > 0 ? 'all' : 'numbers'
}

/** Names a partition among those that a member owns. */
export function placeOf(place: { readonly topic: string; readonly partition: number }): string {
  return `${place.topic}/${place.partition}`
}

/** Whether it happens in time. */
export async function happensWithin(what: Promise<void>, limitMs: number, clock: Clock): Promise<boolean> {
  const abort = new AbortController()
  const limit = sleep(limitMs, clock, abort.signal).then(
    () => false,
    () => false,
  )
  const isInTime = await Promise.race([what.then(() => true), limit])
  abort.abort()
  return isInTime
}

function currentMessage(definitions: ReadonlyMap<string, AnyDefinition>, message: Message): Message {
  const definition = definitions.get(message.type)
  return definition === undefined || isCurrent(definition, message) ? message : definition.read(message)
}
