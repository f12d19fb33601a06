import { brokers } from '../contenders.ts'
import { type Contest, Rivals } from '../rivals.ts'
import type { BenchRow, Figure, RowSettings } from '../row.ts'

async function run({ quick, folder }: RowSettings): Promise<readonly Figure[]> {
  await using rivals = await Rivals.open(folder, brokers)
  const seconds = quick ? 1 : 4
  const count = quick ? 10_000 : 50_000
  const contests: readonly Contest[] = [
    { what: 'publish, 256 in flight', unit: 'events/s', task: 'publish', settings: () => ({ inFlight: 256, seconds }) },
    {
      what: 'publish to handled, one at a time, p50',
      unit: 'ms',
      task: 'handled',
      settings: () => ({ inFlight: 1, seconds }),
      counts: 'latency',
    },
    {
      what: 'publish to handled, 64 in flight',
      unit: 'events/s',
      task: 'handled',
      settings: () => ({ inFlight: 64, seconds }),
    },
    { what: 'consume', unit: 'events/s', task: 'consume', settings: () => ({ count }) },
  ]
  const figures: Figure[] = []
  for (const contest of contests) figures.push(...(await rivals.measure(contest, quick ? 2 : 3)))
  return figures
}

/** Logs and queues on the path of an event: published, and handled. */
export const rivalsBrokers: BenchRow = { title: 'Beside logs and queues', run }
