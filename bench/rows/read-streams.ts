import { join } from 'node:path'
import { embedded } from '../../src/embedded/index.ts'
import type { AppendWrite, Engine, StoredEvent } from '../../src/engine/index.ts'
import { type OrderData, OrderPlaced, orderDataOf } from '../events.ts'
import type { BenchRow, Figure, RowSettings } from '../row.ts'
import { see } from '../see.ts'
import { alternate, rateOf } from '../statistics.ts'

const longStreams = 10
const longStreamEvents = 1000
const shortStreams = 1000
const eventsPerCommit = 1000

function streamOf(stream: string, eventCount: number): AppendWrite {
  return {
    stream,
    expected: 'none',
    events: Array.from({ length: eventCount }, (_, n) => ({ message: OrderPlaced(orderDataOf(n)) })),
  }
}

async function fill(engine: Engine): Promise<void> {
  const streams = [
    ...Array.from({ length: longStreams }, (_, n) => streamOf(`long-${n}`, longStreamEvents)),
    ...Array.from({ length: shortStreams }, (_, n) => streamOf(`short-${n}`, 1)),
  ]
  for (const stream of streams.splice(0, longStreams)) await engine.commit({ append: [stream] })
  while (streams.length > 0) await engine.commit({ append: streams.splice(0, eventsPerCommit) })
}

/** Reads to the end, and refuses to count what is not there. */
async function seeAll(events: AsyncIterable<StoredEvent>, expected: number): Promise<void> {
  let count = 0
  for await (const { message } of events) {
    see((message.data as OrderData).quantity)
    count++
  }
  if (count !== expected) throw new Error(`read ${count} events of ${expected}`)
}

async function run({ quick, folder }: RowSettings): Promise<readonly Figure[]> {
  const times = quick ? 2 : 10
  await using engine = await embedded({ path: join(folder, 'streams.db') }).open()
  await fill(engine)
  const { events } = engine
  const eventCount = times * longStreams * longStreamEvents
  const allCount = longStreams * longStreamEvents + shortStreams
  const texts = Array.from({ length: longStreamEvents }, (_, n) => JSON.stringify(orderDataOf(n)))
  const found = await alternate(quick ? 3 : 7, {
    long: () =>
      rateOf(eventCount, async () => {
        for (let n = 0; n < times * longStreams; n++) {
          await seeAll(events.readStream(`long-${n % longStreams}`), longStreamEvents)
        }
      }),
    short: () =>
      rateOf(times * shortStreams, async () => {
        for (let n = 0; n < times * shortStreams; n++) await seeAll(events.readStream(`short-${n % shortStreams}`), 1)
      }),
    all: () =>
      rateOf(times * allCount, async () => {
        for (let n = 0; n < times; n++) await seeAll(events.readAll(), allCount)
      }),
    parse: () =>
      rateOf(eventCount, () => {
        for (let n = 0; n < times * longStreams; n++) {
          for (const text of texts) see((JSON.parse(text) as OrderData).quantity)
        }
      }),
  })
  const limit = { what: "JSON.parse of the events' data, text in memory", value: found.parse }
  return [
    {
      what: 'streams of 1,000 events',
      value: found.long,
      unit: 'events/s',
      limit,
      notes: ['messages come out frozen; the checksum of each event is verified at every reading'],
    },
    { what: 'all events', value: found.all, unit: 'events/s', limit },
    { what: 'streams of one event', value: found.short, unit: 'streams/s' },
  ]
}

/** The event store, read again and again. */
export const readStreams: BenchRow = { title: 'Read streams of the event store', run }
