import { randomUUID } from 'node:crypto'
import pg from 'pg'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { startServer } from '../../scripts/servers/index.ts'
import { embedded } from '../embedded/index.ts'
import { postgres } from '../postgres/index.ts'
import { serversWanted } from '../postgres/real-server.test-support.ts'
import { fixed, type Handler, none } from '../runtime/index.ts'
import { postgresTables, tableView } from '../tables/index.ts'
import { Counted, countedView } from './counted-table.test-support.ts'
import { app, type RunningApp, service } from './index.ts'

function start(handlers: readonly Handler[]): Promise<RunningApp> {
  return app('shop', { services: [service('reports', handlers)] }).start({ engine: embedded({ path: ':memory:' }) })
}

// Skipped because it needs a real server: `npm run test:servers` runs it.
describe.skipIf(!serversWanted)('a view in tables of PostgreSQL', () => {
  let url = ''
  beforeAll(async () => {
    url = (await startServer('postgres')).connection.url
  }, 600_000)
  const schemas: string[] = []
  afterAll(async () => {
    const client = new pg.Client({ connectionString: url })
    await client.connect()
    for (const schema of schemas) await client.query(`DROP SCHEMA "${schema}" CASCADE`)
    await client.end()
  })

  /** A pool whose statements find their tables in a schema of its own. */
  async function freshPool(options: string = ''): Promise<{ pool: pg.Pool; schema: string } & AsyncDisposable> {
    const schema = `tables_${randomUUID().slice(0, 8)}`
    schemas.push(schema)
    const pool = new pg.Pool({ connectionString: url, max: 4, options: `-c search_path=${schema} ${options}` })
    pool.on('error', () => undefined)
    await pool.query(`CREATE SCHEMA "${schema}"`)
    return { pool, schema, [Symbol.asyncDispose]: () => pool.end() }
  }

  async function countsIn(pool: pg.Pool): Promise<Record<string, number>> {
    const { rows } = await pool.query<{ key: string; n: number }>('SELECT key, n FROM counts ORDER BY key')
    return Object.fromEntries(rows.map(({ key, n }) => [key, n]))
  }

  it('applies each event once, and is read after it was waited for', async () => {
    await using ground = await freshPool()
    const view = countedView(postgresTables(ground.pool, { schema: ground.schema }))
    await using running = await start([view])
    const events = Array.from({ length: 1000 }, (_, n) => Counted({ key: `k${n % 3}`, id: `${n}` }))
    await running.waitFor(view, await running.publish([...events, ...events]))
    expect(await countsIn(ground.pool)).toEqual({ k0: 334, k1: 333, k2: 333 })
    expect(await running.deadLetters.count()).toBe(0)
  })

  it('lets an event that cannot be applied fail alone, with those behind it of its key', async () => {
    await using ground = await freshPool()
    const view = { ...countedView(postgresTables(ground.pool, { schema: ground.schema })), retry: none }
    await using running = await start([view])
    const events = Array.from({ length: 200 }, (_, n) =>
      Counted({ key: `k${n % 5}`, id: n === 57 ? 'poison' : `${n}` }),
    )
    await running.publish(events)
    await running.idle()
    expect(await countsIn(ground.pool)).toEqual({ k0: 40, k1: 40, k2: 11, k3: 40, k4: 40 })
    await running.deadLetters.discard('all')
    await running.idle()
    expect(await countsIn(ground.pool)).toEqual({ k0: 40, k1: 40, k2: 39, k3: 40, k4: 40 })
  })

  it('does not take a transaction that the server has rolled back for one that is durable', async () => {
    await using ground = await freshPool()
    const view = tableView('swallows', {
      database: postgresTables<pg.PoolClient>(ground.pool, { schema: ground.schema }),
      events: [Counted],
      on: { Counted: (client) => client.query('SELECT 1 / 0').catch(() => undefined) },
      retry: fixed({ delay: '1ms', max: 1 }),
    })
    await using running = await start([view])
    await running.publish(Counted({ key: 'a', id: '1' }))
    await running.idle()
    expect((await running.deadLetters.list())[0]?.error.code).toBe('TABLE_CHANGE_INVALID')
  })

  it('applies nothing to a database that may forget', async () => {
    await using ground = await freshPool('-c synchronous_commit=off')
    const tables = postgresTables(ground.pool, { schema: ground.schema })
    await expect(tables.prepare([])).rejects.toMatchObject({ code: 'TABLES_NOT_DURABLE' })
  })

  it('forgets what it applied long ago, and nothing of another view', async () => {
    await using ground = await freshPool()
    const tables = postgresTables(ground.pool, { schema: ground.schema })
    await tables.prepare([])
    for (const handler of ['mine', 'other']) {
      await ground.pool.query(
        `INSERT INTO millrace_inbox SELECT $1, 's', n::text, now() - interval '2 hours' FROM generate_series(1, 12000) n`,
        [handler],
      )
    }
    while (await tables.prune('mine', 3_600_000));
    const { rows } = await ground.pool.query('SELECT handler, count(*)::int AS n FROM millrace_inbox GROUP BY 1')
    expect(rows).toEqual([{ handler: 'other', n: 12_000 }])
  })

  it('applies each event once though its connections are cut all the time', { timeout: 120_000 }, async () => {
    await using ground = await freshPool('-c application_name=millrace-cut')
    const view = countedView(postgresTables(ground.pool, { schema: ground.schema }))
    await using running = await start([view])
    const admin = new pg.Client({ connectionString: url })
    await admin.connect()
    let cut = 0
    const cutting = setInterval(() => {
      const text = `SELECT pg_terminate_backend(pid) FROM pg_stat_activity
        WHERE application_name = 'millrace-cut' AND state <> 'idle'`
      admin.query(text).then(
        ({ rowCount }) => (cut += rowCount ?? 0),
        () => undefined,
      )
    }, 20)
    for (let batch = 0; batch < 40; batch++) {
      const ids = Array.from({ length: 100 }, (_, n) => Counted({ key: `k${n % 7}`, id: `${batch}-${n}` }))
      await running.publish(ids)
      await new Promise((resolve) => setTimeout(resolve, 20))
    }
    clearInterval(cutting)
    await admin.end()
    await running.idle()
    const counts = Object.values(await countsIn(ground.pool)).reduce((sum, n) => sum + n, 0)
    expect([counts, await running.deadLetters.count()]).toEqual([4000, 0])
    expect(cut).toBeGreaterThan(0)
  })

  it('applies each event once with several starts that share the partitions', async () => {
    await using ground = await freshPool()
    const declare = () =>
      app('shop', {
        services: [service('reports', [countedView(postgresTables(ground.pool, { schema: ground.schema }))])],
      })
    await using engine = await postgres({ connection: url, schema: ground.schema }).open()
    await using first = await declare().start({ engine })
    const publish = (from: number): Promise<unknown> =>
      first.publish(Array.from({ length: 500 }, (_, n) => Counted({ key: `k${n % 7}`, id: `${from + n}` })))
    await publish(0)
    await using second = await declare().start({ engine })
    await publish(500)
    await first.stop()
    await second.idle()
    const counts = Object.values(await countsIn(ground.pool)).reduce((sum, n) => sum + n, 0)
    expect([counts, await second.deadLetters.count()]).toEqual([1000, 0])
  })
})
