// Drives the record batch codecs inside two Kafka clients, so that tests can compare ours with theirs.
import { createRequire } from 'node:module'
import { type CreateRecordsBatchOptions, createRecordsBatch, Reader, readRecordsBatch } from '@platformatic/kafka'

/** Content of a batch, as each client is told to write it and as each gives it back. */
export interface ClientBatch {
  readonly compression: 'none' | 'gzip' | 'zstd'
  readonly isTransactional: boolean
  readonly producerId: number
  readonly producerEpoch: number
  readonly baseSequence: number
  readonly records: readonly ClientRecord[]
}

export interface ClientRecord {
  readonly timestampMs: number
  readonly key: Buffer | null
  readonly value: Buffer | null
  readonly headers: readonly (readonly [name: string, value: Buffer | null])[]
}

/** A Kafka client's own encoder and decoder. */
export interface ClientCodec {
  readonly name: string
  encode(batch: ClientBatch): Promise<Buffer>
  decode(bytes: Buffer): Promise<ClientBatch>
}

interface KafkajsDecoded {
  readonly inTransaction: boolean
  readonly producerId: string
  readonly producerEpoch: number
  readonly firstSequence: number
  readonly records: readonly {
    readonly timestamp: string
    readonly key: Buffer | null
    readonly value: Buffer | null
    readonly headers: Readonly<Record<string, Buffer | null>>
  }[]
}

interface KafkajsModules {
  readonly batch: { RecordBatch(options: object): Promise<{ readonly buffer: Buffer }> }
  readonly record: (record: object) => unknown
  readonly decode: (decoder: object) => Promise<KafkajsDecoded>
  readonly Decoder: new (bytes: Buffer) => object
}

function kafkajsModules(): KafkajsModules {
  const load = createRequire(import.meta.url)
  const protocol = 'kafkajs/src/protocol'
  return {
    batch: load(`${protocol}/recordBatch/v0/index.js`) as KafkajsModules['batch'],
    record: load(`${protocol}/recordBatch/record/v0/index.js`) as KafkajsModules['record'],
    decode: load(`${protocol}/recordBatch/v0/decoder.js`) as KafkajsModules['decode'],
    Decoder: load(`${protocol}/decoder.js`) as KafkajsModules['Decoder'],
  }
}

const kafkajsCompression = { none: 0, gzip: 1, zstd: 4 } as const

/** KafkaJS: no zstd of its own, no null headers. */
export const kafkajs: ClientCodec = {
  name: 'kafkajs',
  async encode(batch) {
    const { batch: encoder, record } = kafkajsModules()
    const first = batch.records[0]?.timestampMs ?? 0
    const encoded = await encoder.RecordBatch({
      compression: kafkajsCompression[batch.compression],
      firstTimestamp: first,
      maxTimestamp: Math.max(...batch.records.map((one) => one.timestampMs)),
      lastOffsetDelta: batch.records.length - 1,
      transactional: batch.isTransactional,
      producerId: batch.producerId,
      producerEpoch: batch.producerEpoch,
      firstSequence: batch.baseSequence,
      records: batch.records.map((one, offsetDelta) =>
        record({
          offsetDelta,
          timestampDelta: one.timestampMs - first,
          key: one.key,
          value: one.value,
          headers: Object.fromEntries(one.headers),
        }),
      ),
    })
    return encoded.buffer
  },
  async decode(bytes) {
    const { decode, Decoder } = kafkajsModules()
    const batch = await decode(new Decoder(bytes))
    return {
      compression: compressionIn(bytes),
      isTransactional: batch.inTransaction,
      producerId: Number(batch.producerId),
      producerEpoch: batch.producerEpoch,
      baseSequence: batch.firstSequence,
      records: batch.records.map((one) => ({
        timestampMs: Number(one.timestamp),
        key: one.key,
        value: one.value,
        headers: Object.entries(one.headers),
      })),
    }
  },
}

/** Platformatic's client. */
export const platformatic: ClientCodec = {
  name: '@platformatic/kafka',
  async encode(batch) {
    const sequences = { getWithDefault: () => batch.baseSequence }
    const options: Partial<CreateRecordsBatchOptions> = {
      compression: batch.compression,
      producerId: BigInt(batch.producerId),
      producerEpoch: batch.producerEpoch,
      sequences: sequences as unknown as CreateRecordsBatchOptions['sequences'],
      ...(batch.isTransactional ? { transactionalId: 'one' } : {}),
    }
    const messages = batch.records.map((one) => ({
      topic: 'events',
      partition: 0,
      timestamp: BigInt(one.timestampMs),
      key: one.key,
      value: one.value,
      headers: new Map(one.headers.map(([name, value]) => [Buffer.from(name), value])),
    }))
    // Its types allow neither null keys nor null values, which its encoder writes as Kafka wants them.
    return createRecordsBatch(messages as unknown as Parameters<typeof createRecordsBatch>[0], options).buffer
  },
  async decode(bytes) {
    const batch = readRecordsBatch(Reader.from(bytes))
    return {
      compression: compressionIn(bytes),
      isTransactional: (batch.attributes & 0x10) !== 0,
      producerId: Number(batch.producerId),
      producerEpoch: batch.producerEpoch,
      baseSequence: batch.firstSequence,
      records: batch.records.map((one) => ({
        timestampMs: Number(batch.firstTimestamp + one.timestampDelta),
        key: one.key,
        value: one.value,
        headers: one.headers.map(([name, value]) => [String(name), value] as const),
      })),
    }
  },
}

function compressionIn(bytes: Buffer): ClientBatch['compression'] {
  const code = bytes.readInt16BE(21) & 7
  return code === 0 ? 'none' : code === 1 ? 'gzip' : 'zstd'
}
