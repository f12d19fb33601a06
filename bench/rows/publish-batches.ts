import { join } from 'node:path'
import { embedded } from '../../src/embedded/index.ts'
import { groupBytes, orderMessages, partitionCount } from '../events.ts'
import { inTurn, ordersTopic, piecesOf, publishInFlight } from '../publishing.ts'
import type { BenchRow, Figure, RowSettings } from '../row.ts'
import { see } from '../see.ts'
import { alternate, percentile, rateOf } from '../statistics.ts'
import { SyncLoop } from '../sync-loop.ts'

const batchSize = 500
/** A producer that waits for nobody keeps a few batches under way, as Kafka's does (max.in.flight 5). */
const inFlight = 5

async function run({ quick, folder }: RowSettings): Promise<readonly Figure[]> {
  const commits = quick ? 100 : 300
  const eventCount = commits * batchSize
  await using engine = await embedded({ path: join(folder, 'publish.db') }).open()
  await engine.topics.create(ordersTopic, { partitions: partitionCount })
  using loop = new SyncLoop(folder)
  const batches = piecesOf(orderMessages(batchSize * 40), batchSize)
  const groups = batches.map((messages) => groupBytes(messages))
  const next = inTurn(batches)
  const nextGroup = inTurn(groups)
  const nextStringified = inTurn(batches)
  const latenciesMs: number[] = []
  const publish = (callers: number, latencies: number[] = []): Promise<number> =>
    rateOf(eventCount, () => publishInFlight(engine, { commits, inFlight: callers, latenciesMs: latencies }, next))
  await publish(inFlight)
  const found = await alternate(quick ? 3 : 7, {
    engine: () => publish(inFlight, latenciesMs),
    alone: () => publish(1),
    sync: () => rateOf(eventCount, () => repeat(commits, () => loop.write(nextGroup()))),
    stringify: () =>
      rateOf(eventCount, () =>
        repeat(commits, () => {
          for (const { data } of nextStringified()) see(JSON.stringify(data).length)
          loop.write(nextGroup())
        }),
      ),
  })
  return [
    {
      what: `throughput, ${inFlight} batches in flight`,
      value: found.engine,
      unit: 'events/s',
      limit: { what: 'write+fdatasync', value: found.sync },
      target: { of: 'ratio', atLeast: 0.5 },
      notes: ['the target is held against the bare sync loop, with groups of 500'],
    },
    {
      what: '  against the loop that also has to encode',
      value: found.engine,
      unit: 'events/s',
      limit: { what: 'JSON.stringify+write+fdatasync', value: found.stringify },
    },
    {
      what: 'throughput, one batch after the other',
      value: found.alone,
      unit: 'events/s',
      limit: { what: 'write+fdatasync', value: found.sync },
    },
    { what: 'latency p50', value: percentile(latenciesMs, 0.5), unit: 'ms' },
    { what: 'latency p99', value: percentile(latenciesMs, 0.99), unit: 'ms' },
  ]
}

function repeat(count: number, work: () => void): void {
  for (let i = 0; i < count; i++) work()
}

/** Batches of 500 events, each one commit. */
export const publishBatches: BenchRow = { title: 'Durable publish, batches of 500', run }
