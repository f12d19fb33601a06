import { join } from 'node:path'
import type { BenchRow, Figure, RowSettings } from '../row.ts'
import { sagaRound } from '../sagas.ts'
import { alternate, percentile } from '../statistics.ts'
import { SyncLoop } from '../sync-loop.ts'

/** Commits that nobody can avoid: the start, before the first step, between the two, and the end. */
const syncsEach = 4
const bytesEach = 2000

async function run({ quick, folder }: RowSettings): Promise<readonly Figure[]> {
  using loop = new SyncLoop(folder)
  const figures: Figure[] = []
  for (const concurrent of [1, 16, 64]) {
    const count = (quick ? 500 : 2000) * (concurrent === 1 ? 1 : 4)
    const latenciesMs: number[] = []
    const found = await alternate(quick ? 2 : 3, {
      sagas: async (turn) => {
        const result = await sagaRound(join(folder, `sagas-${concurrent}-${turn}.db`), 'undoable', concurrent, count)
        latenciesMs.push(...result.latenciesMs)
        return result.rate
      },
      least: () => {
        const startMs = performance.now()
        const groups = Math.ceil((count * syncsEach) / concurrent)
        const bytes = Buffer.alloc((bytesEach * concurrent) / syncsEach)
        for (let group = 0; group < groups; group++) loop.write(bytes)
        return (count * 1000) / (performance.now() - startMs)
      },
    })
    figures.push({
      what: `${concurrent} at once`,
      value: found.sagas,
      unit: 'sagas/s',
      limit: { what: `${syncsEach} writes with fdatasync each, shared by ${concurrent}`, value: found.least },
      notes: [
        `from start to result: p50 ${percentile(latenciesMs, 0.5).toFixed(2)} ms, p99 ${percentile(latenciesMs, 0.99).toFixed(2)} ms`,
      ],
    })
  }
  return figures
}

/** Sagas of two steps that can be undone, each instance awaited to its end. */
export const sagaThroughput: BenchRow = { title: 'Sagas of two steps, each awaited to its end', run }
