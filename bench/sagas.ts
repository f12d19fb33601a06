import { z } from 'zod'
import { embedded } from '../src/embedded/index.ts'
import { app, saga, step } from '../src/index.ts'
import type { PeerRound } from './peer.ts'

const order = z.object({ orderId: z.string(), total: z.number() })
type Order = z.infer<typeof order>

/** Whether both steps can be undone; if not, only outcomes are noted, as other systems do it. */
export type SagaKind = 'undoable' | 'plain'

const reserve = ({ orderId }: Order) => ({ reservation: `r-${orderId}` })
const charge = ({ total }: Order) => ({ receipt: `c-${total}` })

/** What is begun has to be known to the disk before, so that it can be undone: one commit more. */
const undoable = {
  reserve: step({ run: reserve, undo: () => undefined }),
  charge: step({ run: charge, undo: () => undefined }),
}

function checkout(name: string, steps: Pick<typeof undoable, 'reserve' | 'charge'>) {
  return saga(name, { start: order, steps }, async (scope, input) => {
    const { reservation } = await scope.step('reserve', input)
    const { receipt } = await scope.step('charge', input)
    return { reservation, receipt }
  })
}

const sagas = {
  undoable: checkout('undoable', undoable),
  plain: checkout('plain', { reserve: step({ run: reserve }), charge: step({ run: charge }) }),
}
const bench = app('bench', { sagas: [sagas.undoable, sagas.plain] })

/** Runs so many sagas of two steps on a fresh file, so many at once, each awaited to its end. */
export async function sagaRound(path: string, kind: SagaKind, concurrent: number, count: number): Promise<PeerRound> {
  await using running = await bench.start({ engine: embedded({ path }) })
  const client = running.saga(sagas[kind])
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
