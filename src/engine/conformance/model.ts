import assert from 'node:assert/strict'
import type { CommitOutcome, TopicPosition, WriteBatch } from '../write-batch.ts'
import { appendTo, type ModelEvents, newModelEvents } from './model-events.ts'

/** A record as the model keeps it; `body` is the id of its message, the text of a raw record, or null: a tombstone. */
export interface ModelRecord {
  readonly offset: number
  readonly key: string | null
  readonly body: string | null
}

interface ModelPartition {
  records: ModelRecord[]
  earliest: number
  latest: number
}

interface Sequences {
  epoch: number
  next: number
  /** The last five batches, which may be repeated. */
  recent: { sequence: number; count: number; offset: number }[]
}

interface ModelTimer {
  readonly dueMs: number
  readonly payload: unknown
  /** Which of all schedulings of the model it was: revisions of the engine are matched to it. */
  readonly generation: number
}

interface ModelProgress {
  next: number
  done: Set<number>
}

interface ModelData extends ModelEvents {
  readonly topics: Map<string, ModelPartition[]>
  readonly partitionOfKey: Map<string, number>
  readonly producerEpochs: Map<number, number>
  readonly sequences: Map<string, Sequences>
  readonly state: Map<string, Map<string, { value: unknown; revision: number }>>
  readonly timers: Map<string, ModelTimer>
  generation: number
  readonly progress: Map<string, ModelProgress>
  readonly claims: Map<string, number>
}

/** What a commit answered: its outcome, or the error that it rejected with. */
export type Answer = CommitOutcome | Error

const place = (...parts: readonly (string | number)[]): string => parts.join(' ')

/**
 * An engine as simple as can be: plain maps, one copy of them for each commit, no files, no threads, no time.
 *
 * It is told each batch with the engine's answer, in the order of the calls. It decides by itself whether the batch may
 * go through and fails when the engine decided otherwise, or put something elsewhere.
 */
export class EngineModel {
  data: ModelData = {
    topics: new Map(),
    partitionOfKey: new Map(),
    producerEpochs: new Map(),
    sequences: new Map(),
    state: new Map(),
    timers: new Map(),
    generation: 0,
    progress: new Map(),
    claims: new Map(),
    ...newModelEvents(),
  }
  /** How many commits went through, were refused, and repeated what stood there: a run that never does is no test. */
  readonly counts = { committed: 0, refused: 0, repeated: 0 }

  createTopic(name: string, partitionCount: number): void {
    const partitions = Array.from({ length: partitionCount }, () => ({ records: [], earliest: 0, latest: 0 }))
    this.data.topics.set(name, partitions)
  }

  partition(topic: string, partition: number): ModelPartition {
    return this.data.topics.get(topic)?.[partition] as ModelPartition
  }

  sequencesOf(producerId: number, topic: string, partition: number): Sequences | undefined {
    return this.data.sequences.get(place(producerId, topic, partition))
  }

  progressOf(group: string, topic: string, partition: number): ModelProgress {
    return progressOf(this.data, place(group, topic, partition))
  }

  claim(group: string, topic: string, partition: number, epoch: number | undefined): void {
    const key = place(group, topic, partition)
    if (epoch === undefined) this.data.claims.delete(key)
    else this.data.claims.set(key, epoch)
  }

  /** Takes in what the engine answered to this batch. Throws when it may not have answered so. */
  take(batch: WriteBatch, answer: Answer): void {
    const draft = structuredClone(this.data)
    const faults = new Set<string>()
    const outcome = answer instanceof Error || !answer.ok ? undefined : answer
    applyPublish(draft, batch, outcome?.published, faults)
    const { ordinal } = draft
    for (const [index, write] of (batch.append ?? []).entries()) {
      if (appendTo(draft, write, outcome?.appended[index], ordinal, faults) === 'repeated') this.counts.repeated++
    }
    applyState(draft, batch, faults)
    applyTimers(draft, batch, faults)
    applyProgress(draft, batch, faults)
    if (faults.size === 0) {
      assert.ok(outcome, `refused for no reason: ${answer instanceof Error ? String(answer) : describe(answer)}`)
      this.data = draft
      this.counts.committed++
    } else {
      assert.ok(!outcome, `went through in spite of ${[...faults].join(', ')}`)
      const given = describe(answer)
      assert.ok(faults.has(given), `refused with ${given} instead of ${[...faults].join(' or ')}`)
      this.counts.refused++
    }
  }
}

/** The kind of a conflict, or the code of an error. */
function describe(answer: Answer): string {
  if (answer instanceof Error) return (answer as Error & { code?: string }).code ?? String(answer)
  return answer.ok ? 'ok' : answer.conflict.kind
}

