import { join } from 'node:path'
import { embedded } from '../../src/embedded/index.ts'
import { createOutbox, outbox, relayOutbox } from '../../src/outbox/index.ts'
import { orderMessages, partitionCount } from '../events.ts'
import { postgresGround } from '../postgres-ground.ts'
import { inTurn, ordersTopic, piecesOf } from '../publishing.ts'
import type { BenchRow, Figure, RowSettings } from '../row.ts'
import { alternate, rateOf } from '../statistics.ts'

const rowsOfTransaction = 500
const rowsOfBatch = 1000

async function run({ quick, folder }: RowSettings): Promise<readonly Figure[]> {
  const eventCount = quick ? 20_000 : 100_000
  await using ground = await postgresGround()
  const { pool, bareSchema } = ground
  await using engine = await embedded({ path: join(folder, 'target.db') }).open()
  await engine.topics.create(ordersTopic, { partitions: partitionCount })
  const next = inTurn(piecesOf(orderMessages(20_000), rowsOfTransaction))
  const tables = { relayed: 'relayed', taken: 'taken' } as const
  for (const table of Object.values(tables)) await createOutbox(pool, { schema: bareSchema, table })
  const fill = async (table: string): Promise<void> => {
    for (let n = 0; n < eventCount; n += rowsOfTransaction) {
      await outbox(pool, { schema: bareSchema, table }).publish(next(), { topic: ordersTopic })
    }
  }
  const isEmpty = async (table: string): Promise<boolean> =>
    (await pool.query(`SELECT 1 FROM ${bareSchema}.${table} LIMIT 1`)).rows.length === 0
  const found = await alternate(quick ? 1 : 3, {
    relay: async () => {
      await fill(tables.relayed)
      return rateOf(eventCount, async () => {
        await using _relay = relayOutbox({ pool, engine, schema: bareSchema, table: tables.relayed, poll: '10ms' })
        while (!(await isEmpty(tables.relayed))) await new Promise((resolve) => setTimeout(resolve, 10))
      })
    },
    bare: async () => {
      await fill(tables.taken)
      const table = `${bareSchema}.${tables.taken}`
      return rateOf(eventCount, async () => {
        for (;;) {
          const { rows } = await pool.query(
            `SELECT id, topic, key, message FROM ${table} ORDER BY id LIMIT ${rowsOfBatch}`,
          )
          if (rows.length === 0) break
          const ids = (rows as { readonly id: string; readonly message: string }[]).map(({ id, message }) => {
            JSON.parse(message)
            return id
          })
          await pool.query(`DELETE FROM ${table} WHERE id = ANY($1::bigint[])`, [ids])
        }
      })
    },
  })
  return [
    {
      what: 'from the table to the topic, once',
      value: found.relay,
      unit: 'events/s',
      limit: { what: 'SELECT and DELETE of as many rows', value: found.bare },
      target: { of: 'value', atLeast: 20_000 },
    },
  ]
}

/** How fast a relay empties the outbox of a user's own tables into the embedded engine, exactly once. */
export const outboxRelay: BenchRow = { title: 'Relay of an outbox', run }
