// Run by `node src/message/message.bench.ts`: prints nanoseconds per operation, the best of five rounds.
import * as v from 'valibot'
import { z } from 'zod'
import { freezeParsedJson, frozenJson, systemClock, systemRandom, uuidv7 } from '../kernel/index.ts'
import { contextFor, decodeJson, decodeKafka, encodeJson, encodeKafkaBinary, event, runInContext } from './index.ts'

const order = {
  orderId: '536365',
  customerId: '17850',
  country: 'United Kingdom',
  total: '139.12',
  currency: 'GBP',
  quantity: 40,
  express: false,
  placedAt: '2010-12-01T08:26:00Z',
  channel: 'web',
  note: 'leave it with the neighbours',
}
const fields = Object.keys(order) as (keyof typeof order)[]
const zodShape = {
  orderId: z.string(),
  customerId: z.string(),
  country: z.string(),
  total: z.string(),
  currency: z.string(),
  quantity: z.number(),
  express: z.boolean(),
  placedAt: z.string(),
  channel: z.string(),
  note: z.string(),
}
const zodSchema = z.object(zodShape)
const WithZod = event('OrderPlaced', { data: zodSchema, key: (d) => d.orderId })
const WithValibot = event('OrderPlaced', {
  data: v.object({
    orderId: v.string(),
    customerId: v.string(),
    country: v.string(),
    total: v.string(),
    currency: v.string(),
    quantity: v.number(),
    express: v.boolean(),
    placedAt: v.string(),
    channel: v.string(),
    note: v.string(),
  }),
  key: (d) => d.orderId,
})
const WithoutData = event('Ticked')

const message = WithZod(order)
const context = contextFor(message, { source: '/bench', clock: systemClock, handlerId: 'bench.handler' })
const json = JSON.stringify(order)
const envelopeJson = encodeJson(message)
const kafka = encodeKafkaBinary(message)
const nextId = uuidv7(systemClock, systemRandom)
const bytes = Buffer.alloc(64)

const operations: Readonly<Record<string, () => unknown>> = {
  uuidv7: nextId,
  'uuidv7, written to bytes': () => bytes.write(nextId(), 0, 'latin1'),
  'id in a context': () => context.nextId(),
  [`zod alone, ${fields.length} properties`]: () => zodSchema['~standard'].validate(order),
  [`frozenJson, ${fields.length} properties`]: () => frozenJson(order),
  'JSON.parse': (): unknown => JSON.parse(json),
  'JSON.parse + freezeParsedJson': () => freezeParsedJson<unknown>(JSON.parse(json)),
  'create, no data': () => WithoutData(),
  'create, zod': () => WithZod(order),
  'create, valibot': () => WithValibot(order),
  'create, zod, 1000 in one context': () => runInContext(context, createThousand),
  'JSON.stringify of the data': () => JSON.stringify(order),
  encodeJson: () => encodeJson(message),
  decodeJson: () => decodeJson(envelopeJson),
  encodeKafkaBinary: () => encodeKafkaBinary(message),
  decodeKafka: () => decodeKafka(kafka),
}

function createThousand(): void {
  for (let n = 0; n < 1000; n++) WithZod(order)
}

for (const [name, operation] of Object.entries(operations)) {
  const perCall = name.includes('1000') ? 1000 : 1
  const callCount = 200_000 / perCall
  let bestMs = Number.POSITIVE_INFINITY
  for (let round = 0; round < 5; round++) {
    const startMs = performance.now()
    for (let call = 0; call < callCount; call++) operation()
    bestMs = Math.min(bestMs, performance.now() - startMs)
  }
  const nanoseconds = (bestMs * 1e6) / (callCount * perCall)
  process.stdout.write(`${name.padEnd(34)} ${nanoseconds.toFixed(0).padStart(6)} ns\n`)
}
