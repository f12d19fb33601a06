import type { CommitOutcome, PublishWrite, WriteBatch } from '../engine/index.ts'
import type { Clock } from '../kernel/index.ts'
import type { Message } from '../message/index.ts'
import { channels } from '../telemetry/index.ts'
import type { EventSink } from './change-events.ts'
import { CaptureReplacedError } from './errors.ts'
import type { Lsn } from './lsn.ts'
import type { Place, Position } from './place.ts'
import type { ServerLog } from './server-log.ts'

/** One commit holds about so much at most. */
const messagesMax = 2_000
const bytesMax = 1024 * 1024
/** Commits under way at a time: while one is synced, the next one is encoded. A later one is refused if an earlier one failed. */
const inFlightMax = 2

/** What a publisher works with. */
export interface PublisherParts {
  readonly commit: (batch: WriteBatch) => Promise<CommitOutcome>
  readonly slot: string
  /** In which positions are. */
  readonly log: ServerLog
  readonly place: Place
  readonly clock: Clock
  /** A commit is durable: all before is done. */
  onCommitted(lsn: Lsn): void
  /** A commit failed: nothing is committed any more. */
  onFailed(error: unknown): void
}

/** Gathers events into commits, each of them with the place that it leads to. */
export class Publisher implements EventSink {
  readonly #parts: PublisherParts
  #writes: PublishWrite[] = []
  #open = new Map<string, Message[]>()
  #messageCount = 0
  #bytes = 0
  #inFlight = new Set<Promise<void>>()
  #failure: { readonly error: unknown } | undefined

  constructor(parts: PublisherParts) {
    this.#parts = parts
  }

  get isEmpty(): boolean {
    return this.#messageCount === 0 && !this.#parts.place.isChanged
  }

  get isFull(): boolean {
    return this.#messageCount >= messagesMax || this.#bytes >= bytesMax
  }

  add(topic: string, message: Message, bytes: number): void {
    const messages = this.#open.get(topic)
    if (messages !== undefined) messages.push(message)
    else {
      const first = [message]
      this.#open.set(topic, first)
      this.#writes.push({ topic, messages: first })
    }
    this.#messageCount++
    this.#bytes += bytes
  }

  addTo(topic: string, partition: number, message: Message): void {
    // What comes later in this topic must not get before it.
    this.#open.delete(topic)
    this.#writes.push({ topic, partition, messages: [message] })
    this.#messageCount++
  }

  addWrites(writes: readonly PublishWrite[], bytes: number): void {
    for (const write of writes) {
      const { topic, messages = [], records = [], partition } = write
      if (records.length === 0 && partition === undefined) for (const message of messages) this.add(topic, message, 0)
      else {
        this.#open.delete(topic)
        this.#writes.push(write)
        this.#messageCount += messages.length + records.length
      }
    }
    this.#bytes += bytes
  }

  /**
   * Commits what was gathered, with the place that follows it; waits while too many commits are under way. What went wrong with
   * one of them is thrown by a later call.
   */
  async flush(position: Position): Promise<void> {
    const { place, log, clock } = this.#parts
    const most = place.isFenced ? inFlightMax : 1
    while (this.#inFlight.size >= most) await Promise.race(this.#inFlight)
    this.#throwFailure()
    const { publish = [], state = [] } = place.write(log, position)
    const batch: WriteBatch = { publish: [...this.#writes, ...publish], state }
    const messageCount = this.#messageCount
    this.#writes = []
    this.#open = new Map()
    this.#messageCount = 0
    this.#bytes = 0
    const startMs = clock.monotonicMs()
    const commit = this.#parts
      .commit(batch)
      .then((outcome) => {
        if (!outcome.ok) throw new CaptureReplacedError(this.#parts.slot)
        if (this.#failure !== undefined) return
        this.#parts.onCommitted(position.lsn)
        if (messageCount === 0 || !channels.captured.hasSubscribers) return
        channels.captured.publish({
          slot: this.#parts.slot,
          messageCount,
          durationMs: clock.monotonicMs() - startMs,
        })
      })
      .catch((error: unknown) => {
        this.#failure ??= { error }
        this.#parts.onFailed(error)
      })
      .finally(() => this.#inFlight.delete(commit))
    this.#inFlight.add(commit)
  }

  /** Waits for all commits under way. @throws what went wrong with one of them */
  async settle(): Promise<void> {
    while (this.#inFlight.size > 0) await Promise.race(this.#inFlight)
    this.#throwFailure()
  }

  #throwFailure(): void {
    if (this.#failure !== undefined) throw this.#failure.error
  }
}
