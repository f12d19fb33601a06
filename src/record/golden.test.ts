import { describe, expect, it } from 'vitest'
import { describeBatch, type GoldenFile, goldenCases, readGoldenFiles } from './golden.test-support.ts'
import { decodeBatch, RecordBatchBuilder, RecordBatchReader, readBatchHeader } from './index.ts'
import { type ClientBatch, type ClientCodec, kafkajs, platformatic } from './kafka-clients.test-support.ts'

const files = readGoldenFiles()

function described(file: GoldenFile): ClientBatch {
  const bytes = (text: string | null): Buffer | null => (text === null ? null : Buffer.from(text, 'utf8'))
  const records = file.description.records.map((one) => ({
    timestampMs: one.timestampMs,
    key: bytes(one.key),
    value: bytes(one.value),
    headers: one.headers.map(([name, value]) => [name, bytes(value)] as const),
  }))
  return { ...file.description.batch, records }
}

function encodeByUs(batch: ClientBatch): Buffer {
  const builder = new RecordBatchBuilder()
  for (const record of batch.records) builder.appendRaw(record)
  const { producerId: id, producerEpoch: epoch, baseSequence, compression, isTransactional: transactional } = batch
  return Buffer.from(builder.seal({ producer: { id, epoch, baseSequence }, compression, transactional }))
}

function plain(batch: ClientBatch): unknown {
  const hex = (bytes: Uint8Array | null): string | null => (bytes === null ? null : Buffer.from(bytes).toString('hex'))
  const { compression, isTransactional, producerId, producerEpoch, baseSequence } = batch
  const records = batch.records.map(({ timestampMs, key, value, headers }) => ({
    timestampMs,
    key: hex(key),
    value: hex(value),
    headers: headers.map(([name, content]) => [name, hex(content)]),
  }))
  return { compression, isTransactional, producerId, producerEpoch, baseSequence, records }
}

describe('golden batches', () => {
  it('are all there, and nothing else', () => {
    expect(files.map((file) => file.name).sort()).toEqual(goldenCases.map((one) => one.name).sort())
  })

  it.each(goldenCases)('$name is described as what its client was given', ({ name, client, batch }) => {
    const file = files.find((one) => one.name === name)
    const version = file?.description.batch.version ?? ''
    expect(file?.description).toEqual(JSON.parse(describeBatch(client, version, batch)))
  })

  it.each(files)('$name is read exactly', (file) => {
    const { bytes } = file
    const { records, ...batch } = described(file)
    const times = records.map((record) => record.timestampMs)
    expect(readBatchHeader(bytes)).toMatchObject({
      baseOffset: 0,
      lastOffset: records.length - 1,
      batchBytes: bytes.length,
      partitionLeaderEpoch: 0,
      compression: batch.compression,
      timestampType: 'create',
      isTransactional: batch.isTransactional,
      isControl: false,
      hasDeleteHorizon: false,
      baseTimestampMs: times[0],
      maxTimestampMs: Math.max(...times),
      producerId: batch.producerId,
      producerEpoch: batch.producerEpoch,
      baseSequence: batch.baseSequence,
      recordCount: records.length,
    })
    expect([...new RecordBatchReader(bytes)]).toEqual(records.map((record, offset) => ({ offset, ...record })))
  })

  it.each(files.filter((file) => file.description.batch.compression === 'none'))(
    '$name is written by us byte for byte the same',
    (file) => expect(encodeByUs(described(file)).equals(file.bytes)).toBe(true),
  )
})

describe.each<ClientCodec>([kafkajs, platformatic])('batches of ours, read by $name', (client) => {
  const readable = goldenCases.filter(({ batch }) => client.name !== 'kafkajs' || batch.compression !== 'zstd')

  it.each(readable)('as $name', async ({ batch }) => {
    const ours = encodeByUs(batch)
    expect(decodeBatch(ours)).toHaveLength(batch.records.length)
    expect(plain(await client.decode(ours))).toEqual(plain(batch))
  })
})
