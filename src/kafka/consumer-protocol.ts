import type { Together } from '../engine/index.ts'

/** Partitions of one topic. */
export interface TopicShare {
  readonly topic: string
  readonly partitions: readonly number[]
}

/** What a member of the classic protocol wants and has. */
export interface Subscription {
  readonly topics: readonly string[]
  readonly owned: readonly TopicShare[]
  /** Generation in which it was given what it has; -1: not told. */
  readonly generation: number
  /** Which partitions shall go to one member. */
  readonly together?: Together | undefined
}

// Formats: `ConsumerProtocolSubscription` and `ConsumerProtocolAssignment` of Apache Kafka's message definitions, which all
// clients put into JoinGroup and SyncGroup. Versions only add fields at the end.

const subscriptionVersion = 2
const assignmentVersion = 0

/** How a wish stands in the user data. */
const togetherData = { numbers: 'millrace:numbers', all: 'millrace:all' } as const

export function writeSubscription({ topics, owned, generation, together }: Subscription): Buffer {
  const writer = new Bytes()
  writer.int16(subscriptionVersion)
  writer.int32(topics.length)
  for (const topic of topics) writer.text(topic)
  writer.data(together === undefined ? undefined : togetherData[together])
  writeShares(writer, owned)
  writer.int32(generation)
  return writer.done()
}

export function readSubscription(bytes: Buffer): Subscription {
  const reader = new Cursor(bytes)
  const version = reader.int16()
  const topics = reader.list(() => reader.text())
  const data = reader.data()
  const owned = version >= 1 ? readShares(reader) : []
  const generation = version >= 2 ? reader.int32() : -1
  const together = (['numbers', 'all'] as const).find((wish) => togetherData[wish] === data)
  return { topics, owned, generation, ...(together !== undefined && { together }) }
}

export function writeAssignment(shares: readonly TopicShare[]): Buffer {
  const writer = new Bytes()
  writer.int16(assignmentVersion)
  writeShares(writer, shares)
  writer.data(undefined)
  return writer.done()
}

/** An empty text stands for nothing. */
export function readAssignment(bytes: Buffer): readonly TopicShare[] {
  if (bytes.length === 0) return []
  const reader = new Cursor(bytes)
  reader.int16()
  return readShares(reader)
}

function writeShares(writer: Bytes, shares: readonly TopicShare[]): void {
  writer.int32(shares.length)
  for (const { topic, partitions } of shares) {
    writer.text(topic)
    writer.int32(partitions.length)
    for (const partition of partitions) writer.int32(partition)
  }
}

function readShares(reader: Cursor): TopicShare[] {
  return reader.list(() => ({ topic: reader.text(), partitions: reader.list(() => reader.int32()) }))
}

class Bytes {
  readonly #parts: Buffer[] = []

  int16(value: number): void {
    const part = Buffer.alloc(2)
    part.writeInt16BE(value)
    this.#parts.push(part)
  }

  int32(value: number): void {
    const part = Buffer.alloc(4)
    part.writeInt32BE(value)
    this.#parts.push(part)
  }

  text(value: string): void {
    const part = Buffer.from(value)
    this.int16(part.length)
    this.#parts.push(part)
  }

  /** Data of the user's own. */
  data(value: string | undefined): void {
    this.int32(value?.length ?? -1)
    this.#parts.push(Buffer.from(value ?? '', 'latin1'))
  }

  done(): Buffer {
    return Buffer.concat(this.#parts)
  }
}

class Cursor {
  readonly #bytes: Buffer
  #at = 0

  constructor(bytes: Buffer) {
    this.#bytes = bytes
  }

  int16(): number {
    this.#at += 2
    return this.#bytes.readInt16BE(this.#at - 2)
  }

  int32(): number {
    this.#at += 4
    return this.#bytes.readInt32BE(this.#at - 4)
  }

  text(): string {
    const length = this.int16()
    this.#at += length
    return this.#bytes.toString('utf8', this.#at - length, this.#at)
  }

  data(): string {
    const length = Math.max(0, this.int32())
    this.#at += length
    return this.#bytes.toString('latin1', this.#at - length, this.#at)
  }

  list<T>(read: () => T): T[] {
    const length = this.int32()
    return Array.from({ length: Math.max(0, length) }, read)
  }
}
