import type { Reader } from '@platformatic/kafka'
import type { BrokerLink } from './broker-link.ts'
import type { KafkaLibrary } from './client-library.ts'
import { KafkaFeatureMissingError } from './errors.ts'

// The two requests that carry record batches. The client library encodes and decodes records of its own kind there; here
// the batches are bytes that `src/record` made and reads. Formats: Kafka protocol guide, "Produce" and "Fetch".

const produceKey = 0
/** From 9 on with compact fields; 12 is the first that may leave partitions to be added to the transaction implicitly. */
const produceVersions = [11, 10, 9]
const fetchKey = 1
/** The newest version that names topics; later ones go by their ids. */
const fetchVersions = [12]
const readCommitted = 1
/** Bytes of one answer over all partitions; the first batch comes whole even if it is larger. */
const fetchBytesMax = 16 * 1024 * 1024

/** Batches of one request: at most one for each partition. */
export interface ProduceEntry {
  readonly topic: string
  readonly partition: number
  readonly bytes: Uint8Array
}

/** What became of one batch. */
export interface ProduceAnswer {
  readonly topic: string
  readonly partition: number
  readonly errorCode: number
  readonly baseOffset: number
  readonly errorMessage: string | null
}

/** Sends batches to the leader of their partitions and waits until all replicas in sync have them. */
export async function sendProduce(
  library: KafkaLibrary,
  link: BrokerLink,
  transactionalId: string | null,
  entries: readonly ProduceEntry[],
  timeoutMs: number,
): Promise<readonly ProduceAnswer[]> {
  const version = link.versionOf(produceKey, produceVersions)
  if (version === undefined) throw new KafkaFeatureMissingError('Produce in version 9 or newer')
  const createPayload = () =>
    library.Writer.create()
      .appendString(transactionalId)
      .appendInt16(-1)
      .appendInt32(timeoutMs)
      .appendArray(byTopic(entries), (topics, [topic, ofTopic]) => {
        topics.appendString(topic).appendArray(ofTopic, (partitions, { partition, bytes }) => {
          partitions
            .appendInt32(partition)
            .appendUnsignedVarInt(bytes.length + 1)
            .append(bufferOf(bytes))
        })
      })
      .appendTaggedFields()
  return link.send(
    produceKey,
    version,
    createPayload,
    (_correlation, _key, _version, reader) => readProduced(reader),
    true,
  )
}

function readProduced(reader: Reader): ProduceAnswer[] {
  const answers: ProduceAnswer[] = []
  reader.readArray((topics) => {
    const topic = topics.readString()
    topics.readArray((r) => {
      const [partition, code, baseOffset] = [r.readInt32(), r.readInt16(), Number(r.readInt64())]
      // Time and start of the log.
      r.skip(16)
      r.readArray((errors) => {
        errors.readInt32()
        errors.readNullableString()
      })
      answers.push({ topic, partition, errorCode: code, baseOffset, errorMessage: r.readNullableString() })
    })
  })
  return answers
}

/** Where to read on in one partition. */
export interface FetchEntry {
  readonly topic: string
  readonly partition: number
  readonly offset: number
  readonly bytesMax: number
}

/** What was found there. */
export interface FetchAnswer {
  readonly topic: string
  readonly partition: number
  readonly errorCode: number
  /** Everything before it is decided: committed, or aborted and listed. */
  readonly lastStableOffset: number
  readonly logStartOffset: number
  readonly aborted: readonly AbortedTransaction[]
  /** Batches, the last of which may be cut short; null: none. */
  readonly bytes: Buffer | null
}

/** The batches of this producer from `firstOffset` to its next abort marker do not count. */
export interface AbortedTransaction {
  readonly producerId: number
  readonly firstOffset: number
}

/** Reads what is committed, waiting up to `waitMs` for something to come. No partition may stand there twice. */
export async function sendFetch(
  library: KafkaLibrary,
  link: BrokerLink,
  entries: readonly FetchEntry[],
  waitMs: number,
): Promise<readonly FetchAnswer[]> {
  const version = link.versionOf(fetchKey, fetchVersions)
  if (version === undefined) throw new KafkaFeatureMissingError('Fetch in version 12')
  const createPayload = () =>
    library.Writer.create()
      .appendInt32(-1)
      .appendInt32(waitMs)
      .appendInt32(1)
      .appendInt32(fetchBytesMax)
      .appendInt8(readCommitted)
      // No session: each request names what it asks for.
      .appendInt32(0)
      .appendInt32(-1)
      .appendArray(byTopic(entries), (topics, [topic, ofTopic]) => {
        topics.appendString(topic).appendArray(ofTopic, (partitions, { partition, offset, bytesMax }) => {
          partitions
            .appendInt32(partition)
            .appendInt32(-1)
            .appendInt64(BigInt(offset))
            .appendInt32(-1)
            .appendInt64(-1n)
            .appendInt32(bytesMax)
        })
      })
      .appendArray([], () => undefined)
      .appendString('')
      .appendTaggedFields()
  return link.send(
    fetchKey,
    version,
    createPayload,
    (_correlation, _key, _version, reader) => readFetched(reader),
    true,
  )
}

function readFetched(reader: Reader): FetchAnswer[] {
  reader.readInt32()
  const wholeCode = reader.readInt16()
  reader.readInt32()
  const answers: FetchAnswer[] = []
  reader.readArray((topics) => {
    const topic = topics.readString()
    topics.readArray((r) => {
      const [partition, code] = [r.readInt32(), r.readInt16()]
      r.readInt64()
      const [lastStableOffset, logStartOffset] = [Number(r.readInt64()), Number(r.readInt64())]
      const aborted = r.readNullableArray((one) => {
        return { producerId: Number(one.readInt64()), firstOffset: Number(one.readInt64()) }
      })
      r.readInt32()
      const errorCode = wholeCode === 0 ? code : wholeCode
      const bytes = r.readNullableBytes()
      answers.push({ topic, partition, errorCode, lastStableOffset, logStartOffset, aborted: aborted ?? [], bytes })
    })
  })
  return answers
}

function byTopic<Entry extends { readonly topic: string }>(entries: readonly Entry[]): [string, Entry[]][] {
  const topics = new Map<string, Entry[]>()
  for (const entry of entries) {
    const ofTopic = topics.get(entry.topic)
    if (ofTopic === undefined) topics.set(entry.topic, [entry])
    else ofTopic.push(entry)
  }
  return [...topics]
}

function bufferOf(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
}
