import {
  Consumer,
  type Message as KafkaMessage,
  MessagesStreamModes,
  ProduceAcks,
  Producer,
  stringDeserializers,
  stringSerializers,
} from '@platformatic/kafka'
import type { Message } from '../src/message/index.ts'
import { inFlight } from './publishing.ts'

type TextProducer = Producer<string, string, string, string>
type TextConsumer = Consumer<string, string, string, string>
type Received = KafkaMessage<string, string, string, string>

/** A record as the client takes it. */
export interface BareRecord {
  readonly key: string
  readonly value: string
  readonly headers: Record<string, string>
}

/** What a program would write with the client library alone: its producer, its stream, its transactions. */
export class BareKafka {
  readonly #base: { readonly clientId: string; readonly bootstrapBrokers: string[] }
  readonly #prefix: string
  #names = 0
  readonly #open: { close(force: boolean): Promise<void> }[] = []
  #producer: TextProducer | undefined

  /** @param prefix Names of topics and groups begin with it. */
  constructor(brokers: readonly string[], prefix: string) {
    this.#prefix = prefix
    this.#base = { clientId: 'bare', bootstrapBrokers: [...brokers] }
  }

  /** Publishes batches, some at a time; each call is answered when all replicas have its records. */
  async publish(
    topic: string,
    options: { readonly commits: number; readonly inFlight: number },
    next: () => readonly Message[],
  ): Promise<void> {
    this.#producer ??= this.#kept(
      new Producer({ ...this.#base, serializers: stringSerializers, maxInflights: options.inFlight }),
    )
    const producer = this.#producer
    const name = this.#prefix + topic
    await inFlight(options, () =>
      producer.send({ acks: ProduceAcks.ALL, messages: next().map((message) => recordOf(name, message)) }),
    )
  }

  /** Reads and decodes a topic from its beginning, with a group of its own. Answers the rate, joining left out. */
  async consume(topic: string, count: number, see: (data: unknown) => void): Promise<number> {
    const consumer = await this.#consumer(topic)
    const startMs = performance.now()
    const topics = [this.#prefix + topic]
    const stream = await consumer.consume({ topics, mode: MessagesStreamModes.EARLIEST, autocommit: false })
    let seen = 0
    for await (const { value } of stream) {
      see(JSON.parse(value))
      if (++seen === count) break
    }
    const rate = (count * 1000) / (performance.now() - startMs)
    await this.#done(consumer)
    return rate
  }

  /** Reads batches, handles them, and makes what comes of each and its offsets real in one transaction. Answers the rate. */
  async exactlyOnce(
    from: string,
    to: string,
    sizes: { readonly count: number; readonly batch: number },
    handle: (value: string) => BareRecord,
  ): Promise<number> {
    const consumer = await this.#consumer(from)
    const transactionalId = `${this.#prefix}${this.#names++}`
    const producer: TextProducer = this.#kept(
      new Producer({ ...this.#base, serializers: stringSerializers, idempotent: true, transactionalId, retryDelay: 2 }),
    )
    const startMs = performance.now()
    const topics = [this.#prefix + from]
    const topic = this.#prefix + to
    const { EARLIEST } = MessagesStreamModes
    const stream = await consumer.consume({ topics, mode: EARLIEST, autocommit: false })
    let batch: Received[] = []
    let done = 0
    for await (const message of stream) {
      batch.push(message)
      if (batch.length < sizes.batch && done + batch.length < sizes.count) continue
      const transaction = await producer.beginTransaction()
      await transaction.addConsumer(consumer)
      await transaction.send({ messages: batch.map(({ value }) => ({ topic, ...handle(value) })) })
      // One after the other: the client takes several at once for one and the same.
      for (const last of lastOfEach(batch)) await transaction.addOffset(last)
      await transaction.commit()
      done += batch.length
      batch = []
      if (done === sizes.count) break
    }
    const rate = (sizes.count * 1000) / (performance.now() - startMs)
    await this.#done(consumer)
    await this.#done(producer)
    return rate
  }

  async close(): Promise<void> {
    for (const one of this.#open.splice(0)) await one.close(true)
  }

  async #consumer(topic: string): Promise<TextConsumer> {
    const groupId = `${this.#prefix}bare-${this.#names++}`
    const consumer: TextConsumer = this.#kept(
      new Consumer({ ...this.#base, groupId, deserializers: stringDeserializers }),
    )
    consumer.topics.trackAll(this.#prefix + topic)
    await consumer.joinGroup()
    return consumer
  }

  #kept<One extends object>(one: One): One {
    this.#open.push(one as never)
    return one
  }

  async #done(one: object): Promise<void> {
    const at = this.#open.indexOf(one as never)
    const [found] = this.#open.splice(at, 1)
    await found?.close(true)
  }
}

/** The record that the engine makes of a message: CloudEvents in binary mode, whose attributes are headers. */
function recordOf(topic: string, message: Message): BareRecord & { readonly topic: string } {
  const { data, datacontenttype, ...attributes } = message
  const headers: Record<string, string> = { 'content-type': datacontenttype }
  for (const [name, value] of Object.entries(attributes)) headers[`ce_${name}`] = String(value)
  return { topic, key: message.partitionkey ?? '', value: JSON.stringify(data), headers }
}

function lastOfEach(batch: readonly Received[]): readonly Received[] {
  return [...new Map(batch.map((one) => [one.partition, one])).values()]
}
