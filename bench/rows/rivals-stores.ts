import { emmettOnSqlite, stores } from '../contenders.ts'
import { type Contest, Rivals } from '../rivals.ts'
import type { BenchRow, Figure, RowSettings } from '../row.ts'

async function run({ quick, folder }: RowSettings): Promise<readonly Figure[]> {
  await using rivals = await Rivals.open(folder, stores)
  const seconds = quick ? 1 : 4
  const contests: readonly Contest[] = [
    {
      what: 'append with the expected version, one at a time, p50',
      unit: 'ms',
      task: 'append',
      settings: () => ({ inFlight: 1, seconds }),
      counts: 'latency',
    },
    {
      what: 'append with the expected version, 64 streams',
      unit: 'events/s',
      task: 'append',
      settings: () => ({ inFlight: 64, seconds }),
    },
    {
      what: 'read a stream of 1,000',
      unit: 'events/s',
      task: 'read',
      settings: () => ({ count: 1000, times: quick ? 20 : 100 }),
      notes: (name) => (name.startsWith('Emmett') ? [emmettOnSqlite] : []),
    },
  ]
  const figures: Figure[] = []
  for (const contest of contests) figures.push(...(await rivals.measure(contest, quick ? 2 : 3)))
  return figures
}

/** Event stores that keep streams. */
export const rivalsStores: BenchRow = { title: 'Beside event stores', run }
