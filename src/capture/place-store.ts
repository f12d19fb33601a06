import { commitsStateWithTopics, type Engine, type PublishWrite, type StateWrite } from '../engine/index.ts'
import { frozenJson, type Json } from '../kernel/index.ts'
import { type Message, sealMessage } from '../message/index.ts'

/** What a commit brings along so that a place moves with it. */
export interface PlaceWrites {
  readonly publish?: readonly PublishWrite[]
  readonly state?: readonly StateWrite[]
}

/** What is kept of a capture: its place in the log, and notes of its tables by their names. */
export interface KeptPlace {
  readonly place: Json | undefined
  readonly notes: ReadonlyMap<string, Json>
}

/** Keeps the place of a capture where its events go, in the same commits. */
export interface PlaceStore {
  /** Whether a commit is refused once somebody else has moved the place. */
  readonly isFenced: boolean
  load(): Promise<KeptPlace>
  /** Commits are made in the order in which this is called. `time`: RFC 3339. */
  write(place: Json, notes: ReadonlyMap<string, Json>, time: string): PlaceWrites
  forget(): Promise<void>
}

/** As state where the engine commits that together with topics; else in topics of its own. */
export function placeStoreOf(engine: Engine, slot: string): PlaceStore {
  const { capabilities } = engine
  // State that lives with a claimed partition is none for somebody who claims nothing.
  return commitsStateWithTopics(capabilities) && capabilities.ownedState !== true
    ? new StatePlaceStore(engine, slot)
    : new TopicPlaceStore(engine, slot)
}

const namespace = 'capture'
const pageRows = 1_000

class StatePlaceStore implements PlaceStore {
  readonly isFenced = true
  readonly #engine: Engine
  readonly #slot: string
  #revision = 0

  constructor(engine: Engine, slot: string) {
    this.#engine = engine
    this.#slot = slot
  }

  async load(): Promise<KeptPlace> {
    const { state } = this.#engine
    const entry = await state.get(namespace, this.#slot)
    this.#revision = entry?.revision ?? 0
    const notes = new Map<string, Json>()
    const prefix = this.#prefix
    for (let after: string | undefined; ; ) {
      const found = await state.range(namespace, { prefix, limit: pageRows, ...(after !== undefined && { after }) })
      for (const { key, value } of found) notes.set(key.slice(prefix.length), value)
      after = found.at(-1)?.key
      if (found.length < pageRows) return { place: entry?.value, notes }
    }
  }

  write(place: Json, notes: ReadonlyMap<string, Json>): PlaceWrites {
    const expectedRevision = this.#revision++
    const writes: StateWrite[] = [{ kind: 'set', namespace, key: this.#slot, value: place, expectedRevision }]
    for (const [name, value] of notes) writes.push({ kind: 'set', namespace, key: this.#prefix + name, value })
    return { state: writes }
  }

  async forget(): Promise<void> {
    const { state } = this.#engine
    for (;;) {
      const found = await state.range(namespace, { prefix: this.#prefix, limit: pageRows })
      const keys = [...found.map(({ key }) => key), this.#slot]
      await this.#engine.commit({ state: keys.map((key) => ({ kind: 'delete', namespace, key })) })
      if (found.length < pageRows) return
    }
  }

  get #prefix(): string {
    return `${this.#slot}/`
  }
}

/** So many records are looked at first for the last one that counts, then four times as many. */
const lookBackFirst = 64
const readWaitMs = 100

/**
 * Two compacted topics of one partition: one gets a message with each commit, of which the last counts; the other one, which is
 * read as a whole, gets a message whenever something changes about a table.
 */
class TopicPlaceStore implements PlaceStore {
  readonly isFenced = false
  readonly #engine: Engine
  readonly #slot: string

  constructor(engine: Engine, slot: string) {
    this.#engine = engine
    this.#slot = slot
  }

  async load(): Promise<KeptPlace> {
    const { topics } = this.#engine
    const config = { partitions: 1, cleanup: 'compact' } as const
    for (const topic of [this.#placeTopic, this.#notesTopic]) await topics.ensure(topic, config)
    const notes = new Map<string, Json>()
    for (const { partitionkey, data } of await this.#read(this.#notesTopic, 0)) {
      if (partitionkey !== undefined) notes.set(partitionkey, data as Json)
    }
    const extent = (await topics.describe(this.#placeTopic))?.partitions[0]
    const { earliest = 0, latest = 0 } = extent ?? {}
    // Offsets may hold no record, where a transaction ended or a newer place took one's room.
    for (let back = lookBackFirst; ; back *= 4) {
      const from = Math.max(earliest, latest - back)
      const last = (await this.#read(this.#placeTopic, from)).at(-1)
      if (last !== undefined || from === earliest) return { place: last?.data as Json | undefined, notes }
    }
  }

  write(place: Json, notes: ReadonlyMap<string, Json>, time: string): PlaceWrites {
    const publish = [{ topic: this.#placeTopic, messages: [this.#message('place', this.#slot, place, time)] }]
    if (notes.size > 0) {
      const messages = [...notes].map(([name, note]) => this.#message('table', name, note, time))
      publish.push({ topic: this.#notesTopic, messages })
    }
    return { publish }
  }

  async forget(): Promise<void> {
    const { topics } = this.#engine
    for (const topic of [this.#placeTopic, this.#notesTopic]) {
      if ((await topics.describe(topic)) !== undefined) await topics.delete(topic)
    }
  }

  async #read(topic: string, from: number): Promise<readonly Message[]> {
    const { topics } = this.#engine
    const { earliest = 0, latest = 0 } = (await topics.describe(topic))?.partitions[0] ?? {}
    const found: Message[] = []
    for (let offset = Math.max(from, earliest); offset < latest; ) {
      const { records, nextOffset } = await topics.read({ topic, partition: 0, offset, waitMs: readWaitMs })
      for (const record of records) if (record.kind === 'message') found.push(record.message)
      offset = nextOffset
    }
    return found
  }

  #message(what: 'place' | 'table', key: string, data: Json, time: string): Message {
    const id = `${what}-${key}`
    const attributes = { partitionkey: key }
    return sealMessage(
      `millrace.capture.${what}`,
      id,
      `/capture/${this.#slot}`,
      time,
      'application/json',
      1,
      frozenJson(data),
      attributes,
      undefined,
    )
  }

  get #placeTopic(): string {
    return `capture-${this.#slot}`
  }

  get #notesTopic(): string {
    return `capture-${this.#slot}-tables`
  }
}
