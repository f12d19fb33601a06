import {
  type Engine,
  PartitionUnknownError,
  type StateWrite,
  TopicUnknownError,
  type WriteBatch,
} from '../engine/index.ts'
import type { Clock, Json, Timer } from '../kernel/index.ts'
import { identityOf } from '../message/index.ts'
import { channels } from '../telemetry/index.ts'
import { Condition } from './condition.ts'
import { ProcessEndedError } from './errors.ts'
import { crashNamespace } from './namespaces.ts'
import type { PartitionReader } from './partition-reader.ts'
import { done, type Task, type TaskOutcome } from './task.ts'

/** After so many ends without progress in a row, what was there already is handled one by one. */
const crashesMax = 3
/**
 * So many ends while one message was handled by itself, and it is given up. One more than it takes until others that may be to blame are
 * handled by themselves, too.
 */
const taskCrashesMax = 4
/** Nothing is slow for longer than this: what comes later comes sooner after the next end, since there was progress. */
const closeLookMs = 10_000
/** Whoever waits no more looks again so soon, and is dropped then. */
const againMs = 1

/** What stands in the store while a member has a partition. */
interface KeptWatch {
  /** The first offset that was not done when the member began. */
  readonly next: number
  /** Owners in a row that ended without giving the partition back, and had made no progress. */
  readonly crashes: number
  /** What was handled by itself last, and how many owners have ended over it if this one has, too. */
  readonly task?: string
  readonly taskCrashes?: number
}

/** A partition at hand. */
interface Watch {
  readonly reader: PartitionReader
  /** What the owner before had kept, if it did not give the partition back. */
  readonly found: KeptWatch | undefined
  /** When it was opened, in milliseconds since 1970. */
  readonly openedMs: number
  /** Until then, after an end, it is looked at closely. */
  closeLook: Timer | undefined
  kept: KeptWatch
}

/** What ends the process may be any handler's: of all that work on one engine, since they live and die together. */
interface Suspicion {
  /** Partitions whose last owners have ended without progress, with something to do. */
  readonly of: Map<Watch, CrashWatch>
  /** What is handled by itself. */
  holder: Task | undefined
  readonly changed: Condition
}

const suspicions = new WeakMap<Engine, Suspicion>()

/**
 * Finds messages that end the process, or keep it from giving signs of life. Nothing can be noted when that happens, so it is noted
 * before: that a member has a partition, and that it has given it back. Where owners in a row have ended without that, and without progress,
 * what was there already is handled one by one in the whole process, each noted before it begins. Timers and dead letters, of which progress
 * tells nothing, are handled so after each such end. That over which too many have ended is given up.
 */
export class CrashWatch {
  readonly #engine: Engine
  readonly #group: string
  readonly #clock: Clock
  readonly #suspicion: Suspicion
  readonly #watches = new Map<PartitionReader, Watch>()

  /**
   * @param engine Waits for what passes.
   * @param own The engine itself.
   */
  constructor(engine: Engine, own: Engine, group: string, clock: Clock) {
    this.#engine = engine
    this.#group = group
    this.#clock = clock
    const suspicion = suspicions.get(own) ?? { of: new Map(), holder: undefined, changed: new Condition() }
    suspicions.set(own, suspicion)
    this.#suspicion = suspicion
  }

