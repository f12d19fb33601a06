import { join } from 'node:path'
import { z } from 'zod'
import { embedded } from '../../src/embedded/index.ts'
import { app, saga, step } from '../../src/index.ts'
import type { BenchRow, Figure, RowSettings } from '../row.ts'
import { alternate, percentile } from '../statistics.ts'
import { SyncLoop } from '../sync-loop.ts'

const order = z.object({ orderId: z.string(), total: z.number() })
type Order = z.infer<typeof order>

/** Both steps can be undone, so each is known to the disk before it begins. */
const checkout = saga(
  'checkout',
  {
    start: order,
    steps: {
      reserve: step({ run: ({ orderId }: Order) => ({ reservation: `r-${orderId}` }), undo: () => undefined }),
      charge: step({ run: ({ total }: Order) => ({ receipt: `c-${total}` }), undo: () => undefined }),
    },
  },
  async (scope, input) => {
    const { reservation } = await scope.step('reserve', input)
    const { receipt } = await scope.step('charge', input)
    return { reservation, receipt }
  },
)
const bench = app('bench', { sagas: [checkout] })

/** Commits that nobody can avoid: the start, before the first step, between the two, and the end. */
const syncsEach = 4
const bytesEach = 2000

interface Round {
  readonly rate: number
  readonly latenciesMs: readonly number[]
}

async function round(path: string, concurrent: number, count: number): Promise<Round> {
  await using running = await bench.start({ engine: embedded({ path }) })
  const client = running.saga(checkout)
  const latenciesMs: number[] = []
  let next = 0
  const work = async (): Promise<void> => {
    while (next < count) {
      const orderId = `o${next++}`
      const startMs = performance.now()
      await client.run(orderId, { orderId, total: next })
      latenciesMs.push(performance.now() - startMs)
    }
  }
  const startMs = performance.now()
  await Promise.all(Array.from({ length: concurrent }, work))
  return { rate: (count * 1000) / (performance.now() - startMs), latenciesMs }
}

async function run({ quick, folder }: RowSettings): Promise<readonly Figure[]> {
  using loop = new SyncLoop(folder)
  const figures: Figure[] = []
  for (const concurrent of [1, 16, 64]) {
    const count = (quick ? 500 : 2000) * (concurrent === 1 ? 1 : 4)
    const latenciesMs: number[] = []
    const found = await alternate(quick ? 2 : 3, {
      sagas: async (turn) => {
        const result = await round(join(folder, `sagas-${concurrent}-${turn}.db`), concurrent, count)
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
