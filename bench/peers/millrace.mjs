// Millrace, with its engine in a file or on PostgreSQL. node millrace.mjs <embedded|postgres> <file or database URL>
import { z } from 'zod'
import {
  Awaited,
  answerTasks,
  Countdown,
  checkCounts,
  fill,
  orderOf,
  postgresSettings,
  rateOf,
  repeated,
  repeatedAppends,
} from './tasks.mjs'

/** Its code as users load it, made before this program is started. */
const code = (door) => import(new URL(`../../.cache/bench/millrace/${door}.js`, import.meta.url).href)

const { app, event, on, service, view } = await code('index')
const [kind, place] = process.argv.slice(2)
const engine = await (await engineOf(kind)).open()

/** A program loads the one engine that it runs on. */
async function engineOf(name) {
  if (name === 'embedded') return (await code('embedded/index')).embedded({ path: place })
  return (await code('postgres/index')).postgres({
    connection: place,
    schema: 'bench',
  })
}

const data = z.object({
  orderId: z.string(),
  customerId: z.string(),
  total: z.string(),
  currency: z.string(),
  lines: z.array(z.object({ article: z.string(), quantity: z.number(), price: z.string() })),
  placed: z.string(),
})
const partitions = 4
const key = ({ customerId }) => customerId
let rounds = 0
const fresh = (name) => `${name}-${process.pid}-${rounds++}`

const eventOn = (topic) => event('OrderPlaced', { topic, data, key })

async function eventOnNew(topic) {
  await engine.topics.create(topic, { partitions })
  return eventOn(topic)
}

const freshEvent = (name) => eventOnNew(fresh(name))

async function publish(made, ...numbers) {
  const messages = numbers.map((n) => made(orderOf(n)))
  const outcome = await engine.commit({ publish: [{ topic: made.topic, messages }] })
  if (!outcome.ok) throw new Error(`Events were refused: ${JSON.stringify(outcome.conflict)}`)
}

/** Starts an app with one handler, which begins with the first event that there is. */
function handling(made, handle) {
  const orders = service('orders', [on(made, { name: 'see' }, ({ data: order }) => handle(order))])
  return app(fresh('bench'), { services: [orders] }).start({ engine })
}

answerTasks(
  {
    settings: () => (kind === 'postgres' ? postgresSettings(place) : {}),
    async hold({ count, inFlight }) {
      const made = await eventOnNew('held')
      await fill(count, (n) => publish(made, n), inFlight)
    },
    first: () => publish(eventOn('held'), 0),
    async publish(settings) {
      const made = await freshEvent('published')
      return await repeated(settings, (n) => publish(made, n))
    },
    async handled(settings) {
      const made = await freshEvent('handled')
      const awaited = new Awaited()
      const running = await handling(made, ({ orderId }) => awaited.tell(orderId))
      const figures = await repeated(settings, (n) => awaited.handled(orderOf(n).orderId, () => publish(made, n)))
      await running.stop()
      return figures
    },
    async consume({ count }) {
      const made = await freshEvent('consumed')
      await fill(count, (n) => publish(made, n))
      const left = new Countdown(count)
      let running
      const figures = await rateOf(count, async () => {
        running = await handling(made, () => left.count())
        await left.done
        await running.idle()
      })
      await running.stop()
      return figures
    },
    async append(settings) {
      const made = event('OrderPlaced', { topic: 'none', data, key })
      return await repeatedAppends(settings, async (worker, expected = 'none', n) => {
        const stream = `order-${process.pid}-${worker}`
        const append = [{ stream, expected, events: [{ message: made(orderOf(n)) }] }]
        const outcome = await engine.commit({ append })
        if (!outcome.ok) throw new Error(`An append was refused: ${JSON.stringify(outcome.conflict)}`)
        return outcome.appended[0].lastVersion
      })
    },
    async read({ count, times }) {
      const made = event('OrderPlaced', { topic: 'none', data, key })
      const stream = fresh('long')
      for (let n = 0; n < count; n += 100) {
        const events = Array.from({ length: 100 }, (_, i) => ({ message: made(orderOf(n + i)) }))
        await engine.commit({ append: [{ stream, expected: 'any', events }] })
      }
      return await rateOf(count * times, async () => {
        for (let time = 0; time < times; time++) {
          let found = 0
          for await (const { message } of engine.events.readStream(stream)) if (message.data.orderId) found++
          if (found !== count) throw new Error(`Millrace read ${found} of ${count} events.`)
        }
      })
    },
    async prepareView({ count }) {
      const made = await eventOnNew('projected')
      for (let n = 0; n < count; n += 500) {
        await publish(made, ...Array.from({ length: Math.min(500, count - n) }, (_, i) => n + i))
      }
    },
    async project({ count }) {
      const made = eventOn('projected')
      const counts = view('counts', {
        events: [made],
        key: (message) => message.data.customerId,
        initial: { count: 0 },
        on: { OrderPlaced: (state) => ({ count: state.count + 1 }) },
      })
      let running
      const figures = await rateOf(count, async () => {
        running = await app(fresh('bench'), { views: [counts] }).start({ engine })
        await running.idle()
      })
      const found = []
      for await (const { value } of running.view(counts).list()) found.push(value.count)
      await running.stop()
      checkCounts('Millrace', count, found)
      return figures
    },
    async conditional(settings) {
      const made = event('OrderPlaced', { topic: 'none', data, key })
      const round = fresh('order')
      const positions = new Map()
      return await repeated(settings, async (n, worker) => {
        const tags = [`${round}-${worker}`, `customer:${n % 1000}`]
        const query = { items: [{ types: ['OrderPlaced'], tags: [tags[0]] }] }
        const condition = { query, after: positions.get(worker) ?? 0 }
        const append = [{ stream: tags[0], expected: 'any', condition, events: [{ message: made(orderOf(n)), tags }] }]
        const outcome = await engine.commit({ append })
        if (!outcome.ok) throw new Error(`An append was refused: ${JSON.stringify(outcome.conflict)}`)
        positions.set(worker, outcome.appended[0].lastPosition)
      })
    },
  },
  () => engine.close(),
)
