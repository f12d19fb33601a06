import pg from 'pg'
import { startServer } from '../scripts/servers/index.ts'
import { type PostgresEngine, postgres } from '../src/postgres/index.ts'

/** Connections of the engine and of the bare client alike. */
const poolMax = 10

/** An engine and a bare client on one server, each with a schema of its own that goes in the end. */
export async function postgresGround(): Promise<
  { readonly engine: PostgresEngine; readonly pool: pg.Pool; readonly bareSchema: string } & AsyncDisposable
> {
  const { url } = (await startServer('postgres')).connection
  const schema = `bench_${process.pid}`
  const bareSchema = `${schema}_bare`
  const pool = new pg.Pool({ connectionString: url, max: poolMax })
  await pool.query(`CREATE SCHEMA ${bareSchema}`)
  const engine = await postgres({ connection: url, schema, poolMax }).open()
  return {
    engine,
    pool,
    bareSchema,
    [Symbol.asyncDispose]: async () => {
      await engine.close()
      await pool.query(`DROP SCHEMA ${schema} CASCADE; DROP SCHEMA ${bareSchema} CASCADE`)
      await pool.end()
    },
  }
}
