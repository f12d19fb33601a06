import { join } from 'node:path'
import { embedded } from '../../src/embedded/index.ts'
import type { Assignment, Engine } from '../../src/engine/index.ts'
import { type OrderData, orderMessages, partitionCount } from '../events.ts'
import { inTurn, ordersTopic, piecesOf, publishInFlight } from '../publishing.ts'
import type { BenchRow, Figure, RowSettings } from '../row.ts'
import { see } from '../see.ts'
import { alternate, rateOf } from '../statistics.ts'

/** Reads everything as a fresh group would, one partition after the other; returns how many messages there were. */
async function readAsGroup(engine: Engine, group: string): Promise<number> {
  const assigned: Assignment[] = []
  const member = await engine.groups.join({
    group,
    topics: [ordersTopic],
    onAssigned: (assignments) => assigned.push(...assignments),
    onRevoked: () => Promise.resolve(),
    onLost: () => undefined,
  })
  let count = 0
  for (const { claim, progress } of assigned) {
    const { topic, partition } = claim
    for (let offset = progress.next; ; ) {
      const { records, nextOffset, latest } = await engine.topics.read({ topic, partition, offset })
      for (const record of records) if (record.kind === 'message') count++
      member.heartbeat()
      offset = nextOffset
      if (offset >= latest) break
    }
  }
  await member.leave()
  return count
}

async function run({ quick, folder }: RowSettings): Promise<readonly Figure[]> {
  const eventCount = quick ? 50_000 : 200_000
  const messages = orderMessages(20_000)
  // Without memory for recent messages every read goes to the file.
  await using engine = await embedded({ path: join(folder, 'read.db'), recentBytesMax: 0 }).open()
  await engine.topics.create(ordersTopic, { partitions: partitionCount })
  await publishInFlight(engine, { commits: eventCount / 500, inFlight: 4 }, inTurn(piecesOf(messages, 500)))
  const texts = messages.map((message) => JSON.stringify(message.data))
  const bytes = texts.map((text) => Buffer.from(text))
  const times = eventCount / texts.length
  const found = await alternate(quick ? 3 : 7, {
    read: (round) =>
      rateOf(eventCount, async () => {
        const count = await readAsGroup(engine, `readers-${round}`)
        if (count !== eventCount) throw new Error(`read ${count} messages of ${eventCount}`)
      }),
    parse: () =>
      rateOf(eventCount, () => {
        for (let i = 0; i < times; i++) for (const text of texts) see((JSON.parse(text) as OrderData).quantity)
      }),
    decode: () =>
      rateOf(eventCount, () => {
        for (let i = 0; i < times; i++) {
          for (const one of bytes) see((JSON.parse(one.toString('utf8')) as OrderData).quantity)
        }
      }),
  })
  return [
    {
      what: 'throughput',
      value: found.read,
      unit: 'events/s',
      limit: { what: 'JSON.parse of text in memory', value: found.parse },
      target: { of: 'ratio', atLeast: 0.6 },
      notes: ['messages come out frozen, with 10 attributes each; the checksum of each batch is verified'],
    },
    {
      what: '  against the loop that begins with bytes, as a file has them',
      value: found.read,
      unit: 'events/s',
      limit: { what: 'JSON.parse(toString)', value: found.decode },
    },
  ]
}

/** A consumer group that catches up. */
export const readFromDisk: BenchRow = { title: 'Read and decode, one group, from disk', run }
