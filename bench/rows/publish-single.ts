import { join } from 'node:path'
import { embedded } from '../../src/embedded/index.ts'
import type { Message } from '../../src/message/index.ts'
import { groupBytes, OrderPlaced, orderDataOf, orderMessages, partitionCount } from '../events.ts'
import { inTurn, ordersTopic, piecesOf, publishInFlight } from '../publishing.ts'
import type { BenchRow, Figure, RowSettings } from '../row.ts'
import { see } from '../see.ts'
import { alternate, percentile, rateOf } from '../statistics.ts'
import { SyncLoop } from '../sync-loop.ts'

const inFlight = 1024
const ratioNote =
  'the target is held against the bare sync loop, with groups of 1,024: all that can be in flight, more than the engine ever syncs at once'

async function measure(
  { quick, folder }: RowSettings,
  atLeast: number,
  nextMessages: () => () => readonly Message[],
): Promise<readonly Figure[]> {
  const rounds = quick ? 3 : 7
  const eventCount = inFlight * (quick ? 50 : 150)
  await using engine = await embedded({ path: join(folder, 'publish.db') }).open()
  await engine.topics.create(ordersTopic, { partitions: partitionCount })
  using loop = new SyncLoop(folder)
  const messageGroups = piecesOf(orderMessages(inFlight * 10), inFlight)
  const groups = messageGroups.map((messages) => groupBytes(messages))
  const latenciesMs: number[] = []
  const next = nextMessages()
  await publishInFlight(engine, { commits: eventCount, inFlight }, next)
  const found = await alternate(rounds, {
    engine: () =>
      rateOf(eventCount, () => publishInFlight(engine, { commits: eventCount, inFlight, latenciesMs }, next)),
    sync: () => rateOf(eventCount, () => syncGroups(loop, groups, eventCount / inFlight)),
    stringify: () =>
      rateOf(eventCount, () =>
        syncGroups(loop, groups, eventCount / inFlight, (group) => stringifyAll(messageGroups, group)),
      ),
  })
  return [
    {
      what: 'throughput',
      value: found.engine,
      unit: 'events/s',
      limit: { what: 'write+fdatasync', value: found.sync },
      target: { of: 'ratio', atLeast },
      notes: [ratioNote],
    },
    {
      what: '  against the loop that also has to encode',
      value: found.engine,
      unit: 'events/s',
      limit: { what: 'JSON.stringify+write+fdatasync', value: found.stringify },
    },
    { what: 'latency p50', value: percentile(latenciesMs, 0.5), unit: 'ms' },
    { what: 'latency p99', value: percentile(latenciesMs, 0.99), unit: 'ms', target: { of: 'value', atMost: 50 } },
  ]
}

function syncGroups(loop: SyncLoop, groups: readonly Buffer[], count: number, before?: (group: number) => void): void {
  for (let i = 0; i < count; i++) {
    const group = i % groups.length
    before?.(group)
    loop.write(groups[group] as Buffer)
  }
}
function stringifyAll(groups: readonly (readonly Message[])[], group: number): void {
  for (const { data } of groups[group] as readonly Message[]) see(JSON.stringify(data).length)
}

/** Events that stand there already: what the engine costs. */
export const publishSingle: BenchRow = {
  title: 'Durable publish, single events, 1,024 in flight',
  run: (settings) => measure(settings, 0.4, () => inTurn(piecesOf(orderMessages(20_000), 1))),
}

/** Events that are created and validated by their schema as they are published: what a program sees. */
export const publishCreated: BenchRow = {
  title: 'The same, events created and validated in the loop',
  run: (settings) =>
    measure(settings, 0.25, () => {
      const data = inTurn(Array.from({ length: 20_000 }, (_, index) => orderDataOf(index)))
      return () => [OrderPlaced(data())]
    }),
}
