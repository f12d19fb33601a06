import { brokers } from '../contenders.ts'
import { type Contest, Rivals } from '../rivals.ts'
import type { BenchRow, Figure, RowSettings } from '../row.ts'

async function run({ quick, folder }: RowSettings): Promise<readonly Figure[]> {
  await using rivals = await Rivals.open(folder, brokers)
  const seconds = quick ? 1 : 4
  // Whoever works jobs off one by one would take minutes for what others read in a second.
  const countOf = (name: string): number => (/BullMQ/.test(name) ? 5_000 : 50_000) / (quick ? 5 : 1)
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
    { what: 'consume', unit: 'events/s', task: 'consume', settings: (name) => ({ count: countOf(name) }) },
  ]
  const figures: Figure[] = []
  for (const contest of contests) figures.push(...(await rivals.measure(contest, quick ? 2 : 3)))
  return figures
}

/** Logs and queues on the path of an event: published, and handled. */
export const rivalsBrokers: BenchRow = { title: 'Beside logs and queues', run }
