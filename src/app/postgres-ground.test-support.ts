import { randomUUID } from 'node:crypto'
import pg from 'pg'
import { postgresTables } from '../tables/index.ts'
import type { Row, TestTables } from './table-ground.test-support.ts'

/** PostgreSQL, in a schema of its own, which goes with it. */
export interface PostgresTestTables extends TestTables {
  readonly pool: pg.Pool
  readonly schema: string
}

/** @param options Settings of the sessions of the view, as in `-c lock_timeout=1s`. */
export async function postgresTestTables(url: string, options = ''): Promise<PostgresTestTables> {
  const schema = `tables_${randomUUID().slice(0, 8)}`
  const poolOf = (settings: string): pg.Pool => {
    const pool = new pg.Pool({ connectionString: url, max: 4, options: `-c search_path=${schema} ${settings}` })
    pool.on('error', () => undefined)
    return pool
  }
  const [pool, readers] = [poolOf(options), poolOf('')]
  await readers.query(`CREATE SCHEMA "${schema}"`)
  return {
    pool,
    schema,
    database: postgresTables(pool, { schema }),
    read: async (text) => (await readers.query<Row>(text)).rows,
    change: async (text) => {
      await readers.query(text)
    },
    [Symbol.asyncDispose]: async () => {
      await readers.query(`DROP SCHEMA "${schema}" CASCADE`)
      await Promise.all([pool.end(), readers.end()])
    },
  }
}
