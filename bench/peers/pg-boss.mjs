// pg-boss, on PostgreSQL. node pg-boss.mjs <database URL>
import { PgBoss } from 'pg-boss'
import { Awaited, answerTasks, Countdown, fill, orderOf, postgresSettings, rateOf, repeated } from './tasks.mjs'

const [url] = process.argv.slice(2)
const boss = new PgBoss({
  connectionString: url,
  max: 20,
  schedule: false,
  supervise: false,
  useListenNotify: true,
})
boss.on('error', (error) => process.stderr.write(`pg-boss: ${error.message}\n`))
await boss.start()
let queues = 0

/** @param notify Wakes who works the moment that a job is there: each commit of a job then waits for its turn to tell it. */
async function freshQueue({ name = `orders-${process.pid}-${queues++}`, notify = false } = {}) {
  await boss.createQueue(name, { notify })
  const consume = (handle) =>
    // Where nobody wakes it, it looks as often as it lets anybody ask for, and at once while there is more.
    boss.work(
      name,
      { batchSize: 500, pollingIntervalSeconds: 0.5, burstWhenBatchFull: true, localConcurrency: 4 },
      async (jobs) => {
        for (const { data } of jobs) handle(data)
      },
    )
  return { name, publish: (n) => boss.send(name, orderOf(n)), consume }
}

answerTasks(
  {
    settings: () => postgresSettings(url),
    async hold({ count, inFlight }) {
      const { publish } = await freshQueue({ name: 'held' })
      await fill(count, publish, inFlight)
    },
    first: () => boss.send('held', orderOf(0)).then(() => undefined),
    async publish(settings) {
      const { publish } = await freshQueue()
      return await repeated(settings, publish)
    },
    async handled(settings) {
      const { name, publish, consume } = await freshQueue({ notify: true })
      const awaited = new Awaited()
      await consume(({ orderId }) => awaited.tell(orderId))
      const figures = await repeated(settings, (n) => awaited.handled(orderOf(n).orderId, () => publish(n)))
      await boss.offWork(name)
      return figures
    },
    async consume({ count }) {
      const { name, consume } = await freshQueue()
      const size = 1000
      for (let from = 0; from < count; from += size) {
        const jobs = Array.from({ length: Math.min(size, count - from) }, (_, n) => ({ data: orderOf(from + n) }))
        await boss.insert(name, jobs)
      }
      const left = new Countdown(count)
      const figures = await rateOf(count, async () => {
        await consume(() => left.count())
        await left.done
      })
      await boss.offWork(name)
      return figures
    },
  },
  () => boss.stop({ graceful: false }),
)