function applyPublish(
  data: ModelData,
  batch: WriteBatch,
  published: readonly TopicPosition[] | undefined,
  faults: Set<string>,
): void {
  const places = published?.values()
  for (const write of batch.publish ?? []) {
    const records = [
      ...(write.messages ?? []).map((message) => ({ key: message.partitionkey ?? null, body: message.id })),
      ...(write.records ?? []).map(({ key, value }) => ({ key: key as string | null, body: value as string | null })),
    ]
    const partitions = data.topics.get(write.topic)
    if (partitions === undefined) {
      faults.add('TOPIC_UNKNOWN')
      continue
    }
    const repeatedAt = write.producer === undefined ? undefined : sequenced(data, write, records.length, faults)
    if (repeatedAt === 'refused') continue
    for (const [index, record] of records.entries()) {
      // Which partition a key leads to is the engine's to say, once; the model holds it to that.
      const position = places?.next().value
      const number = write.partition ?? position?.partition ?? 0
      const partition = partitions[number] as ModelPartition
      const offset: number = repeatedAt === undefined ? partition.latest : repeatedAt + index
      if (published !== undefined) {
        assert.deepEqual(position, { topic: write.topic, partition: number, offset }, 'a record landed elsewhere')
        if (write.partition === undefined && record.key !== null) {
          const key = place(write.topic, record.key)
          assert.equal(number, data.partitionOfKey.get(key) ?? number, `key ${record.key} changed its partition`)
          data.partitionOfKey.set(key, number)
        }
      }
      if (repeatedAt !== undefined) continue
      partition.records.push({ offset, ...record })
      partition.latest++
    }
  }
  if (published !== undefined) assert.ok(places?.next().done, 'more places than records')
}

/** KIP-98: the first offset of a repeated batch, undefined for the next batch, or why neither. */
function sequenced(
  data: ModelData,
  write: NonNullable<WriteBatch['publish']>[number],
  count: number,
  faults: Set<string>,
): number | undefined | 'refused' {
  const { producerId, epoch, sequence } = write.producer as NonNullable<typeof write.producer>
  if (epoch !== data.producerEpochs.get(producerId)) {
    faults.add('PRODUCER_FENCED')
    return 'refused'
  }
  const key = place(producerId, write.topic, write.partition as number)
  let known = data.sequences.get(key)
  if (known === undefined || known.epoch !== epoch) known = { epoch, next: 0, recent: [] }
  const repeated = known.recent.find((one) => one.sequence === sequence && one.count === count)
  if (repeated !== undefined) return repeated.offset
  if (sequence !== known.next) {
    faults.add('OUT_OF_SEQUENCE')
    return 'refused'
  }
  const offset = data.topics.get(write.topic)?.[write.partition as number]?.latest as number
  known.recent = [...known.recent, { sequence, count, offset }].slice(-5)
  known.next += count
  data.sequences.set(key, known)
  return undefined
}

function applyState(data: ModelData, batch: WriteBatch, faults: Set<string>): void {
  for (const write of batch.state ?? []) {
    const entries = data.state.get(write.namespace) ?? new Map<string, { value: unknown; revision: number }>()
    data.state.set(write.namespace, entries)
    if (write.kind === 'clear') {
      entries.clear()
      continue
    }
    const actual = entries.get(write.key)?.revision ?? 0
    if (write.expectedRevision !== undefined && write.expectedRevision !== actual) faults.add('revision')
    else if (write.kind === 'delete') entries.delete(write.key)
    else entries.set(write.key, { value: write.value, revision: actual + 1 })
  }
}

function applyTimers(data: ModelData, batch: WriteBatch, faults: Set<string>): void {
  for (const write of batch.timers ?? []) {
    const key = place(write.owner, write.id)
    if (write.kind === 'schedule') {
      data.timers.set(key, { dueMs: write.dueMs, payload: write.payload, generation: ++data.generation })
    } else if (write.kind === 'cancel') data.timers.delete(key)
    else if (data.timers.get(key)?.generation !== -write.revision) faults.add('timer')
    else data.timers.delete(key)
  }
}

function applyProgress(data: ModelData, batch: WriteBatch, faults: Set<string>): void {
  for (const { claim, done } of batch.progress ?? []) {
    const key = place(claim.group, claim.topic, claim.partition)
    if (data.claims.get(key) !== claim.epoch) {
      faults.add('fenced')
      continue
    }
    const progress = progressOf(data, key)
    for (const { from, to } of done) {
      for (let offset = Math.max(from, progress.next); offset < to; offset++) progress.done.add(offset)
    }
    while (progress.done.delete(progress.next)) progress.next++
  }
}

function progressOf(data: ModelData, key: string): ModelProgress {
  const progress = data.progress.get(key) ?? { next: 0, done: new Set<number>() }
  data.progress.set(key, progress)
  return progress
}
