import pg from 'pg'
import { startServer } from '../../scripts/servers/index.ts'

/** Whether tests may use real servers, which are started if they do not run. */
export const serversWanted: boolean = process.env['MILLRACE_REAL_SERVERS'] === '1'

/** A schema of a test, and connections to its database. */
export class TestDatabase implements AsyncDisposable {
  readonly url: string
  readonly schema: string
  readonly pool: pg.Pool

  private constructor(url: string, schema: string) {
    this.url = url
    this.schema = schema
    this.pool = new pg.Pool({ connectionString: url, max: 20 })
    // Connections that a test cuts are found out by their next statement.
    this.pool.on('error', () => undefined)
  }

  static async open(schema: string, url?: string): Promise<TestDatabase> {
    const database = new TestDatabase(url ?? (await startServer('postgres')).connection.url, schema)
    await database.pool.query(`CREATE SCHEMA "${schema}"`)
    return database
  }

  /** Runs something in a transaction; `rollback` undoes it. */
  async transaction<Result>(
    work: (client: pg.PoolClient) => Promise<Result>,
    end: 'COMMIT' | 'ROLLBACK' = 'COMMIT',
  ): Promise<Result> {
    const client = await this.pool.connect()
    try {
      await client.query('BEGIN')
      const result = await work(client)
      await client.query(end)
      return result
    } catch (error) {
      await client.query('ROLLBACK').catch(() => undefined)
      throw error
    } finally {
      client.release()
    }
  }

  /** Cuts the relay that works on the outbox of a schema. */
  async cutRelay(schema: string): Promise<void> {
    await this.pool.query(
      `SELECT pg_terminate_backend(pid) FROM pg_locks, (SELECT hashtextextended('millrace relays outbox ' ||
          substring(obj_description(to_regclass($1), 'pg_class') FROM 'id (.*)$'), 0) AS key) AS lock
        WHERE locktype = 'advisory' AND ((classid::bigint << 32) | objid::bigint) = key`,
      [`"${schema}".millrace_outbox`],
    )
  }

  async rows(text: string, values: unknown[] = []): Promise<readonly Record<string, unknown>[]> {
    return (await this.pool.query(text, values)).rows as Record<string, unknown>[]
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.pool.query(`DROP SCHEMA IF EXISTS "${this.schema}" CASCADE`)
    await this.pool.end()
  }
}
