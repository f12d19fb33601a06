import { orderMessages, partitionCount } from '../events.ts'
import { postgresGround } from '../postgres-ground.ts'
import { inFlight, inTurn, ordersTopic, piecesOf, publishInFlight } from '../publishing.ts'
import type { BenchRow, Figure, RowSettings } from '../row.ts'
import { alternate, rateOf } from '../statistics.ts'

const callers = 256
const batch = 100

async function run({ quick }: RowSettings): Promise<readonly Figure[]> {
  const eventCount = quick ? 20_000 : 100_000
  await using ground = await postgresGround()
  const { engine, pool, bareSchema } = ground
  await engine.topics.create(ordersTopic, { partitions: partitionCount })
  const table = `${bareSchema}.message`
  await pool.query(
    `CREATE TABLE ${table} (id bigserial PRIMARY KEY, topic text NOT NULL, key text NOT NULL, message jsonb NOT NULL)`,
  )
  const messages = orderMessages(20_000)
  const next = inTurn(piecesOf(messages, batch))
  const insert = `INSERT INTO ${table} (topic, key, message) SELECT 'orders', * FROM unnest($1::text[], $2::jsonb[])`
  let bareCount = 0
  const readAll = async (): Promise<void> => {
    let count = 0
    for (let partition = 0; partition < partitionCount; partition++) {
      for (let offset = 0; ; ) {
        const page = await engine.topics.read({ topic: ordersTopic, partition, offset })
        count += page.records.length
        offset = page.nextOffset
        if (offset >= page.latest) break
      }
    }
    if (count === 0) throw new Error('nothing was read')
  }
  await publishInFlight(engine, { commits: eventCount / batch, inFlight: callers / 16 }, next)
  const found = await alternate(quick ? 3 : 5, {
    publish: () =>
      rateOf(eventCount, () => publishInFlight(engine, { commits: eventCount / batch, inFlight: callers / 16 }, next)),
    insert: () =>
      rateOf(eventCount, () =>
        inFlight({ commits: eventCount / batch, inFlight: callers / 16 }, async () => {
          const piece = next()
          bareCount += piece.length
          const keys = piece.map((message) => message.partitionkey)
          const values = [keys, piece.map((message) => JSON.stringify(message))]
          await pool.query({ name: 'insert', text: insert, values })
        }),
      ),
  })
  const total = (await engine.topics.describe(ordersTopic))?.partitions.reduce((sum, one) => sum + one.latest, 0) ?? 0
  const page = 2000
  const read = await alternate(3, {
    read: () => rateOf(total, readAll),
    select: () =>
      rateOf(bareCount, async () => {
        for (let after = 0; ; ) {
          const text = `SELECT id, message::text FROM ${table} WHERE id > $1 ORDER BY id LIMIT ${page}`
          const { rows } = await pool.query({ name: 'select', text, values: [after] })
          for (const row of rows as { readonly message: string }[]) JSON.parse(row.message)
          if (rows.length < page) break
          after = Number((rows.at(-1) as { readonly id: string }).id)
        }
      }),
  })
  return [
    {
      what: `publish, batches of ${batch}`,
      value: found.publish,
      unit: 'events/s',
      limit: { what: 'INSERT of as many rows through a pool', value: found.insert },
      target: { of: 'ratio', atLeast: 0.7 },
    },
    {
      what: 'read and decode',
      value: read.read,
      unit: 'events/s',
      limit: { what: 'SELECT by pages and JSON.parse', value: read.select },
      target: { of: 'ratio', atLeast: 0.7 },
    },
  ]
}

/** A log in PostgreSQL beside a table of rows. */
export const postgresPublish: BenchRow = { title: 'Publish and read', run }
