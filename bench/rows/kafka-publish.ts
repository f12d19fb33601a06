import { orderMessages, partitionCount } from '../events.ts'
import { kafkaGround } from '../kafka-ground.ts'
import { inFlight, inTurn, piecesOf } from '../publishing.ts'
import type { BenchRow, Figure, RowSettings } from '../row.ts'
import { see } from '../see.ts'
import { alternate, rateOf } from '../statistics.ts'

const callers = 16
const batch = 100

async function run({ quick }: RowSettings): Promise<readonly Figure[]> {
  const eventCount = quick ? 20_000 : 200_000
  await using ground = await kafkaGround()
  const { engine, bare } = ground
  const own = ground.name('publish')
  const foreign = ground.name('bare')
  for (const topic of [own, foreign]) await engine.topics.create(topic, { partitions: partitionCount })
  const next = inTurn(piecesOf(orderMessages(20_000), batch))
  const sizes = { commits: eventCount / batch, inFlight: callers }
  const publish = (topic: string): Promise<void> =>
    inFlight(sizes, () => engine.commit({ publish: [{ topic, messages: next() }] }))
  const bareSend = (): Promise<void> => bare.publish(foreign, sizes, next)
  await publish(own)
  await bareSend()
  const found = await alternate(quick ? 3 : 5, {
    publish: () => rateOf(eventCount, () => publish(own)),
    bare: () => rateOf(eventCount, bareSend),
  })
  const whole = ground.name('whole')
  await engine.topics.create(whole, { partitions: partitionCount })
  await publish(whole)
  const read = await alternate(3, {
    read: () =>
      rateOf(eventCount, async () => {
        const counts = await Promise.all(Array.from({ length: partitionCount }, (_, n) => readAll(n)))
        const count = counts.reduce((sum, one) => sum + one, 0)
        if (count !== eventCount) throw new Error(`${count} records were read, not ${eventCount}`)
      }),
    bare: () => bare.consume(whole, eventCount, (data) => see((data as { readonly quantity: number }).quantity)),
  })
  return [
    {
      what: `publish, batches of ${batch}, ${callers} in flight`,
      value: found.publish,
      unit: 'events/s',
      limit: { what: '@platformatic/kafka, acks of all replicas', value: found.bare },
      target: { of: 'ratio', atLeast: 0.7 },
    },
    {
      what: 'consume and decode',
      value: read.read,
      unit: 'events/s',
      limit: { what: 'its stream and JSON.parse', value: read.bare },
      target: { of: 'ratio', atLeast: 0.7 },
    },
  ]

  async function readAll(partition: number): Promise<number> {
    let count = 0
    for (let offset = 0; ; ) {
      const page = await engine.topics.read({ topic: whole, partition, offset })
      for (const record of page.records) {
        if (record.kind === 'message') see((record.message.data as { readonly quantity: number }).quantity)
      }
      count += page.records.length
      offset = page.nextOffset
      if (offset >= page.latest) return count
    }
  }
}

/** Topics in Kafka beside the bare client. */
export const kafkaPublish: BenchRow = { title: 'Publish and consume', run }