  /**
   * A partition is about to be read: notes that somebody has it, and how those before have ended.
   *
   * @param isCurrent Whether that is still of interest.
   */
  async open(reader: PartitionReader, isCurrent: () => boolean): Promise<void> {
    // What is read again after a refused commit was open before: there was no end.
    if (this.#watches.has(reader)) return
    const { next } = reader.committed
    const value: unknown = (await this.#engine.state.get(crashNamespace(this.#group), placeOf(reader), reader.claim))
      ?.value
    if (!isCurrent()) return
    const found = isKeptWatch(value) ? value : undefined
    const kept: KeptWatch = { ...found, next, crashes: crashesUpTo(found, next) }
    await this.#write(reader, kept)
    if (!isCurrent()) return
    const isSuspect = kept.crashes >= crashesMax && (await this.#hasBacklog(reader))
    if (!isCurrent()) return
    const watch: Watch = { reader, found, kept, openedMs: this.#clock.nowMs(), closeLook: undefined }
    this.#watches.set(reader, watch)
    if (found !== undefined) {
      watch.closeLook = this.#clock.setTimer(() => this.#passed(watch), closeLookMs, { unref: true })
    }
    if (!isSuspect) return
    this.#suspicion.of.set(watch, this)
    if (!channels.suspected.hasSubscribers) return
    const { topic, partition } = reader
    channels.suspected.publish({ handler: this.#group, topic, partition, crashes: kept.crashes })
  }

  /** Partitions are given back: nothing of them is under way any more. */
  async close(readers: readonly PartitionReader[]): Promise<void> {
    const watched = readers.filter((reader) => this.#watches.has(reader))
    this.abandon(watched)
    const state = watched.map((reader): StateWrite => ({ kind: 'delete', ...this.#place(reader) }))
    const progress = watched.map(({ claim }) => ({ claim, done: [] }))
    // Should it fail, the next owner counts an end too many, which alone changes nothing.
    if (watched.length > 0) await this.#engine.commit({ state, progress }).catch(() => undefined)
  }

  /** Partitions are somebody else's by now, or the process has failed: they count as not given back. */
  abandon(readers: readonly PartitionReader[] = [...this.#watches.keys()]): void {
    for (const reader of readers) {
      const watch = this.#watches.get(reader)
      if (watch === undefined) continue
      this.#watches.delete(reader)
      watch.closeLook?.cancel()
      this.#suspicion.of.delete(watch)
    }
  }

  /** Whether a task is to be handled by itself. */
  suspects(task: Task): boolean {
    return this.#suspicion.holder !== task && this.#isSuspect(task)
  }

  /**
   * Handles a task by itself once it is noted, or gives it up.
   *
   * @param over Aborts when nobody waits for it any more.
   */
  async alone(
    task: Task,
    over: AbortSignal,
    how: {
      readonly run: () => TaskOutcome | Promise<TaskOutcome>
      readonly giveUp: (error: ProcessEndedError) => TaskOutcome | Promise<TaskOutcome>
    },
  ): Promise<TaskOutcome> {
    if (!(await this.#take(task, AbortSignal.any([over, task.reader.left])))) return againMs
    // Whose fault it was may have been found meanwhile.
    if (this.#suspicion.holder !== task) return how.run()
    try {
      const watch = this.#watches.get(task.reader)
      if (watch === undefined) return done
      const { found, kept } = watch
      const name = nameOf(task)
      const crashes = found?.task === name ? (found.taskCrashes ?? 0) : 0
      task.isRefused = true
      if (crashes >= taskCrashesMax) {
        task.attempt = crashes
        const outcome = await how.giveUp(new ProcessEndedError(this.#group, crashes))
        if (outcome === done) this.#clear(watch)
        return outcome
      }
      const isNoted = kept.task === name && kept.taskCrashes === crashes + 1
      if (!isNoted && !(await this.#keep(watch, { ...kept, task: name, taskCrashes: crashes + 1 }))) return done
      return over.aborted ? done : await how.run()
    } finally {
      this.#suspicion.holder = undefined
      this.#suspicion.changed.notify()
    }
  }

  /** Waits for its turn, or until it needs none. False: nobody waits for it any more. */
  async #take(task: Task, over: AbortSignal): Promise<boolean> {
    const suspicion = this.#suspicion
    const wake = (): void => suspicion.changed.notify()
    over.addEventListener('abort', wake)
    let isSuspect = true
    while (isSuspect && !over.aborted && suspicion.holder !== undefined) {
      await suspicion.changed.changed()
      isSuspect = this.#isSuspect(task)
    }
    over.removeEventListener('abort', wake)
    if (isSuspect && !over.aborted) suspicion.holder = task
    return !over.aborted
  }

  #isSuspect({ kind, reader, offset, timestampMs }: Task): boolean {
    if (kind === 'record') return this.#isOn() && offset < endOf(reader)
    // The owner before may have been at it.
    const watch = this.#watches.get(reader)
    return watch?.closeLook !== undefined && (kind !== 'timer' || timestampMs <= watch.openedMs)
  }

  #isOn(): boolean {
    const { of } = this.#suspicion
    if (of.size === 0) return false
    for (const { reader } of of.keys()) if (reader.committed.next < endOf(reader)) return true
    of.clear()
    return false
  }

  /** Nothing has ended the process for a while. */
  #passed(watch: Watch): void {
    watch.closeLook = undefined
    this.#suspicion.of.delete(watch)
    const { kept, reader } = watch
    if (kept.next < reader.committed.next && this.#suspicion.holder?.reader !== reader) this.#acquit(watch)
    // What is handled by itself may wait for what waits for its turn.
    this.#suspicion.changed.notify()
  }

  async #hasBacklog({ topic, partition, committed }: PartitionReader): Promise<boolean> {
    try {
      return (await this.#engine.topics.locate(topic, partition, 'latest')) > committed.next
    } catch (error) {
      if (error instanceof TopicUnknownError || error instanceof PartitionUnknownError) return false
      throw error
    }
  }

  /** What ended the process is found: all others are handled as ever. */
  #clear(guilty: Watch): void {
    this.#acquit(guilty)
    for (const [watch, owner] of this.#suspicion.of) owner.#acquit(watch)
    this.#suspicion.of.clear()
  }

  #acquit(watch: Watch): void {
    watch.closeLook?.cancel()
    watch.closeLook = undefined
    const { next } = watch.reader.committed
    // Should it fail, it is looked at closely after the next end, for nothing.
    this.#keep(watch, { next, crashes: 0 }).catch(() => undefined)
  }

  /** False: somebody else has the partition. */
  #keep(watch: Watch, kept: KeptWatch): Promise<boolean> {
    watch.kept = kept
    return this.#write(watch.reader, kept)
  }

  async #write(reader: PartitionReader, kept: KeptWatch): Promise<boolean> {
    const { claim } = reader
    const batch: WriteBatch = {
      state: [{ kind: 'set', ...this.#place(reader), value: kept as unknown as Json }],
      progress: [{ claim, done: [] }],
    }
    return (await this.#engine.commit(batch)).ok
  }

  #place(reader: PartitionReader) {
    return { namespace: crashNamespace(this.#group), key: placeOf(reader), owner: reader.claim }
  }
}

/** Ends in a row without progress. While each message was handled by itself, progress shows only that it was none of those. */
function crashesUpTo(found: KeptWatch | undefined, next: number): number {
  if (found === undefined) return 0
  if (found.next === next) return found.crashes + 1
  return found.task === undefined ? 1 : found.crashes
}

/** What stands before it was there when the partition was taken. */
function endOf({ backlogEnd = Number.POSITIVE_INFINITY }: PartitionReader): number {
  return backlogEnd
}

function placeOf({ topic, partition }: PartitionReader): string {
  return `${topic}/${partition}`
}

/** Names a task among all of its partition, also those to come. */
function nameOf({ kind, offset, hasMessage, message, timer, dead, parked }: Task): string {
  if (dead !== undefined) return `dead-letter ${dead.letter.id}`
  if (parked !== undefined) return `parked ${parked.stateKey}`
  if (timer !== undefined) return `timer ${timer.id} ${timer.revision}`
  return `${kind} ${offset} ${hasMessage ? identityOf(message) : ''}`
}

function isKeptWatch(value: unknown): value is KeptWatch {
  const { next, crashes, task = '', taskCrashes = 0 } = (value ?? {}) as Partial<KeptWatch>
  return [next, crashes, taskCrashes].every(Number.isSafeInteger) && typeof task === 'string'
}
