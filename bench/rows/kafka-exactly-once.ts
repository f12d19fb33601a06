import { join } from 'node:path'
import { embedded } from '../../src/embedded/index.ts'
import { deployment } from '../../src/index.ts'
import { kafka } from '../../src/kafka/index.ts'
import { type OrderData, orderMessages, partitionCount } from '../events.ts'
import { kafkaGround } from '../kafka-ground.ts'
import { GroupLoop } from '../kafka-loop.ts'
import { inFlight, inTurn, ordersTopic, piecesOf } from '../publishing.ts'
import type { BenchRow, Figure, RowSettings } from '../row.ts'
import { alternate, rateOf } from '../statistics.ts'
import { OrderTaken, takenOf, taking } from '../taking.ts'

const batch = 500

/** The same event as {@link OrderTaken} makes, by hand. */
function byHand(text: string): { key: string; value: string; headers: Record<string, string> } {
  const data = takenOf(JSON.parse(text) as OrderData)
  const id = crypto.randomUUID()
  return {
    key: data.orderId,
    value: JSON.stringify(data),
    headers: {
      'content-type': 'application/json',
      ce_specversion: '1.0',
      ce_type: 'OrderTaken',
      ce_source: 'millrace',
      ce_id: id,
      ce_time: new Date().toISOString(),
      ce_partitionkey: data.orderId,
      ce_correlationid: id,
    },
  }
}

async function run({ quick, folder }: RowSettings): Promise<readonly Figure[]> {
  const count = quick ? 20_000 : 100_000
  await using ground = await kafkaGround()
  const { engine, bare, brokers } = ground
  const from = ground.name('placed')
  const to = ground.name('taken')
  for (const topic of [from, to]) await engine.topics.create(topic, { partitions: partitionCount })
  const next = inTurn(piecesOf(orderMessages(20_000), batch))
  await inFlight({ commits: count / batch, inFlight: 16 }, () =>
    engine.commit({ publish: [{ topic: from, messages: next() }] }),
  )
  const found = await alternate(quick ? 2 : 3, {
    engine: async () => {
      const handle = ({ data }: { readonly data?: unknown }) => OrderTaken(takenOf(data as OrderData))
      await using loop = await GroupLoop.join(engine, { group: ground.name('taking'), from, to, batch, handle })
      await loop.holds(partitionCount)
      return await rateOf(count, () => loop.handle(count))
    },
    app: async (round) => {
      const topics = kafka({ brokers, prefix: `${ground.prefix}app-${round}.` })
      await using source = await deployment({
        topics,
        store: embedded({ path: join(folder, `store-${round}.db`) }),
      }).open()
      await source.topics.create(ordersTopic, { partitions: partitionCount })
      await inFlight({ commits: count / batch, inFlight: 16 }, () =>
        source.commit({ publish: [{ topic: ordersTopic, messages: next() }] }),
      )
      return await rateOf(count, async () => {
        await using running = await taking.start({ engine: source })
        await running.idle()
      })
    },
    bare: () => bare.exactlyOnce(from, to, { count, batch }, byHand),
  })
  const limit = { what: 'transactions by hand with @platformatic/kafka, the same batch', value: found.bare }
  return [
    {
      what: `consume, handle, publish: engine, batches of ${batch}`,
      value: found.engine,
      unit: 'messages/s',
      limit,
      target: { of: 'ratio', atLeast: 0.5 },
      notes: ['offsets and publications are one transaction of Kafka'],
    },
    {
      what: 'the same as an app, topics in Kafka, store in a file',
      value: found.app,
      unit: 'messages/s',
      limit,
      target: { of: 'ratio', atLeast: 0.5 },
      notes: ['from start() to idle(); published events go through the outbox of the store'],
    },
  ]
}

/** Exactly-once work between topics of Kafka. */
export const kafkaExactlyOnce: BenchRow = { title: 'Consume, handle, publish', run }
