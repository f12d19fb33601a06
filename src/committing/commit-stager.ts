import {
  type AppendWrite,
  ArgumentInvalidError,
  type EventQuery,
  type NewEvent,
  type ProgressWrite,
  type PublishWrite,
  type StateWrite,
  type TimerWrite,
  type WriteBatch,
} from '../engine/index.ts'
import { isUuid } from '../kernel/index.ts'
import type { Message } from '../message/index.ts'
import { type BatchBufferPool, partitionFor, RecordBatchBuilder } from '../record/index.ts'
import {
  type AppendCommand,
  anyRevision,
  type ProgressCommand,
  type StateCommand,
  type TimerCommand,
} from './commands.ts'
import type { PartitionPlace, PlaceCatalog, TopicPlace } from './places.ts'
import type { AppendDraft, BatchDraft, EventDraft, Slot, UnitDraft } from './unit-draft.ts'
import {
  checkExpected,
  checkInteger,
  checkList,
  checkMessage,
  checkName,
  checkOwner,
  checkQuery,
  checkRecord,
  encodeJson,
} from './write-checks.ts'

/** What staging a commit took. */
interface Staged {
  readonly slots: readonly Slot[]
  /** Encoded bytes, which the budget has to carry until the commit is answered. */
  readonly bytes: number
}

/** A commit that nothing which is stored can refuse; such commits share a unit. */
export function isUnconditional(batch: WriteBatch, isProgressFenced: boolean): boolean {
  return (
    (!isProgressFenced || (batch.progress?.length ?? 0) === 0) &&
    (batch.append?.length ?? 0) === 0 &&
    (batch.publish?.every((write) => write.producer === undefined) ?? true) &&
    (batch.state?.every(
      (write) =>
        (write.kind === 'clear' || write.expectedRevision === undefined) &&
        (!isProgressFenced || write.owner === undefined),
    ) ??
      true) &&
    (batch.timers?.every((write) => write.kind !== 'fire') ?? true)
  )
}

/** Checks and encodes commits into units: all of a commit, or, when a part of it is wrong, nothing. */
export class CommitStager {
  readonly #catalog: PlaceCatalog
  readonly #pool: BatchBufferPool
  /** Whether state may live with the owner of a partition. */
  readonly #ownsState: boolean
  readonly #eventBuilder: RecordBatchBuilder
  /** Turns records without a key over the partitions: one partition per commit, as Kafka's sticky partitioner. */
  #turn = 0

  constructor(catalog: PlaceCatalog, pool: BatchBufferPool, ownsState: boolean) {
    this.#ownsState = ownsState
    this.#catalog = catalog
    this.#pool = pool
    this.#eventBuilder = new RecordBatchBuilder({ pool, recordBytesMax: eventBytesMax })
  }

  /** Whether a commit rests on what is not acknowledged, so that it is refused should that fail. */
  restsOnUnsynced({ progress }: WriteBatch): boolean {
    return (
      progress?.some(({ claim }) => {
        const { unsynced, latest } = this.#catalog.partition(claim.topic, claim.partition)
        return unsynced?.seenBeyond(latest) !== undefined
      }) ?? false
    )
  }

