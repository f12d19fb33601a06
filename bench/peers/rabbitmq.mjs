// RabbitMQ: a quorum queue with publisher confirms. node rabbitmq.mjs <url>
import { connect } from 'amqplib'
import { Awaited, answerTasks, Countdown, fill, orderOf, rateOf, repeated } from './tasks.mjs'

const connection = await connect(process.argv[2], { noDelay: true })
let queues = 0

async function freshQueue(queue = `orders-${process.pid}-${queues++}`) {
  const channel = await connection.createConfirmChannel()
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
  return { queue, publish, consume }
}

/** Asks for the same queue as one of another type, which the server refuses with the type that it has. */
async function typeOf(queue) {
  const channel = await connection.createChannel()
  channel.on('error', () => undefined)
  const answer = channel.assertQueue(queue, { durable: true, arguments: { 'x-queue-type': 'classic' } })
  const { message } = await answer.then(
    () => ({ message: '' }),
    (error) => error,
  )
  return /current is '(\w+)'/.exec(message)?.[1] ?? `not told: ${message}`
}

answerTasks(
  {
    async settings() {
      const { queue } = await freshQueue()
      return { 'x-queue-type': await typeOf(queue) }
    },
    async hold({ count, inFlight }) {
      const { publish } = await freshQueue('held')
      await fill(count, publish, inFlight)
    },
    async first() {
      const { publish } = await freshQueue('held')
      await publish(0)
    },
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
