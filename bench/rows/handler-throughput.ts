import { join } from 'node:path'
import { z } from 'zod'
import { embedded } from '../../src/embedded/index.ts'
import { app, event, on, publish, service, set } from '../../src/index.ts'
import { groupBytes, OrderPlaced, orderMessages, partitionCount } from '../events.ts'
import { inTurn, ordersTopic, piecesOf, publishInFlight } from '../publishing.ts'
import type { BenchRow, Figure, RowSettings } from '../row.ts'
import { see } from '../see.ts'
import { alternate, rateOf } from '../statistics.ts'
import { SyncLoop } from '../sync-loop.ts'

const keyCount = 10_000
const groupSize = 1024

const OrderCounted = event('OrderCounted', {
  topic: 'counted',
  data: z.object({ orderId: z.string(), count: z.number() }),
  key: (data) => data.orderId,
})

const counting = app('bench', {
  services: [
    service('counting', [
      on(OrderPlaced, { name: 'count', state: { initial: { count: 0 } } }, (order, state) => {
        const count = state.count + 1
        return [set({ count }), publish(OrderCounted({ orderId: order.data.orderId, count }))]
      }),
    ]),
  ],
})

async function run({ quick, folder }: RowSettings): Promise<readonly Figure[]> {
  const eventCount = quick ? 50_000 : 200_000
  const messages = orderMessages(keyCount, keyCount)
  const batches = piecesOf(messages, 500)
  using loop = new SyncLoop(folder)
  const outputs = messages.map(({ data }) => ({ orderId: data.orderId, count: 1 }))
  const texts = messages.map(({ data }) => JSON.stringify(data))
  const group = groupBytes(outputs.slice(0, groupSize).map((data) => OrderCounted(data)))
  const found = await alternate(quick ? 2 : 3, {
    handler: async (round) => {
      const path = join(folder, `handler-${round}.db`)
      {
        await using engine = await embedded({ path }).open()
        await engine.topics.create(ordersTopic, { partitions: partitionCount })
        await publishInFlight(engine, { commits: eventCount / 500, inFlight: 4 }, inTurn(batches))
      }
      // Opened anew, so that everything comes from the file.
      await using engine = await embedded({ path }).open()
      return await rateOf(eventCount, async () => {
        await using running = await counting.start({ engine })
        await running.idle()
      })
    },
    least: () =>
      rateOf(eventCount, () => {
        for (let i = 0; i < eventCount; i++) {
          const { orderId } = JSON.parse(texts[i % texts.length] as string) as { readonly orderId: string }
          see(JSON.stringify({ orderId, count: i }).length + JSON.stringify({ count: i }).length)
          if (i % groupSize === groupSize - 1) loop.write(group)
        }
      }),
  })
  return [
    {
      what: 'throughput',
      value: found.handler,
      unit: 'messages/s',
      limit: { what: 'JSON.parse+JSON.stringify of both+write+fdatasync', value: found.least },
      target: { of: 'value', atLeast: 60_000 },
      notes: [
        `from start() to idle(), catching up from the file; ${keyCount} keys; the published event is validated by its schema`,
      ],
    },
  ]
}

/** The main thing: read, handle, commit state, event and offset together. */
export const handlerThroughput: BenchRow = { title: 'Handler with state and one published event each', run }
