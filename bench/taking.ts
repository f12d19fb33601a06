import { z } from 'zod'
import { type App, app, type EventDefinition, event, on, publish, service } from '../src/index.ts'
import { type OrderData, OrderPlaced } from './events.ts'

/** Data of {@link OrderTaken}. */
export interface TakenData {
  readonly orderId: string
  readonly total: string
}

/** What is published for an order. */
export const OrderTaken: EventDefinition<'OrderTaken', TakenData, TakenData, undefined> = event('OrderTaken', {
  topic: 'taken',
  data: z.object({ orderId: z.string(), total: z.string() }),
  key: (data) => data.orderId,
})

/** What stands in it. */
export function takenOf({ orderId, total }: OrderData): TakenData {
  return { orderId, total }
}

/** Name of the one handler's group. */
export const takingGroup = 'bench.taking.take'

/** An app with one handler, which publishes an event for each that it gets. */
export const taking: App = app('bench', {
  services: [service('taking', [on(OrderPlaced, { name: 'take' }, ({ data }) => publish(OrderTaken(takenOf(data))))])],
})
