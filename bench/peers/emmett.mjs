// Emmett, on PostgreSQL. node emmett.mjs <database URL> <documents|sql: how it keeps a view>
// That dumbo is installed is Emmett's doing: its own SQL is written with it.
import { identifier, SQL } from '@event-driven-io/dumbo'
import {
  getPostgreSQLEventStore,
  pongoMultiStreamProjection,
  postgreSQLRawSQLProjection,
  rebuildPostgreSQLProjections,
} from '@event-driven-io/emmett-postgresql'
import pg from 'pg'
import { answerTasks, checkCounts, fill, orderOf, postgresSettings, rateOf, repeatedAppends } from './tasks.mjs'

const [url, views] = process.argv.slice(2)
const pool = new pg.Pool({ connectionString: url, max: 20 })
const store = getPostgreSQLEventStore(url, { connectionOptions: { pool } })
let rounds = 0

const eventOf = (n) => ({ type: 'OrderPlaced', data: orderOf(n) })

/** A view that counts the orders of each customer, as documents, each read and written for each event. */
const documentsNamed = (name) =>
  pongoMultiStreamProjection({
    collectionName: name,
    canHandle: ['OrderPlaced'],
    getDocumentId: ({ data }) => data.customerId,
    initialState: () => ({ count: 0 }),
    evolve: ({ count }) => ({ count: count + 1 }),
  })

/** The same view as rows, each written by one statement. Emmett gives a projection one event at a time. */
const rowsNamed = (name) =>
  postgreSQLRawSQLProjection({
    name,
    canHandle: ['OrderPlaced'],
    init: () => SQL`CREATE TABLE IF NOT EXISTS ${identifier(name)} (customer text PRIMARY KEY, count integer NOT NULL)`,
    evolve: ({ data }) =>
      SQL`INSERT INTO ${identifier(name)} AS known VALUES (${data.customerId}, 1)
            ON CONFLICT (customer) DO UPDATE SET count = known.count + 1`,
  })

async function countsIn(name) {
  const { rows } = await pool.query(`SELECT ${views === 'sql' ? 'count' : `data ->> 'count' AS count`} FROM "${name}"`)
  return rows.map(({ count }) => count)
}

answerTasks(
  {
    settings: () => postgresSettings(url),
    hold: ({ count, inFlight }) =>
      fill(count, (n, worker) => store.appendToStream(`held-${worker}`, [eventOf(n)]), inFlight),
    first: () => store.appendToStream('held-0', [eventOf(0)]).then(() => undefined),
    async prepareView({ count }) {
      for (let n = 0; n < count; n += 500) {
        await store.appendToStream(
          'projected',
          Array.from({ length: Math.min(500, count - n) }, (_, i) => eventOf(n + i)),
        )
      }
    },
    async project({ count }) {
      const name = `counts_${process.pid}_${rounds++}`
      const projection = views === 'sql' ? rowsNamed(name) : documentsNamed(name)
      const consumer = rebuildPostgreSQLProjections({
        connectionString: url,
        projections: [projection],
        pulling: { batchSize: 1000 },
      })
      const figures = await rateOf(count, () => consumer.start())
      await consumer.close()
      checkCounts('Emmett', count, await countsIn(name))
      return figures
    },
    append: (settings) =>
      repeatedAppends(settings, async (worker, version, n) => {
        const options = { expectedStreamVersion: version ?? 'STREAM_DOES_NOT_EXIST' }
        const stream = `order-${process.pid}-${worker}`
        return (await store.appendToStream(stream, [eventOf(n)], options)).nextExpectedStreamVersion
      }),
    async read({ count, times }) {
      const stream = `long-${process.pid}-${rounds++}`
      for (let n = 0; n < count; n += 100) {
        await store.appendToStream(
          stream,
          Array.from({ length: 100 }, (_, i) => eventOf(n + i)),
        )
      }
      return await rateOf(count * times, async () => {
        for (let time = 0; time < times; time++) {
          const { events } = await store.readStream(stream)
          const found = events.filter(({ data }) => data.orderId !== undefined).length
          if (found !== count) throw new Error(`Emmett read ${found} of ${count} events.`)
        }
      })
    },
  },
  async () => {
    await store.close()
    await pool.end()
  },
)
