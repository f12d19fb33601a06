import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { embedded } from '../../src/embedded/index.ts'
import type { Assignment, Engine } from '../../src/engine/index.ts'
import { type OrderData, orderMessages } from '../events.ts'
import { ordersTopic } from '../publishing.ts'
import type { BenchRow, Figure, RowSettings } from '../row.ts'
import { see } from '../see.ts'
import { alternate, rateOf } from '../statistics.ts'

const fillScript = join(import.meta.dirname, '..', 'file-process.ts')

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
  const path = join(folder, 'read.db')
  // Written by another process, as a group finds it that starts: this one has never kept a message.
  await promisify(execFile)(process.execPath, [fillScript, `fill-${eventCount}`, path])
  // Without memory for recent messages every read goes to the file.
  await using engine = await embedded({ path, recentBytesMax: 0 }).open()
  const messages = orderMessages(20_000)
  const texts = messages.map((message) => JSON.stringify(message))
  const bytes = texts.map((text) => Buffer.from(text))
  const dataTexts = messages.map((message) => JSON.stringify(message.data))
  const times = eventCount / texts.length
  const found = await alternate(quick ? 3 : 7, {
    read: (round) =>
      rateOf(eventCount, async () => {
        const count = await readAsGroup(engine, `readers-${round}`)
        if (count !== eventCount) throw new Error(`read ${count} messages of ${eventCount}`)
      }),
    parse: () =>
      rateOf(eventCount, () => {
        for (let i = 0; i < times; i++) {
          for (const text of texts) see((JSON.parse(text) as { data: OrderData }).data.quantity)
        }
      }),
    decode: () =>
      rateOf(eventCount, () => {
        for (let i = 0; i < times; i++) {
          for (const one of bytes) see((JSON.parse(one.toString('utf8')) as { data: OrderData }).data.quantity)
        }
      }),
    parseData: () =>
      rateOf(eventCount, () => {
        for (let i = 0; i < times; i++) for (const text of dataTexts) see((JSON.parse(text) as OrderData).quantity)
      }),
  })
  return [
    {
      what: 'throughput',
      value: found.read,
      unit: 'events/s',
      limit: { what: 'JSON.parse of the events, text in memory', value: found.parse },
      target: { of: 'ratio', atLeast: 0.6 },
      notes: ['messages come out frozen, with 10 attributes each; the checksum of each batch is verified'],
    },
    {
      what: '  against a loop that begins with bytes, as a file has them',
      value: found.read,
      unit: 'events/s',
      limit: { what: 'JSON.parse(bytes.toString()) of the events', value: found.decode },
    },
    {
      what: '  against a loop that leaves the envelope out',
      value: found.read,
      unit: 'events/s',
      limit: { what: "JSON.parse of the events' data, text in memory", value: found.parseData },
    },
  ]
}

/** A consumer group that catches up. */
export const readFromDisk: BenchRow = { title: 'Read and decode, one group, from disk', run }
