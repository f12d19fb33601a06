import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { embedded } from '../../src/embedded/index.ts'
import { app, on, service, set } from '../../src/index.ts'
import { channels } from '../../src/telemetry/index.ts'
import { eventBytes, OrderPlaced, orderDataOf } from '../events.ts'
import type { BenchRow, Figure, RowSettings } from '../row.ts'
import { percentile } from '../statistics.ts'
import { SyncLoop } from '../sync-loop.ts'

/** Long enough that nothing of the last event is still under way. */
const pauseMs = 4

async function run({ quick, folder }: RowSettings): Promise<readonly Figure[]> {
  const count = quick ? 300 : 2000
  const counting = app('bench', {
    services: [
      service('counting', [
        on(OrderPlaced, { name: 'count', early: process.env['EARLY']==='1', state: { initial: { count: 0 } } }, (_order, state) =>
          set({ count: state.count + 1 }),
        ),
      ]),
    ],
  })
  await using engine = await embedded({ path: join(folder, 'idle.db') }).open()
  await using running = await counting.start({ engine })
  using loop = new SyncLoop(folder)
  let committed: () => void = () => undefined
  channels.committed.subscribe((report) => {
    if (report.messageCount > 0) committed()
  })
  const publishMs: number[] = []
  const handledMs: number[] = []
  const syncMs: number[] = []
  for (let i = 0; i < count; i++) {
    const message = OrderPlaced(orderDataOf(i))
    await sleep(pauseMs)
    syncMs.push(loop.timedMs(eventBytes(message)))
    await sleep(pauseMs)
    const startMs = performance.now()
    const handled = new Promise<void>((resolve) => {
      committed = () => {
        handledMs.push(performance.now() - startMs)
        resolve()
      }
    })
    await running.publish(message)
    publishMs.push(performance.now() - startMs)
    await handled
  }
  const warm = Math.floor(count / 10)
  const p50 = (values: readonly number[]): number => percentile(values.slice(warm), 0.5)
  const limit = { what: 'ms write+fdatasync of one event', value: p50(syncMs) }
  return [
    {
      what: "publish to the handler's durable commit, p50",
      value: p50(handledMs),
      unit: 'ms',
      limit,
      target: { of: 'ratio', atMost: 3 },
      notes: ['two syncs, one after the other: that of the event and that of the commit'],
    },
    {
      what: "publish to the handler's durable commit, p99",
      value: percentile(handledMs.slice(warm), 0.99),
      unit: 'ms',
    },
    { what: 'publish alone, p50', value: p50(publishMs), unit: 'ms', limit },
  ]
}

/** What one event costs when nothing else goes on. */
export const idleLatency: BenchRow = { title: 'Idle latency', run }
