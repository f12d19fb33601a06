// NATS JetStream: one stream and one durable consumer. node nats.mjs <port> <user> <password> <port of what it tells of itself>
import { jetstream, jetstreamManager } from '@nats-io/jetstream'
import { connect } from '@nats-io/transport-node'
import { Awaited, answerTasks, Countdown, fill, orderOf, rateOf, repeated } from './tasks.mjs'

const [port, user, pass, monitorPort] = process.argv.slice(2)
const connection = await connect({ servers: `127.0.0.1:${port}`, user, pass })
const manager = await jetstreamManager(connection)
const client = jetstream(connection)
let streams = 0

async function freshStream(name = `orders-${process.pid}-${streams++}`) {
  await manager.streams.add({ name, subjects: [name] })
  return name
}

async function consume(name, handle) {
  await manager.consumers.add(name, { durable_name: 'bench', ack_policy: 'explicit', max_ack_pending: 10_000 })
  const consumer = await client.consumers.get(name, 'bench')
  return await consumer.consume({
    max_messages: 1000,
    callback: (message) => {
      handle(message.json())
      message.ack()
    },
  })
}

const publish = (name, n) => client.publish(name, JSON.stringify(orderOf(n)))

answerTasks(
  {
    async settings() {
      const told = await (await fetch(`http://127.0.0.1:${monitorPort}/varz`)).json()
      const { sync_always: always, sync_interval: intervalNs } = told.jetstream.config
      const { storage } = (await manager.streams.info(await freshStream())).config
      return { sync_interval: always ? 'always' : `${intervalNs / 1e9} s`, storage }
    },
    async hold({ count, inFlight }) {
      const name = await freshStream('held')
      await fill(count, (n) => publish(name, n), inFlight)
    },
    first: () => publish('held', 0).then(() => undefined),
    async publish(settings) {
      const name = await freshStream()
      return await repeated(settings, (n) => publish(name, n))
    },
    async handled(settings) {
      const name = await freshStream()
      const awaited = new Awaited()
      const messages = await consume(name, ({ orderId }) => awaited.tell(orderId))
      const figures = await repeated(settings, (n) => awaited.handled(orderOf(n).orderId, () => publish(name, n)))
      await messages.close()
      return figures
    },
    async consume({ count }) {
      const name = await freshStream()
      await fill(count, (n) => publish(name, n))
      const left = new Countdown(count)
      let messages
      const figures = await rateOf(count, async () => {
        messages = await consume(name, () => left.count())
        await left.done
        await connection.flush()
      })
      await messages.close()
      return figures
    },
  },
  () => connection.close(),
)
