import { z } from 'zod'
import { type EventDefinition, event, type Message } from '../src/message/index.ts'
import { partitionFor, RecordBatchBuilder } from '../src/record/index.ts'

/** Size of the JSON of each event's data, in bytes. */
export const dataBytes = 250

/** Partitions of the topics that are measured: the engine's default. */
export const partitionCount = 4

/** Data of {@link OrderPlaced}. */
export interface OrderData {
  readonly orderId: string
  readonly customerId: string
  readonly country: string
  readonly total: string
  readonly currency: string
  readonly quantity: number
  readonly express: boolean
  readonly placedAt: string
  readonly note: string
}

/** An event as shops have them, keyed by its order. */
export const OrderPlaced: EventDefinition<'OrderPlaced', OrderData, OrderData, undefined> = event('OrderPlaced', {
  topic: 'orders',
  data: z.object({
    orderId: z.string(),
    customerId: z.string(),
    country: z.string(),
    total: z.string(),
    currency: z.string(),
    quantity: z.number(),
    express: z.boolean(),
    placedAt: z.string(),
    note: z.string(),
  }),
  key: (data) => data.orderId,
})

/** Data whose JSON has exactly {@link dataBytes} bytes. Orders repeat after `orderCount`. */
export function orderDataOf(index: number, orderCount: number = 100_000): OrderData {
  const data = {
    orderId: `order-${String(index % orderCount).padStart(8, '0')}`,
    customerId: `customer-${String((index * 7919) % 9973).padStart(6, '0')}`,
    country: 'United Kingdom',
    total: `${String(index % 997).padStart(4, '0')}.25`,
    currency: 'GBP',
    quantity: (index % 9) + 1,
    express: index % 2 === 0,
    placedAt: '2010-12-01T08:26:00.000Z',
    note: '',
  }
  const missingBytes = dataBytes - JSON.stringify(data).length
  return { ...data, note: 'leave it with the neighbours; '.repeat(9).slice(0, missingBytes) }
}

/** Messages made before the clock starts. */
export function orderMessages(count: number, orderCount?: number): Message<'OrderPlaced', OrderData>[] {
  return Array.from({ length: count }, (_, index) => OrderPlaced(orderDataOf(index, orderCount)))
}

/** The very bytes that the engine stores for a group: one record batch for each partition that the keys lead to. */
export function groupBytes(messages: readonly Message[], partitions: number = partitionCount): Buffer {
  const builders = Array.from({ length: partitions }, () => new RecordBatchBuilder())
  for (const message of messages) {
    const partition = partitionFor(message.partitionkey ?? '', partitions)
    ;(builders[partition] as RecordBatchBuilder).appendMessage(message, Date.parse(message.time))
  }
  return Buffer.concat(builders.filter((builder) => builder.recordCount > 0).map((builder) => builder.seal()))
}

/** The very bytes that the engine stores for an event of the event store: a record batch of its own. */
export function eventBytes(message: Message): Uint8Array {
  const builder = new RecordBatchBuilder()
  builder.appendMessage(message, Date.parse(message.time))
  return builder.seal()
}
