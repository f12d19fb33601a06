import { isDeepStrictEqual } from 'node:util'
import type { Engine } from '../src/engine/index.ts'
import type { History } from './history.ts'
import type { FoundEvent, FoundRecord } from './workload.ts'

/** Everything that can be read of an engine. */
export interface Scan {
  readonly records: readonly FoundRecord[]
  readonly events: readonly FoundEvent[]
}

/** Small, so that reading goes over many batches and through the middle of them. */
const readBytesMax = 512

/** Reads everything twice: both must agree, and offsets, versions and positions must rise. */
export async function scanTwice(engine: Engine, history: History, between: () => void): Promise<Scan> {
  const first = await scan(engine, history)
  between()
  const second = await scan(engine, history)
  history.check(isDeepStrictEqual(first, second), 'two full reads agree', () => {
    const index = first.records.findIndex((record, i) => !isDeepStrictEqual(record, second.records[i]))
    return `records ${first.records.length} and ${second.records.length}, events ${first.events.length} and ${second.events.length}; first difference at record ${index}: ${JSON.stringify(first.records[index])}`
  })
  return first
}

/** Reads everything that is kept for ever. */
async function scan(engine: Engine, history: History): Promise<Scan> {
  const records: FoundRecord[] = []
  for (const { name, config, partitions } of await engine.topics.list()) {
    if (config.cleanup !== 'delete') continue
    for (const { partition, earliest, latest } of partitions) {
      records.push(...(await readPartition(engine, history, { topic: name, partition, earliest, latest })))
    }
  }
  return { records, events: await readStore(engine, history) }
}

async function readPartition(
  engine: Engine,
  history: History,
  place: { readonly topic: string; readonly partition: number; readonly earliest: number; readonly latest: number },
): Promise<FoundRecord[]> {
  const { topic, partition, earliest, latest } = place
  const found: FoundRecord[] = []
  let offset = earliest
  let last = earliest - 1
  while (offset < latest) {
    const { records, nextOffset } = await engine.topics.read({ topic, partition, offset, bytesMax: readBytesMax })
    for (const record of records) {
      history.check(record.offset > last, 'offsets rise', () => `${topic}/${partition}@${record.offset} after ${last}`)
      last = record.offset
      if (record.kind !== 'message') {
        history.violate('what is read was written', `${topic}/${partition}@${record.offset} is ${record.kind}`)
        continue
      }
      const { id, type, partitionkey: key, data } = record.message
      found.push({ topic, partition, offset: record.offset, id, type, key, data })
    }
    history.check(nextOffset > offset, 'offsets rise', () => `reading ${topic}/${partition} stays at ${offset}`)
    if (nextOffset <= offset) break
    offset = nextOffset
  }
  return found
}

async function readStore(engine: Engine, history: History): Promise<FoundEvent[]> {
  const found: FoundEvent[] = []
  const versions = new Map<string, number>()
  let last = 0
  for await (const { stream, version, position, timestampMs, message } of engine.events.readAll()) {
    const before = versions.get(stream) ?? 0
    history.check(position > last, 'offsets rise', () => `position ${position} after ${last}`)
    history.check(version === before + 1, 'offsets rise', () => `${stream} has version ${version} after ${before}`)
    versions.set(stream, version)
    last = position
    const { id, type, causationid: causationId, data } = message
    found.push({ stream, version, position, id, type, causationId, timestampMs, data })
  }
  return found
}

/** What was seen at a place once stays there. It outlives the processes. */
export class Seen {
  readonly #history: History
  readonly #idAt = new Map<string, string>()

  constructor(history: History) {
    this.#history = history
  }

  note(place: string, id: string): void {
    const before = this.#idAt.get(place) ?? id
    this.#history.check(before === id, 'offsets are never reused', () => `${place} held ${before} and holds ${id}`)
    this.#idAt.set(place, id)
  }

  /** Looks at what stands there while everything is at work. */
  async look(engine: Engine): Promise<void> {
    const { records, events } = await scan(engine, this.#history)
    for (const { topic, partition, offset, id } of records) this.note(`${topic}/${partition}@${offset}`, id)
    for (const { position, id } of events) this.note(`position ${position}`, id)
  }

  /** Holds a scan against all that was seen before. */
  hold({ records, events }: Scan): void {
    const there = new Set<string>()
    const see = (place: string, id: string): void => {
      there.add(place)
      this.note(place, id)
    }
    for (const { topic, partition, offset, id } of records) see(`${topic}/${partition}@${offset}`, id)
    for (const { position, id } of events) see(`position ${position}`, id)
    for (const [place, id] of this.#idAt) {
      this.#history.check(there.has(place), 'what was read stays', () => `${id} was read at ${place} and is gone`)
    }
  }
}
