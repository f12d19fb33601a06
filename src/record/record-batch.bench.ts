// Prints what encoding and decoding cost per event, beside loops that do only what nobody can avoid.
// Run it with: node src/record/record-batch.bench.ts [--json]
import { formatUuidv7, SeededRandom, uuidTimeText } from '../kernel/index.ts'
import { type Message, sealMessage } from '../message/index.ts'
import { BatchBufferPool, crc32c, decodeMessages, partitionFor, RecordBatchBuilder } from './index.ts'

const eventsPerBatch = 500
const batchCount = 20
const rounds = 30
const eventCount = eventsPerBatch * batchCount
const random = new SeededRandom(7)

function orderMessage(index: number): Message {
  const id = formatUuidv7(
    uuidTimeText(1_700_000_000_000 + index),
    random.nextUint32(),
    random.nextUint32(),
    random.nextUint32(),
  )
  const data = Object.freeze({
    orderId: `order-${index}`,
    customerId: `c-${(index * 7919) % 99_991}`,
    total: (index % 977) + 0.25,
    currency: 'EUR',
    lines: [
      { sku: `SKU-${index % 4999}`, quantity: (index % 9) + 1, price: 12.5 },
      { sku: `SKU-${(index + 7) % 4999}`, quantity: 2, price: 3.75 },
    ],
    note: 'please leave it at the door of the neighbour',
    paid: true,
  })
  const optional = { partitionkey: `order-${index}`, correlationid: id, causationid: id }
  const time = '2026-01-01T00:00:00.000Z'
  return sealMessage('OrderPlaced', id, '/shop/ordering', time, 'application/json', 1, data, optional, undefined)
}

const messages = Array.from({ length: eventCount }, (_, index) => orderMessage(index))
const pool = new BatchBufferPool()
const builder = new RecordBatchBuilder({ pool })

function encode(crc: boolean): Uint8Array[] {
  const batches: Uint8Array[] = []
  for (let start = 0; start < eventCount; start += eventsPerBatch) {
    for (let index = start; index < start + eventsPerBatch; index++) {
      builder.appendMessage(messages[index] as Message, 1_700_000_000_000 + index)
    }
    batches.push(builder.seal({ baseOffset: start, crc }))
  }
  return batches
}

const batches = encode(true).map((batch) => Uint8Array.from(batch))
const values = Buffer.concat(messages.map((message) => Buffer.from(JSON.stringify(message.data))))
const valueEnds: number[] = []
for (const message of messages)
  valueEnds.push((valueEnds.at(-1) ?? 0) + Buffer.byteLength(JSON.stringify(message.data)))

/** Microseconds per event of the fastest of several rounds: the one that others on the machine disturbed least. */
function measure(run: () => void): number {
  let bestNs = Number.POSITIVE_INFINITY
  for (let round = 0; round < rounds; round++) {
    const start = process.hrtime.bigint()
    run()
    bestNs = Math.min(bestNs, Number(process.hrtime.bigint() - start))
  }
  return bestNs / 1000 / eventCount
}

let seen = 0
const microsPerEvent = {
  'JSON.stringify alone': measure(() => {
    for (const message of messages) seen += JSON.stringify(message.data).length
  }),
  'encode, checksum left out': measure(() => {
    for (const batch of encode(false)) pool.release(batch)
  }),
  'encode with checksum': measure(() => {
    for (const batch of encode(true)) pool.release(batch)
  }),
  'JSON.parse(toString) alone': measure(() => {
    let start = 0
    for (const end of valueEnds) {
      seen += (JSON.parse(values.toString('utf8', start, end)) as { lines: unknown[] }).lines.length
      start = end
    }
  }),
  'decode, checksum not verified': measure(() => {
    for (const batch of batches) decodeMessages(batch, () => seen++, { verifyCrc: false })
  }),
  'decode with checksum': measure(() => {
    for (const batch of batches) decodeMessages(batch, () => seen++)
  }),
  'checksum alone': measure(() => {
    for (const batch of batches) seen += crc32c(batch)
  }),
  'partition of a key': measure(() => {
    for (const message of messages) seen += partitionFor(message.partitionkey ?? '', 12)
  }),
}

const report = {
  eventCount,
  dataBytesPerEvent: Math.round(values.length / eventCount),
  recordBytesPerEvent: Math.round(batches.reduce((sum, batch) => sum + batch.length, 0) / eventCount),
  encodeMicrosOverStringify: microsPerEvent['encode, checksum left out'] - microsPerEvent['JSON.stringify alone'],
  decodeRatioToParse: microsPerEvent['JSON.parse(toString) alone'] / microsPerEvent['decode, checksum not verified'],
  microsPerEvent,
  seen,
}
if (process.argv.includes('--json')) process.stdout.write(`${JSON.stringify(report)}\n`)
else {
  const lines = Object.entries(microsPerEvent).map(
    ([name, micros]) => `${name.padEnd(32)}${micros.toFixed(3)} µs/event`,
  )
  process.stdout.write(`${lines.join('\n')}\n`)
  process.stdout.write(`data ${report.dataBytesPerEvent} bytes, record ${report.recordBytesPerEvent} bytes per event\n`)
  process.stdout.write(`encode: stringify + ${report.encodeMicrosOverStringify.toFixed(3)} µs\n`)
  process.stdout.write(`decode: ${report.decodeRatioToParse.toFixed(2)} of the speed of JSON.parse\n`)
}
