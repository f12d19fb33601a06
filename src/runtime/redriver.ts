import type { StateEntry } from '../engine/index.ts'
import { type Json, sleep } from '../kernel/index.ts'
import type { Message } from '../message/index.ts'
import { commitFailureOf } from './commit-failure.ts'
import { deadLetterPrefix, messageOfLetter } from './dead-letter-entry.ts'
import { letterOf } from './dead-letter-store.ts'
import type { DeadLetter } from './dead-letters.ts'
import { deadLetterNamespace } from './namespaces.ts'
import { orderingKeysOf } from './ordering-key.ts'
import type { PartitionReader } from './partition-reader.ts'
import { readAgain } from './record-again.ts'
import type { SubscriptionParts } from './subscription-parts.ts'
import { done, nobody, Task, type TaskOutcome } from './task.ts'
import { originOf, type TimerPayload } from './timer-service.ts'

/** Dead letters that are read at once: each may hold a message of several MiB. */
const pageSize = 32

/** Finds dead letters that somebody wants redriven or discarded, on the partitions at hand, and hands them to the lanes. */
export class Redriver {
  readonly #parts: SubscriptionParts
  readonly #enqueue: (task: Task) => void
  readonly #giveUpAgain: (task: Task, error: unknown) => Promise<TaskOutcome>
  /** Partitions whose parked keys are known: who ends a dead letter has to know what waits behind it. */
  readonly #open = new Set<PartitionReader>()
  /** Ids that are on their way: bounded by the dead letters for which a request stands. */
  readonly #inFlight = new Set<string>()
  /** Those of which something was asked meanwhile. */
  readonly #askedAgain = new Set<string>()
  readonly #onLooked: () => void
  #lookCount = 0

  constructor(
    parts: SubscriptionParts,
    options: {
      readonly enqueue: (task: Task) => void
      readonly giveUpAgain: (task: Task, error: unknown) => Promise<TaskOutcome>
      readonly onLooked: () => void
    },
  ) {
    this.#parts = parts
    this.#enqueue = options.enqueue
    this.#giveUpAgain = options.giveUpAgain
    this.#onLooked = options.onLooked
  }

  get isIdle(): boolean {
    return this.#inFlight.size === 0 && this.#lookCount === 0
  }

  /** From here on, requests for the dead letters of a partition are taken up: those that are there already, and those to come. */
  async open(reader: PartitionReader): Promise<void> {
    this.#open.add(reader)
    await this.scan(reader)
  }

