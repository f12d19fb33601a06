// BullMQ, on Redis. node bullmq.mjs <url>
import { Queue, Worker } from 'bullmq'
import { Redis } from 'ioredis'
import { Awaited, answerTasks, Countdown, fill, orderOf, rateOf, redisSettings, repeated } from './tasks.mjs'

const connection = new Redis(process.argv[2], { maxRetriesPerRequest: null })
const concurrency = 64
let queues = 0

function freshQueue(name = `orders-${process.pid}-${queues++}`) {
  const queue = new Queue(name, { connection, defaultJobOptions: { removeOnComplete: true } })
  const consume = async (handle) => {
    const worker = new Worker(name, async ({ data }) => handle(data), { connection, concurrency })
    await worker.waitUntilReady()
    return worker
  }
  return { queue, publish: (n) => queue.add('placed', orderOf(n)), consume }
}

answerTasks(
  {
    settings: () => redisSettings(connection),
    async hold({ count, inFlight }) {
      const { queue, publish } = freshQueue('held')
      await fill(count, publish, inFlight)
      await queue.close()
    },
    async first() {
      const { queue, publish } = freshQueue('held')
      await publish(0)
      await queue.close()
    },
    async publish(settings) {
      const { queue, publish } = freshQueue()
      const figures = await repeated(settings, publish)
      await queue.close()
      return figures
    },
    async handled(settings) {
      const { queue, publish, consume } = freshQueue()
      const awaited = new Awaited()
      const worker = await consume(({ orderId }) => awaited.tell(orderId))
      const figures = await repeated(settings, (n) => awaited.handled(orderOf(n).orderId, () => publish(n)))
      await worker.close()
      await queue.close()
      return figures
    },
    async consume({ count }) {
      const { queue, publish, consume } = freshQueue()
      await fill(count, publish)
      const left = new Countdown(count)
      let worker
      const figures = await rateOf(count, async () => {
        worker = await consume(() => left.count())
        await left.done
      })
      await worker.close()
      await queue.close()
      return figures
    },
  },
  () => connection.disconnect(),
)
