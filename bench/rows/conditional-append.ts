import { join } from 'node:path'
import { embedded } from '../../src/embedded/index.ts'
import { Appender, callers, streamCount } from '../appender.ts'
import { eventBytes, OrderPlaced, orderDataOf } from '../events.ts'
import type { BenchRow, Figure, RowSettings } from '../row.ts'
import { alternate, percentile, rateOf } from '../statistics.ts'
import { SyncLoop } from '../sync-loop.ts'

async function run({ quick, folder }: RowSettings): Promise<readonly Figure[]> {
  const commits = quick ? 10_000 : 40_000
  const rounds = quick ? 3 : 5
  await using plainEngine = await embedded({ path: join(folder, 'plain.db') }).open()
  await using taggedEngine = await embedded({ path: join(folder, 'tagged.db') }).open()
  using loop = new SyncLoop(folder)
  const plain = new Appender(plainEngine)
  const tagged = new Appender(taggedEngine)
  const group = Buffer.concat(Array.from({ length: callers }, (_, i) => eventBytes(OrderPlaced(orderDataOf(i)))))
  await plain.append(streamCount, false)
  await tagged.append(streamCount, true)
  plain.latenciesMs.length = 0
  tagged.latenciesMs.length = 0
  const found = await alternate(rounds, {
    plain: () => rateOf(commits, () => plain.append(commits, false)),
    tagged: () => rateOf(commits, () => tagged.append(commits, true)),
    sync: () =>
      rateOf(commits, () => {
        for (let i = 0; i < commits / callers; i++) loop.write(group)
      }),
  })
  const limit = { what: 'write+fdatasync', value: found.sync }
  return [
    {
      what: 'with the expected version',
      value: found.plain,
      unit: 'appends/s',
      limit,
      target: { of: 'value', atLeast: 40_000 },
      notes: ['events are created and validated in the loop'],
    },
    {
      what: 'with a condition on type and tag besides',
      value: found.tagged,
      unit: 'appends/s',
      limit,
      target: { of: 'value', atLeast: 25_000 },
    },
    { what: 'latency p50, expected version', value: percentile(plain.latenciesMs, 0.5), unit: 'ms' },
    { what: 'latency p99, expected version', value: percentile(plain.latenciesMs, 0.99), unit: 'ms' },
  ]
}

/** Deciders at work: read, decide, append if nothing has changed. */
export const conditionalAppend: BenchRow = { title: 'Conditional append to 10,000 streams, 256 in flight', run }