  /** Looks for requests on a partition. */
  async scan(reader: PartitionReader): Promise<void> {
    if (!this.#open.has(reader)) return
    const { engine, app, group, epoch } = this.#parts
    const began = epoch()
    const prefix = deadLetterPrefix(group, reader.topic, reader.partition)
    let after: string | undefined
    for (;;) {
      const page = await engine.state.range(deadLetterNamespace(app), {
        prefix,
        limit: pageSize,
        ...(after !== undefined && { after }),
      })
      for (const entry of page) {
        if (began !== epoch() || !this.#open.has(reader)) return
        // As it stands then: since this page was read, it may have been dealt with.
        if (letterOf(entry).requested !== null) await this.check(reader, entry.key)
      }
      if (page.length < pageSize) return
      after = page.at(-1)?.key
    }
  }

  /** Something was asked for: if it concerns this partition, look what stands there now. */
  async check(reader: PartitionReader, id: string): Promise<void> {
    await this.#look(reader, id)
    this.#onLooked()
  }

  async #look(reader: PartitionReader, id: string): Promise<void> {
    if (!this.#open.has(reader)) return
    if (this.#inFlight.has(id)) {
      this.#askedAgain.add(id)
      return
    }
    const { engine, app, epoch } = this.#parts
    const began = epoch()
    // From here on nobody else takes it: what is read below is not old by then.
    this.#inFlight.add(id)
    const entry = await engine.state.get(deadLetterNamespace(app), id).catch((error: unknown) => {
      if (began === epoch()) this.#inFlight.delete(id)
      throw error
    })
    if (began !== epoch() || !this.#open.has(reader)) return
    if (entry === undefined || letterOf(entry).requested === null) this.#settled(reader, id)
    else await this.#take(reader, entry)
  }

  finished(task: Task): void {
    if (task.dead !== undefined) this.#settled(task.reader, task.dead.letter.id)
  }

  #settled(reader: PartitionReader, id: string): void {
    this.#inFlight.delete(id)
    if (this.#askedAgain.delete(id)) this.#lookAgain(reader, id)
  }

  /** Nothing is taken up before partitions are opened again. */
  clear(): void {
    this.#open.clear()
    this.#inFlight.clear()
    this.#askedAgain.clear()
  }

  /** Another member is to look after the dead letters of this partition, and they may come back. */
  forget(reader: PartitionReader): void {
    this.#open.delete(reader)
    const prefix = deadLetterPrefix(this.#parts.group, reader.topic, reader.partition)
    for (const ids of [this.#inFlight, this.#askedAgain]) {
      for (const id of ids) if (id.startsWith(prefix)) ids.delete(id)
    }
  }

  async #take(reader: PartitionReader, entry: StateEntry): Promise<void> {
    const letter = letterOf(entry)
    const began = this.#parts.epoch()
    const kind = letter.requested === 'discard' ? 'discard' : 'redrive'
    const taskOf = (message: Message, key: string | null = letter.key): Task => {
      const dead = { letter, revision: entry.revision }
      const { offset, timestampMs } = letter
      return new Task(kind, reader, key ?? undefined, message, offset, offset, timestampMs, timerOf(letter), dead)
    }
    try {
      const message = kind === 'discard' ? nobody : await this.#messageOf(letter)
      if (began !== this.#parts.epoch() || !this.#open.has(reader)) return
      const { handler } = this.#parts
      const isKeyless = letter.key === null || (letter.original.kind !== 'timer' && letter.reason !== 'failed')
      // Under its other keys it may have counted.
      const isPart = handler.countsByKey && letter.parksKey
      const isKeyAsked = kind === 'redrive' && isKeyless && !isPart
      const key = isKeyAsked ? orderingKeysOf(handler, this.#parts.group, message) : letter.key
      const task = taskOf(message, typeof key === 'string' ? key : null)
      if (key !== null && typeof key === 'object') task.keys = key
      this.#enqueue(task)
    } catch (error) {
      if (commitFailureOf(error) === 'passing') {
        // The member stops: the next one reads it.
        this.#inFlight.delete(letter.id)
        return
      }
      if (began !== this.#parts.epoch() || !this.#open.has(reader)) return
      const task = taskOf(messageOfLetter(letter) ?? nobody)
      task.attempt = 1
      const { clock, epoch, epochSignal } = this.#parts
      for (;;) {
        const outcome = await this.#giveUpAgain(task, error)
        if (outcome === done) break
        await sleep(outcome, clock, epochSignal()).catch(() => undefined)
        if (began !== epoch() || !this.#open.has(reader)) return
      }
      if (began === epoch()) this.finished(task)
    }
  }

  /** What was asked for while it was under way may have kept that from being committed. */
  #lookAgain(reader: PartitionReader, id: string): void {
    this.#lookCount++
    this.#look(reader, id)
      .catch(this.#parts.onFatal)
      .finally(() => {
        this.#lookCount--
        this.#onLooked()
      })
  }

  async #messageOf(letter: DeadLetter): Promise<Message> {
    const { current } = this.#parts
    if (letter.original.kind === 'timer') return originOf(timerOf(letter)?.payload as unknown as TimerPayload)
    const kept = messageOfLetter(letter)
    if (kept !== undefined) return current(kept)
    // It was too large, or could not be decoded then; perhaps this version of the program can.
    const record = await readAgain(this.#parts.engine, letter)
    if (record.kind === 'undecodable') throw record.error
    return current(record.message)
  }
}

function timerOf(letter: DeadLetter): Task['timer'] {
  if (letter.original.kind !== 'timer') return undefined
  const { id, dueMs, revision, payload } = letter.original.timer as unknown as {
    readonly id: string
    readonly dueMs: number
    readonly revision: number
    readonly payload: Json
  }
  return { owner: letter.original.owner, id, dueMs, revision, payload }
}
