// RabbitMQ: a quorum queue with publisher confirms. node rabbitmq.mjs <url>
import { connect } from 'amqplib'
import { Awaited, answerTasks, Countdown, fill, orderOf, rateOf, repeated } from './tasks.mjs'

const connection = await connect(process.argv[2], { noDelay: true })
let queues = 0

async function freshQueue() {
  const channel = await connection.createConfirmChannel()
  const queue = `orders-${process.pid}-${queues++}`
  await channel.assertQueue(queue, { durable: true, arguments: { 'x-queue-type': 'quorum' } })
  const publish = (n) =>
    new Promise((resolve, reject) => {
      const told = (error) => (error ? reject(error) : resolve())
      channel.sendToQueue(queue, Buffer.from(JSON.stringify(orderOf(n))), { persistent: true }, told)
    })
  const consume = async (handle) => {
    const reader = await connection.createChannel()
    await reader.prefetch(1000)
    await reader.consume(queue, (message) => {
      handle(JSON.parse(message.content))
      reader.ack(message)
    })
    return reader
  }
  return { publish, consume }
}

answerTasks(
  {
    async publish(settings) {
      const { publish } = await freshQueue()
      return await repeated(settings, publish)
    },
    async handled(settings) {
      const { publish, consume } = await freshQueue()
      const awaited = new Awaited()
      const reader = await consume(({ orderId }) => awaited.tell(orderId))
      const figures = await repeated(settings, (n) => awaited.handled(orderOf(n).orderId, () => publish(n)))
      await reader.close()
      return figures
    },
    async consume({ count }) {
      const { publish, consume } = await freshQueue()
      await fill(count, publish)
      const left = new Countdown(count)
      let reader
      const figures = await rateOf(count, async () => {
        reader = await consume(() => left.count())
        await left.done
      })
      await reader.close()
      return figures
    },
  },
  () => connection.close(),
)
