// Kafka, by @platformatic/kafka, which Millrace uses as well. node kafka.mjs <broker> <flush.messages or "">
import {
  Admin,
  ConfigResourceTypes,
  Consumer,
  Producer,
  stringDeserializers,
  stringSerializers,
} from '@platformatic/kafka'
import { Awaited, answerTasks, Countdown, fill, orderOf, rateOf, repeated } from './tasks.mjs'

const [broker, flushMessages] = process.argv.slice(2)
const base = { clientId: 'bench', bootstrapBrokers: [broker], retries: 10 }
const admin = new Admin(base)
const producer = new Producer({ ...base, serializers: stringSerializers, idempotent: true, acks: -1 })
let topics = 0

async function freshTopic(topic = `orders-${process.pid}-${topics++}`) {
  const configs = flushMessages ? [{ name: 'flush.messages', value: flushMessages }] : []
  await admin.createTopics({ topics: [topic], partitions: 4, replicas: 1, configs })
  return topic
}

const recordOf = (topic, n) => ({ topic, key: `customer-${n % 1000}`, value: JSON.stringify(orderOf(n)) })
const send = (messages) => producer.send({ messages, acks: -1 })

/** A topic whose partitions are led: what comes earlier may be refused, and is sent again only a second later. */
async function ledTopic() {
  const topic = await freshTopic()
  await send(Array.from({ length: 64 }, (_, n) => recordOf(topic, -1 - n)))
  return topic
}

/** As many as an idempotent producer may have on their way (`max.in.flight.requests.per.connection`). */
const requestsMax = 5

/** What waits while requests are on their way is the next one, as producers of Kafka do it (`linger.ms=0`). */
function batching(topic) {
  let waiting = []
  let requests = 0
  const request = async (batch) => {
    requests++
    try {
      await send(batch.map(({ n }) => recordOf(topic, n)))
      for (const { resolve } of batch) resolve()
    } catch (error) {
      for (const { reject } of batch) reject(error)
    }
    requests--
    await flush()
  }
  const flush = async () => {
    if (requests >= requestsMax || waiting.length === 0) return
    const batch = waiting
    waiting = []
    await request(batch)
  }
  return (n) =>
    new Promise((resolve, reject) => {
      waiting.push({ n, resolve, reject })
      // Whoever publishes many at once has them in one request.
      if (waiting.length === 1) queueMicrotask(() => void flush())
    })
}

async function consume(topic, handle) {
  const consumer = new Consumer({ ...base, groupId: `g-${topic}`, deserializers: stringDeserializers, autocommit: 100 })
  const stream = await consumer.consume({ topics: [topic], mode: 'earliest', maxWaitTime: 10, autocommit: 100 })
  stream.on('data', ({ value }) => handle(JSON.parse(value)))
  return () => consumer.close(true)
}

answerTasks(
  {
    async settings() {
      const resource = { resourceType: ConfigResourceTypes.TOPIC, resourceName: await freshTopic() }
      const configurationKeys = ['flush.messages', 'flush.ms']
      const [{ configs }] = await admin.describeConfigs({ resources: [{ ...resource, configurationKeys }] })
      return Object.fromEntries(configs.map(({ name, value }) => [name, value]))
    },
    async hold({ count, inFlight }) {
      await fill(count, batching(await freshTopic('held')), inFlight)
    },
    first: () => batching('held')(0),
    async publish(settings) {
      return await repeated(settings, batching(await ledTopic()))
    },
    async handled(settings) {
      const topic = await ledTopic()
      const publish = batching(topic)
      const awaited = new Awaited()
      const stop = await consume(topic, ({ orderId }) => awaited.tell(orderId))
      const figures = await repeated(settings, (n) => awaited.handled(orderOf(n).orderId, () => publish(n)))
      await stop()
      return figures
    },
    async consume({ count }) {
      const topic = await freshTopic()
      await fill(count, batching(topic))
      const left = new Countdown(count)
      let stop
      const figures = await rateOf(count, async () => {
        stop = await consume(topic, () => left.count())
        await left.done
      })
      await stop()
      return figures
    },
  },
  async () => {
    await producer.close(true)
    await admin.close()
  },
)
