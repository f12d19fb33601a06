// Redis Streams: one stream and one consumer group. node redis-streams.mjs <url>
import { Redis } from 'ioredis'
import { Awaited, answerTasks, Countdown, fill, orderOf, rateOf, redisSettings, repeated } from './tasks.mjs'

const [url] = process.argv.slice(2)
const client = new Redis(url)
let streams = 0

const publish = (name, n) => client.xadd(name, '*', 'order', JSON.stringify(orderOf(n)))

/** Reads in a loop, on a connection of its own, which blocks. */
async function consume(name, handle) {
  await client.xgroup('CREATE', name, 'bench', '0', 'MKSTREAM')
  const reader = client.duplicate()
  let isOver = false
  const loop = (async () => {
    while (!isOver) {
      const found = await reader.xreadgroup('GROUP', 'bench', 'one', 'COUNT', 500, 'BLOCK', 100, 'STREAMS', name, '>')
      const [[, entries]] = found ?? [[name, []]]
      if (entries.length === 0) continue
      for (const [, [, order]] of entries) handle(JSON.parse(order))
      await reader.xack(name, 'bench', ...entries.map(([id]) => id))
    }
  })()
  return async () => {
    isOver = true
    await loop
    reader.disconnect()
  }
}

answerTasks(
  {
    settings: () => redisSettings(client),
    hold: ({ count, inFlight }) => fill(count, (n) => publish('held', n), inFlight),
    first: () => publish('held', 0).then(() => undefined),
    async publish(settings) {
      const name = `orders-${process.pid}-${streams++}`
      return await repeated(settings, (n) => publish(name, n))
    },
    async handled(settings) {
      const name = `orders-${process.pid}-${streams++}`
      const awaited = new Awaited()
      const stop = await consume(name, ({ orderId }) => awaited.tell(orderId))
      const figures = await repeated(settings, (n) => awaited.handled(orderOf(n).orderId, () => publish(name, n)))
      await stop()
      return figures
    },
    async consume({ count }) {
      const name = `orders-${process.pid}-${streams++}`
      await fill(count, (n) => publish(name, n))
      const left = new Countdown(count)
      let stop
      const figures = await rateOf(count, async () => {
        stop = await consume(name, () => left.count())
        await left.done
      })
      await stop()
      return figures
    },
  },
  () => client.disconnect(),
)
