import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { embedded } from '../../src/embedded/index.ts'
import { type App, app, on, service, set } from '../../src/index.ts'
import { channels } from '../../src/telemetry/index.ts'
import { eventBytes, OrderPlaced, orderDataOf } from '../events.ts'
import type { BenchRow, Figure, Limit, RowSettings } from '../row.ts'
import { percentile } from '../statistics.ts'
import { SyncLoop } from '../sync-loop.ts'

/** Long enough that nothing of the last event is still under way. */
const pauseMs = 4

/** What it takes from a publish to the commit of its handler, and to its own acknowledgement. */
interface Waits {
  readonly publishMs: readonly number[]
  readonly handledMs: readonly number[]
  readonly syncMs: readonly number[]
}

/** An app whose one handler counts, with state: `early` or after the message is durable. */
function countingApp(early: boolean): App {
  const state = { initial: { count: 0 } }
  return app('bench', {
    services: [
      service('counting', [
        on(OrderPlaced, { name: 'count', early, state }, (_order, { count }) => set({ count: count + 1 })),
      ]),
    ],
  })
}

async function waitsOf(program: App, path: string, loop: SyncLoop, count: number): Promise<Waits> {
  await using engine = await embedded({ path }).open()
  await using running = await program.start({ engine })
  let committed: () => void = () => undefined
  const listener = (report: { readonly messageCount: number }): void => {
    if (report.messageCount > 0) committed()
  }
  channels.committed.subscribe(listener)
  const waits = { publishMs: [] as number[], handledMs: [] as number[], syncMs: [] as number[] }
  for (let i = 0; i < count; i++) {
    const message = OrderPlaced(orderDataOf(i))
    await sleep(pauseMs)
    waits.syncMs.push(loop.timedMs(eventBytes(message)))
    await sleep(pauseMs)
    const startMs = performance.now()
    const handled = new Promise<void>((resolve) => {
      committed = () => {
        waits.handledMs.push(performance.now() - startMs)
        resolve()
      }
    })
    await running.publish(message)
    waits.publishMs.push(performance.now() - startMs)
    await handled
  }
  channels.committed.unsubscribe(listener)
  return waits
}

async function run({ quick, folder }: RowSettings): Promise<readonly Figure[]> {
  const count = quick ? 300 : 2000
  using loop = new SyncLoop(folder)
  const warm = Math.floor(count / 10)
  const at = (values: readonly number[], rank: number): number => percentile(values.slice(warm), rank)
  const early = await waitsOf(countingApp(true), join(folder, 'early.db'), loop, count)
  const late = await waitsOf(countingApp(false), join(folder, 'late.db'), loop, count)
  const limitOf = ({ syncMs }: Waits): Limit => ({ what: 'ms write+fdatasync of one event', value: at(syncMs, 0.5) })
  return [
    {
      what: "publish to the handler's durable commit, p50",
      value: at(early.handledMs, 0.5),
      unit: 'ms',
      limit: limitOf(early),
      target: { of: 'ratio', atMost: 3 },
      notes: ['a view, or a handler that takes messages early: one sync for the event and its effects'],
    },
    { what: "publish to the handler's durable commit, p99", value: at(early.handledMs, 0.99), unit: 'ms' },
    {
      what: '  the same, of a handler that takes them when they are durable, p50',
      value: at(late.handledMs, 0.5),
      unit: 'ms',
      limit: limitOf(late),
      notes: ['two syncs, one after the other: that of the event and that of the commit'],
    },
    { what: 'publish alone, p50', value: at(late.publishMs, 0.5), unit: 'ms', limit: limitOf(late) },
  ]
}

/** What one event costs when nothing else goes on. */
export const idleLatency: BenchRow = { title: 'Idle latency', run }
