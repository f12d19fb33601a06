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
}

// Formats: `ConsumerProtocolSubscription` and `ConsumerProtocolAssignment` of Apache Kafka's message definitions, which all
// clients put into JoinGroup and SyncGroup. Versions only add fields at the end.

const subscriptionVersion = 2
const assignmentVersion = 0

export function writeSubscription({ topics, owned, generation }: Subscription): Buffer {
  const writer = new Bytes()
  writer.int16(subscriptionVersion)
  writer.int32(topics.length)
  for (const topic of topics) writer.text(topic)
  // No data of the user's own.
  writer.int32(-1)
  writeShares(writer, owned)
  writer.int32(generation)
  return writer.done()
}

export function readSubscription(bytes: Buffer): Subscription {
  const reader = new Cursor(bytes)
  const version = reader.int16()
  const topics = reader.list(() => reader.text())
  reader.bytes()
  const owned = version >= 1 ? readShares(reader) : []
  const generation = version >= 2 ? reader.int32() : -1
  return { topics, owned, generation }
}

export function writeAssignment(shares: readonly TopicShare[]): Buffer {
  const writer = new Bytes()
  writer.int16(assignmentVersion)
  writeShares(writer, shares)
  writer.int32(-1)
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

  bytes(): void {
    const length = this.int32()
    if (length > 0) this.#at += length
  }

  list<T>(read: () => T): T[] {
    const length = this.int32()
    return Array.from({ length: Math.max(0, length) }, read)
  }
}
