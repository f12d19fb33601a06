import { z } from 'zod'
import { embedded } from '../src/embedded/index.ts'
import { app, saga, step } from '../src/index.ts'
import type { PeerRound } from './peer.ts'

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

/** Runs so many sagas of two steps on a fresh file, so many at once, each awaited to its end. */
export async function sagaRound(path: string, concurrent: number, count: number): Promise<PeerRound> {
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
