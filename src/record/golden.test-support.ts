// Batches that Kafka clients wrote, kept as files: what they are made of, and how they are described.
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { ClientBatch, ClientRecord } from './kafka-clients.test-support.ts'

export const fixturesPath: string = join(import.meta.dirname, 'fixtures')

export interface GoldenCase {
  readonly name: string
  readonly client: 'kafkajs' | '@platformatic/kafka'
  readonly batch: ClientBatch
}

const startMs = 1_764_547_200_000
const plainBatch = {
  compression: 'none',
  isTransactional: false,
  producerId: -1,
  producerEpoch: 0,
  baseSequence: 0,
} as const

function record(
  delayMs: number,
  key: string | null,
  value: string | null,
  headers: readonly (readonly [string, string | null])[] = [],
): ClientRecord {
  const bytes = (text: string | null): Buffer | null => (text === null ? null : Buffer.from(text, 'utf8'))
  return {
    timestampMs: startMs + delayMs,
    key: bytes(key),
    value: bytes(value),
    headers: headers.map(([name, content]) => [name, bytes(content)] as const),
  }
}

const plain = [record(0, null, 'one'), record(1, null, 'two'), record(250, null, '')]
const keyed = [
  record(0, 'customer-1', '{"total":1}', [
    ['content-type', 'application/json'],
    ['trace', ''],
  ]),
  // An earlier time than the first record's: its delta is negative.
  record(-5000, '', '{"total":2}', [['x', 'y'.repeat(100)]]),
  // A time beyond 2^31 ms after the first. Platformatic's encoder (2.12.1) writes such deltas wrongly, by a few ms: its
  // zigzag shifts by 31 bits. So only KafkaJS vouches for this record.
  record(86_400_000 * 400, 'customer-3', 'z'.repeat(9000)),
]
const tombstones = [record(0, 'customer-1', '{"total":1}'), record(3, 'customer-1', null), record(4, null, null)]
const unicode = [
  record(0, 'Žižkov', '{"city":"Žižkov 東京 🚲"}', [['città', 'Genève']]),
  // 40 letters of two bytes: the length in bytes takes one byte more than the length in letters.
  record(1, 'é'.repeat(40), '"é"', [['ö'.repeat(33), 'ü'.repeat(64)]]),
]
const many = Array.from({ length: 300 }, (_, index) =>
  record(index * 7, `key-${index % 17}`, JSON.stringify({ index, text: 'x'.repeat(index % 40) }), [['n', `${index}`]]),
)
const cloudEvent: readonly (readonly [string, string])[] = [
  ['ce_id', '0198c0de-0000-7000-8000-000000000001'],
  ['ce_specversion', '1.0'],
  ['ce_source', '/elsewhere'],
  ['ce_type', 'OrderPlaced'],
  ['ce_tenant', 'acme'],
  ['content-type', 'application/json; charset=utf-8'],
]
const structuredEvent = JSON.stringify({
  specversion: '1.0',
  id: '0198c0de-0000-7000-8000-000000000002',
  source: '/elsewhere',
  type: 'OrderPlaced',
  time: '2025-12-01T00:00:00Z',
  data: { orderId: '2' },
})
const cloudEvents = [
  record(0, 'order-1', '{"orderId":"1"}', cloudEvent),
  record(1, 'order-2', structuredEvent, [['content-type', 'application/cloudevents+json; charset=UTF-8']]),
  record(2, 'order-3', null, cloudEvent),
  record(3, 'order-4', '{"orderId":', cloudEvent),
  record(4, 'order-5', 'no event at all'),
]

/** What `scripts/make-golden-batches.ts` writes. */
export const goldenCases: readonly GoldenCase[] = [
  { name: 'kafkajs-plain', client: 'kafkajs', batch: { ...plainBatch, records: plain } },
  { name: 'kafkajs-keys-and-headers', client: 'kafkajs', batch: { ...plainBatch, records: keyed } },
  { name: 'kafkajs-tombstones', client: 'kafkajs', batch: { ...plainBatch, records: tombstones } },
  { name: 'kafkajs-unicode', client: 'kafkajs', batch: { ...plainBatch, records: unicode } },
  { name: 'kafkajs-gzip', client: 'kafkajs', batch: { ...plainBatch, compression: 'gzip', records: many } },
  {
    name: 'kafkajs-transactional',
    client: 'kafkajs',
    batch: {
      ...plainBatch,
      isTransactional: true,
      producerId: 4_294_967_301,
      producerEpoch: 3,
      baseSequence: 42,
      records: keyed,
    },
  },
  { name: 'platformatic-plain', client: '@platformatic/kafka', batch: { ...plainBatch, records: plain } },
  {
    name: 'platformatic-null-header',
    client: '@platformatic/kafka',
    batch: { ...plainBatch, records: [...keyed.slice(0, 2), record(9, 'k', 'v', [['gone', null]])] },
  },
  { name: 'platformatic-unicode', client: '@platformatic/kafka', batch: { ...plainBatch, records: unicode } },
  { name: 'platformatic-tombstones', client: '@platformatic/kafka', batch: { ...plainBatch, records: tombstones } },
  { name: 'platformatic-many', client: '@platformatic/kafka', batch: { ...plainBatch, records: many } },
  {
    name: 'platformatic-gzip',
    client: '@platformatic/kafka',
    batch: { ...plainBatch, compression: 'gzip', records: many },
  },
  {
    name: 'platformatic-zstd',
    client: '@platformatic/kafka',
    batch: { ...plainBatch, compression: 'zstd', records: many },
  },
  {
    name: 'platformatic-idempotent',
    client: '@platformatic/kafka',
    batch: { ...plainBatch, producerId: 17, producerEpoch: 32_767, baseSequence: 2_147_483_647, records: plain },
  },
  { name: 'platformatic-cloudevents', client: '@platformatic/kafka', batch: { ...plainBatch, records: cloudEvents } },
]

/** The description that lies beside each batch: bytes as UTF-8 text. */
export function describeBatch(client: string, version: string, batch: ClientBatch): string {
  const text = (bytes: Buffer | null): string | null => (bytes === null ? null : bytes.toString('utf8'))
  const records = batch.records.map(({ timestampMs, key, value, headers }) => ({
    timestampMs,
    key: text(key),
    value: text(value),
    headers: headers.map(([name, content]) => [name, text(content)]),
  }))
  const lines = records.map((one) => `    ${JSON.stringify(one)}`).join(',\n')
  const { compression, isTransactional, producerId, producerEpoch, baseSequence } = batch
  const head = JSON.stringify({
    client,
    version,
    compression,
    isTransactional,
    producerId,
    producerEpoch,
    baseSequence,
  })
  return `{\n  "batch": ${head},\n  "records": [\n${lines}\n  ]\n}\n`
}

/** A batch file with its description. */
export interface GoldenFile {
  readonly name: string
  readonly bytes: Buffer
  readonly description: {
    readonly batch: Omit<ClientBatch, 'records'> & { readonly client: string; readonly version: string }
    readonly records: readonly {
      readonly timestampMs: number
      readonly key: string | null
      readonly value: string | null
      readonly headers: readonly (readonly [string, string | null])[]
    }[]
  }
}

export function readGoldenFiles(): readonly GoldenFile[] {
  const names = readdirSync(fixturesPath).filter((file) => file.endsWith('.bin'))
  return names.map((file) => {
    const name = file.slice(0, -'.bin'.length)
    const description = JSON.parse(
      readFileSync(join(fixturesPath, `${name}.json`), 'utf8'),
    ) as GoldenFile['description']
    return { name, bytes: readFileSync(join(fixturesPath, file)), description }
  })
}
