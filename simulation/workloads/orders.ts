import { z } from 'zod'
import { allOf, anyOf, choreography, end, event, publish, service, timeout } from '../../src/index.ts'
import type { Life } from '../life.ts'
import { PublishLog } from '../publishing.ts'
import { dataOf, type Found, type Parts, type Process, type Setting, type Workload } from '../workload.ts'

const about = z.object({ order: z.string() })
type About = z.infer<typeof about>
const key = (data: About): string => data.order
const OrderPlaced = event('OrderPlaced', { topic: 'orders', data: about, key })
const StockReserved = event('StockReserved', { topic: 'stock', data: about, key })
const PaymentReceived = event('PaymentReceived', { topic: 'payments', data: about, key })
const PaymentDeclined = event('PaymentDeclined', { topic: 'payments', data: about, key })
const ending = z.object({ order: z.string(), how: z.string(), atMs: z.int() })
const OrderEnded = event('OrderEnded', { topic: 'endings', data: ending, key: (data) => data.order })

const patienceMs = 30_000
const clientCount = 2

/** Events of several topics come together in any order: a process ends once, by what has come, or when too little came in time. */
export class Orders implements Workload {
  readonly #setting: Setting
  readonly #log: PublishLog
  #count = 0

  constructor(setting: Setting) {
    this.#setting = setting
    this.#log = new PublishLog(setting.history)
  }

  parts(life: Life): Parts {
    const { history } = this.#setting
    const ends = (order: string, how: string): readonly [ReturnType<typeof publish>, ReturnType<typeof end>] => {
      history.reach(`an order was ${how}`)
      return [publish(OrderEnded({ order, how, atMs: life.clock.nowMs() })), end(how)]
    }
    const fulfilment = choreography('fulfilment', {
      events: [OrderPlaced, StockReserved, PaymentReceived, PaymentDeclined],
      starts: [OrderPlaced],
      hold: '7d',
      rules: [
        allOf([StockReserved, PaymentReceived], (_seen, ctx) => ends(ctx.key, 'confirmed')),
        anyOf([PaymentDeclined], (_seen, ctx) => ends(ctx.key, 'declined')),
        timeout({ after: patienceMs, since: OrderPlaced }, (_seen, ctx) => ends(ctx.key, 'given up')),
      ],
    })
    return { services: [service('fulfilment', [fulfilment])] }
  }

  clients(process: Process): readonly Promise<void>[] {
    return Array.from({ length: clientCount }, () => this.#order(process))
  }

  async isOver({ engine, life }: Process): Promise<boolean> {
    // Whoever was given up or has ended keeps a timer, with which it is forgotten a day later. The others are due soon, or once
    // a clock that was set back comes there again.
    const timers = await engine.timers.list({ limit: 1000 })
    const soonMs = life.clock.nowMs() + patienceMs + 3_600_000
    return !timers.some(({ owner, dueMs }) => owner.includes('fulfilment') && dueMs < soonMs)
  }

  check(found: Found): void {
    const { history } = this.#setting
    this.#log.check(
      found,
      new Set([OrderPlaced, StockReserved, PaymentReceived, PaymentDeclined].map(({ type }) => type)),
    )
    const of = (type: string): ReadonlySet<string> => new Set(dataOf<About>(found, type).map(({ order }) => order))
    const placed = of(OrderPlaced.type)
    const reserved = of(StockReserved.type)
    const received = of(PaymentReceived.type)
    const declined = of(PaymentDeclined.type)
    const endings = Map.groupBy(dataOf<z.infer<typeof ending>>(found, OrderEnded.type), ({ order }) => order)
    for (const order of new Set([...placed, ...endings.keys()])) {
      const hows = (endings.get(order) ?? []).map(({ how }) => how)
      history.check(
        placed.has(order) && hows.length === 1,
        'each effect once',
        () => `${order} ended ${hows.length} times: ${hows.join()}`,
      )
      const [how] = hows
      const isPossible =
        how === 'given up' ||
        (how === 'confirmed' && reserved.has(order) && received.has(order)) ||
        (how === 'declined' && declined.has(order))
      history.check(isPossible, 'readable ⊆ attempted', () => `${order} was ${how}`)
    }
  }

  async #order(process: Process): Promise<void> {
    const { life } = process
    for (let i = life.draw.int(0, this.#setting.requestCount); i > 0; i--) {
      const data = { order: `choreographed-${this.#count++}` }
      const payment = life.draw.chance(0.7) ? PaymentReceived(data) : PaymentDeclined(data)
      const messages = [OrderPlaced(data), StockReserved(data), payment].filter(() => life.draw.chance(0.85))
      while (messages.length > 0) {
        const [message] = messages.splice(life.draw.int(0, messages.length - 1), 1)
        if (message === undefined) break
        if ((await this.#log.publish([message], () => process.app().publish(message))) === 'unknown') return
        await life.pause(100)
      }
    }
  }
}
