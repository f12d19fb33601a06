import { join } from 'node:path'
import { startServer } from '../../scripts/servers/index.ts'
import { captureChanges, createCapture, dropCapture, forgetCapture } from '../../src/capture/index.ts'
import { embedded } from '../../src/embedded/index.ts'
import { postgresGround } from '../postgres-ground.ts'
import type { BenchRow, Figure, RowSettings } from '../row.ts'
import { alternate, rateOf } from '../statistics.ts'

async function run({ quick, folder }: RowSettings): Promise<readonly Figure[]> {
  const rowCount = quick ? 20_000 : 100_000
  const connection = (await startServer('postgres')).connection.url
  await using ground = await postgresGround()
  const { pool, bareSchema } = ground
  const slot = `${bareSchema}_capture`
  const place = { connection, slot }
  const table = `${bareSchema}.orders`
  await pool.query(`CREATE TABLE ${table} (id integer PRIMARY KEY, customer text, total numeric, placed timestamptz)`)
  await pool.query(
    `INSERT INTO ${table} SELECT i, 'customer ' || i % 1000, i * 0.01, now() FROM generate_series(1, ${rowCount}) AS i`,
  )
  await using engine = await embedded({ path: join(folder, 'target.db') }).open()
  await createCapture({ ...place, tables: [table] })
  /** One transaction that changes each row once. */
  const change = (): Promise<unknown> => pool.query(`UPDATE ${table} SET total = total + 1`)
  const capture = async (): Promise<void> => {
    await using running = captureChanges({ ...place, engine })
    await running.caughtUp()
  }
  await capture()
  const found = await alternate(quick ? 1 : 3, {
    decode: async () => {
      await change()
      const text = `SELECT count(*) FROM pg_logical_slot_peek_binary_changes($1, NULL, NULL,
        'proto_version', '1', 'publication_names', $2)`
      return rateOf(rowCount, () => pool.query(text, [slot, slot]))
    },
    capture: () => rateOf(rowCount, capture),
    select: () => rateOf(rowCount, () => pool.query(`SELECT * FROM ${table} ORDER BY id`)),
    snapshot: async () => {
      await forgetCapture(engine, slot)
      return rateOf(rowCount, capture)
    },
  })
  await dropCapture(place)
  return [
    {
      what: 'changes of one transaction to the topic, once',
      value: found.capture,
      unit: 'rows/s',
      limit: { what: 'the server decodes as many, and sends none', value: found.decode },
      target: { of: 'value', atLeast: 20_000 },
    },
    {
      what: 'rows of the snapshot to the topic, once',
      value: found.snapshot,
      unit: 'rows/s',
      limit: { what: 'SELECT of as many rows at once', value: found.select },
      target: { of: 'value', atLeast: 20_000 },
    },
  ]
}

/** How fast changes of a table get into the embedded engine, exactly once. */
export const captureRow: BenchRow = { title: 'Change data capture', run }