  /** Adds a commit to a unit. On an error the unit is as before. */
  stage(batch: WriteBatch, unit: UnitDraft, nowMs: number): Staged {
    // What can be wrong without touching a shared draft comes first.
    const appends = batch.append?.map((write, i) => this.#append(write, `append[${i}]`, nowMs)) ?? none
    const state = batch.state?.map((write, i) => stateCommand(write, `state[${i}]`, this.#ownsState)) ?? none
    const timers = batch.timers?.map((write, i) => timerCommand(write, `timers[${i}]`)) ?? none
    const progress = batch.progress?.map((write, i) => this.#progress(write, `progress[${i}]`)) ?? none
    const published = batch.publish === undefined ? nothingPublished : this.#publish(batch.publish, unit, nowMs)
    unit.appends.push(...appends)
    unit.state.push(...state)
    unit.timers.push(...timers)
    unit.progress.push(...progress)
    let bytes = published.bytes + progress.length * 64
    for (const { events } of appends) for (const event of events) bytes += event.bytes.length
    for (const command of state) if (command.kind === 'set') bytes += command.value.length
    for (const command of timers) if (command.kind === 'schedule') bytes += command.payload.length
    return { slots: published.slots, bytes }
  }

  #publish(writes: readonly PublishWrite[], unit: UnitDraft, nowMs: number): Staged {
    const slots: Slot[] = []
    let bytes = 0
    try {
      for (const write of writes) {
        const target = this.#target(write)
        for (const message of write.messages ?? []) {
          checkMessage(message)
          const draft = this.#draft(unit, target, write, message.partitionkey ?? null)
          slots.push({ draft, index: draft.builder.recordCount })
          bytes += draft.addMessage(message, nowMs)
        }
        for (const record of write.records ?? []) {
          checkRecord(record)
          const draft = this.#draft(unit, target, write, record.key)
          slots.push({ draft, index: draft.builder.recordCount })
          const { key, value, headers = [], timestampMs = nowMs } = record
          bytes += draft.addRecord({ key, value, headers, timestampMs })
        }
      }
    } catch (error) {
      for (const { draft } of slots) draft.rewind()
      unit.dropEmptyDrafts()
      throw error
    }
    for (const { draft } of slots) draft.keep()
    return { slots, bytes }
  }

  #progress({ claim, done }: ProgressWrite, place: string): ProgressCommand {
    const partition = this.#catalog.partition(claim.topic, claim.partition)
    const seenEnd = partition.unsynced?.seenBeyond(partition.latest)
    const pairs: number[] = []
    for (const [i, { from, to }] of done.entries()) {
      checkInteger(`${place}.done[${i}].from`, from, 0)
      checkInteger(`${place}.done[${i}].to`, to, from)
      // What is not written yet would be passed over once it is.
      if (to > (seenEnd ?? partition.latest)) {
        throw new ArgumentInvalidError(
          `${place}.done[${i}].to`,
          `is ${to}, beyond the last record: ${partition.latest}`,
        )
      }
      pairs.push(from, to)
    }
    const { group, topic, partition: number, epoch } = claim
    const command = { claim: { group, topic, partition: number, epoch }, partitionId: partition.id, done: pairs }
    return seenEnd === undefined ? command : { ...command, rollbackCount: partition.unsynced?.rollbackCount as number }
  }

  #target(write: PublishWrite): Target {
    const topic = this.#catalog.topic(write.topic)
    const { messages = [], records = [] } = write
    // A misspelt name of either would be acknowledged without it. An empty list is one that was made and is empty.
    if (write.messages === undefined && write.records === undefined) {
      throw new ArgumentInvalidError(`publish to "${write.topic}"`, 'has neither messages nor records')
    }
    checkList(`publish to "${write.topic}", messages`, messages)
    checkList(`publish to "${write.topic}", records`, records)
    if (write.producer !== undefined) {
      if (write.partition === undefined) {
        throw new ArgumentInvalidError(`publish to "${write.topic}"`, 'of an idempotent producer names no partition')
      }
      checkInteger('producer.producerId', write.producer.producerId, 0)
      checkInteger('producer.epoch', write.producer.epoch, 0)
      checkInteger('producer.sequence', write.producer.sequence, 0)
    }
    const fixed = write.partition === undefined ? undefined : this.#catalog.partition(write.topic, write.partition)
    return {
      topic,
      fixed,
      keyless: fixed ?? (topic.partitions[this.#turn++ % topic.partitions.length] as PartitionPlace),
    }
  }

  #draft(unit: UnitDraft, target: Target, write: PublishWrite, key: string | Uint8Array | null): BatchDraft {
    const { topic } = target
    if (key === null && topic.config.cleanup !== 'delete') {
      throw new ArgumentInvalidError(`publish to "${topic.name}"`, 'has no key, which a compacted topic needs')
    }
    let partition = target.fixed
    if (partition === undefined && key !== null) {
      partition = topic.partitions[partitionFor(key, topic.partitions.length)]
    }
    partition ??= target.keyless
    target.producerDraft ??=
      write.producer === undefined ? undefined : unit.draftFor(topic, partition, write.producer, this.#pool)
    const draft = target.producerDraft ?? unit.draftFor(topic, partition, undefined, this.#pool)
    draft.begin()
    return draft
  }

  #append(write: AppendWrite, place: string, nowMs: number): AppendDraft {
    checkName(`${place}.stream`, write.stream)
    const { expected = 'any', condition, repeated = 'accept' } = write
    checkExpected(`${place}.expected`, expected)
    if (condition !== undefined) {
      if (typeof condition !== 'object' || condition === null) {
        throw new ArgumentInvalidError(`${place}.condition`, 'is no object with a query and a position')
      }
      checkQuery(`${place}.condition.query`, condition.query)
      checkInteger(`${place}.condition.after`, condition.after, 0)
    }
    if (repeated !== 'accept' && repeated !== 'refuse') {
      throw new ArgumentInvalidError(`${place}.repeated`, `is ${String(repeated)}, not 'accept' or 'refuse'`)
    }
    checkList(`${place}.events`, write.events)
    if (write.events.length === 0) throw new ArgumentInvalidError(place, 'has no events')
    const events = write.events.map((event) => this.#event(event, place, nowMs))
    return {
      stream: write.stream,
      expected,
      events,
      condition: condition && { query: copyOf(condition.query), after: condition.after },
      refusesRepeated: repeated === 'refuse',
    }
  }

  #event(event: NewEvent, place: string, nowMs: number): EventDraft {
    if (typeof event !== 'object' || event === null) throw new ArgumentInvalidError(`${place}.events`, 'hold no event')
    const { message, tags = [] } = event
    checkList(`${place}.tags`, tags)
    for (const tag of tags) checkName(`${place}.tags`, tag)
    checkMessage(message)
    this.#eventBuilder.appendMessage(message, nowMs)
    const sealed = this.#eventBuilder.seal({ crc: false })
    const bytes = Buffer.allocUnsafe(sealed.length)
    bytes.set(sealed)
    this.#pool.release(sealed)
    return { identity: identityText(message), type: message.type, tags: [...new Set(tags)], bytes }
  }
}

interface Target {
  readonly topic: TopicPlace
  readonly fixed: PartitionPlace | undefined
  readonly keyless: PartitionPlace
  producerDraft?: BatchDraft | undefined
}

/** Largest event in the event store, as a record: what a topic takes unless told otherwise. */
const eventBytesMax = 1_048_576

const none: readonly never[] = Object.freeze([])
const nothingPublished: Staged = { slots: [], bytes: 0 }

/** A UUID is unique by itself; any other id only together with its source (CloudEvents 1.0.2 §3.1.1). */
function identityText(message: Message): string {
  return isUuid(message.id) ? message.id : `${message.source} ${message.id}`
}

/** Travels to another thread later: neither what the caller changes meanwhile nor what cannot travel may be in it. */
function copyOf(query: EventQuery): EventQuery {
  return { items: query.items.map(({ types = [], tags = [] }) => ({ types: [...types], tags: [...tags] })) }
}

function stateCommand(write: StateWrite, place: string, ownsState: boolean): StateCommand {
  if (write.kind !== 'set' && write.kind !== 'delete' && write.kind !== 'clear') throw kindUnknown(place)
  checkName(`${place}.namespace`, write.namespace)
  const isOwned = ownsState && write.owner !== undefined
  if (isOwned) checkOwner(`${place}.owner`, write.owner)
  if (write.kind === 'clear') {
    return { kind: 'clear', namespace: write.namespace, ...(isOwned && { owner: write.owner }) }
  }
  const { namespace, key, expectedRevision } = write
  checkName(`${place}.key`, key)
  if (expectedRevision !== undefined) checkInteger(`${place}.expectedRevision`, expectedRevision, 0)
  const expected = expectedRevision ?? anyRevision
  const owned = isOwned && { owner: write.owner }
  if (write.kind === 'delete') return { kind: 'delete', namespace, key, expected, ...owned }
  return { kind: 'set', namespace, key, value: encodeJson(`${place}.value`, write.value), expected, ...owned }
}

function timerCommand(write: TimerWrite, place: string): TimerCommand {
  const { owner, id } = write
  checkName(`${place}.owner`, owner)
  checkName(`${place}.id`, id)
  switch (write.kind) {
    case 'cancel':
      return { kind: 'cancel', owner, id }
    case 'fire':
      checkInteger(`${place}.revision`, write.revision, 0)
      return { kind: 'fire', owner, id, revision: write.revision }
    case 'schedule':
      checkInteger(`${place}.dueMs`, write.dueMs, 0)
      return { kind: 'schedule', owner, id, dueMs: write.dueMs, payload: encodeJson(`${place}.payload`, write.payload) }
    default:
      throw kindUnknown(place)
  }
}

function kindUnknown(place: string): ArgumentInvalidError {
  return new ArgumentInvalidError(place, 'is of no known kind')
}

const noBytes = new Uint8Array()

/** Lays the events of all units into one arena, which travels to the writer without a copy. */
export function packAppends(
  units: readonly UnitDraft[],
  pool: BatchBufferPool,
): {
  arena: Uint8Array
  appends: readonly (readonly AppendCommand[])[]
} {
  let size = 0
  for (const unit of units) for (const { events } of unit.appends) for (const { bytes } of events) size += bytes.length
  const arena = size === 0 ? noBytes : pool.acquire(size)
  let at = 0
  const appends = units.map((unit) =>
    unit.appends.map(({ stream, expected, events, condition, refusesRepeated }): AppendCommand => {
      const commands = events.map(({ identity, type, tags, bytes }) => {
        const start = at
        arena.set(bytes, start)
        at += bytes.length
        return { identity, type, tags, start, end: at }
      })
      return {
        stream,
        expected,
        events: commands,
        ...(condition !== undefined && { condition }),
        ...(refusesRepeated && { refusesRepeated }),
      }
    }),
  )
  return { arena, appends }
}
