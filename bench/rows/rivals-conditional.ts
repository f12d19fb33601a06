import { conditionalAppenders } from '../contenders.ts'
import { type Contest, Rivals } from '../rivals.ts'
import type { BenchRow, Figure, RowSettings } from '../row.ts'

function notes(name: string): readonly string[] {
  if (name.startsWith('Millrace')) return ['also keeps streams with versions, ids, and a global order without holes']
  if (name.endsWith('one lock')) return ['takes any condition; each append waits for the commit of the one before it']
  return ['takes conditions that name a tag, not such as name types only; positions may become visible out of order']
}

async function run({ quick, folder }: RowSettings): Promise<readonly Figure[]> {
  await using rivals = await Rivals.open(folder, conditionalAppenders)
  const seconds = quick ? 1 : 4
  const contest = { task: 'conditional', notes } as const
  const contests: readonly Contest[] = [
    {
      ...contest,
      what: 'append under a condition, one at a time, p50',
      unit: 'ms',
      settings: () => ({ inFlight: 1, seconds }),
      counts: 'latency',
    },
    {
      ...contest,
      what: 'append under a condition, 64 in flight',
      unit: 'appends/s',
      settings: () => ({ inFlight: 64, seconds }),
    },
  ]
  const figures: Figure[] = []
  for (const one of contests) figures.push(...(await rivals.measure(one, quick ? 2 : 3)))
  return figures
}

/** Appends of one event with two tags, if nothing with the first of them came since the last one: https://dcb.events. */
export const rivalsConditional: BenchRow = { title: 'Beside conditional appends written by hand', run }
