import { randomUUID } from 'node:crypto'
import pg from 'pg'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { startServer } from '../../scripts/servers/index.ts'
import { embedded } from '../embedded/index.ts'
import { postgres } from '../postgres/index.ts'
import { serversWanted } from '../postgres/real-server.test-support.ts'
import { fixed, type Handler, none } from '../runtime/index.ts'
import { postgresTables, type TableConnection, type TablePool, tableView } from '../tables/index.ts'
import { Counted, countedView } from './counted-table.test-support.ts'
import { app, type RunningApp, service } from './index.ts'

function start(handlers: readonly Handler[]): Promise<RunningApp> {
  return app('shop', { services: [service('reports', handlers)] }).start({ engine: embedded({ path: ':memory:' }) })
}

/** A pool whose connections are as little as the view asks for. */
function withoutWire(pool: pg.Pool): TablePool<TableConnection> {
  return {
    connect: async () => {
      const client = await pool.connect()
      return {
        query: (text, values) => client.query(text, values),
        on: (event, listener) => client.on(event, listener),
        off: (event, listener) => client.off(event, listener),
        release: (destroy) => client.release(destroy),
      }
    },
  }
}

// Skipped because it needs a real server: `npm run test:engines` runs it.
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

  describe.each([
    ['as pg gives its connections', (pool: pg.Pool): TablePool<TableConnection> => pool],
    ['where nothing is told of the wire', withoutWire],
  ])('%s', (_how, poolOf) => {
    it.each([
      ['commits', 'COMMIT', 3],
      ['commits and begins anew', 'COMMIT; BEGIN', 3],
      ['commits and chains', 'COMMIT AND CHAIN', 3],
      ['rolls back', 'ROLLBACK', 0],
      ['rolls back and chains', 'ROLLBACK AND CHAIN', 0],
    ])('refuses a function that %s, and applies the others of its batch once', async (_what, text, leftCount) => {
      await using ground = await freshPool()
      const view = tableView('wrong', {
        database: postgresTables(poolOf(ground.pool), { schema: ground.schema }),
        setup: ['CREATE TABLE IF NOT EXISTS applied (id text)'],
        events: [Counted],
        on: {
          Counted: async (client, { data: { id } }) => {
            await client.query('SAVEPOINT one')
            await client.query('INSERT INTO applied VALUES ($1)', [id])
            if (id === '5') await client.query(text)
            else await client.query('ROLLBACK TO SAVEPOINT one')
            if (id !== '5') await client.query('INSERT INTO applied VALUES ($1)', [id])
          },
        },
        retry: fixed({ delay: '1ms', max: 3 }),
      })
      await using running = await start([view])
      await running.publish(Array.from({ length: 20 }, (_, n) => Counted({ key: `k${n}`, id: `${n}` })))
      await running.idle()
      const letters = await running.deadLetters.list()
      expect(letters.map(({ key, attempts, error }) => [key, attempts, error.code])).toEqual([
        ['k5', 3, 'TABLE_CHANGE_INVALID'],
      ])
      expect(letters[0]?.error.message).toContain('ended the transaction')
      const { rows } = await ground.pool.query<{ id: string; n: number }>(
        'SELECT id, count(*)::int AS n FROM applied GROUP BY 1 ORDER BY id::int',
      )
      expect(rows.filter(({ id }) => id !== '5')).toEqual(
        Array.from({ length: 20 }, (_, n) => ({ id: `${n}`, n: 1 })).filter(({ id }) => id !== '5'),
      )
      expect(rows.find(({ id }) => id === '5')?.n ?? 0).toBe(leftCount)
    })

    it('takes a transaction that was ended behind its back for none', async () => {
      await using ground = await freshPool()
      const view = tableView('careless', {
        database: postgresTables(poolOf(ground.pool), { schema: ground.schema }),
        events: [Counted],
        on: {
          Counted: (client) => {
            // Nobody waits for it: it is carried out before whatever comes next.
            client.query('ROLLBACK').catch(() => undefined)
          },
        },
        retry: fixed({ delay: '1ms', max: 2 }),
      })
      await using running = await start([view])
      await running.publish(Counted({ key: 'a', id: '1' }))
      await running.idle()
      expect((await running.deadLetters.list()).map(({ error }) => error.code)).toEqual(['TABLE_CHANGE_INVALID'])
    })
  })

  it.each([
    ['waits for nothing', () => new Promise<void>(() => undefined), false],
    ['waits for a statement', (client: TableConnection) => client.query('SELECT pg_sleep(600)'), true],
  ])('gives a function up that %s, and applies the others', async (_what, hang, isServerBusy) => {
    await using ground = await freshPool('-c application_name=millrace-hung')
    const signals: AbortSignal[] = []
    const view = tableView('hangs', {
      database: postgresTables<TableConnection>(ground.pool, { schema: ground.schema }),
      setup: ['CREATE TABLE IF NOT EXISTS applied (id text)'],
      events: [Counted],
      on: {
        Counted: async (client, { data: { id } }, { signal }) => {
          await client.query('INSERT INTO applied VALUES ($1)', [id])
          if (id !== '5') return
          signals.push(signal)
          await hang(client)
        },
      },
      timeout: '200ms',
      retry: fixed({ delay: '1ms', max: 2 }),
    })
    await using running = await start([view])
    await running.publish(Array.from({ length: 20 }, (_, n) => Counted({ key: `k${n}`, id: `${n}` })))
    await running.idle()
    const letters = await running.deadLetters.list()
    expect(letters.map(({ key, attempts, error }) => [key, attempts, error.code])).toEqual([
      ['k5', 2, 'TABLE_CHANGE_TIMEOUT'],
    ])
    const { rows } = await ground.pool.query<{ n: number; different: number }>(
      'SELECT count(*)::int AS n, count(DISTINCT id)::int AS different FROM applied',
    )
    expect(rows).toEqual([{ n: 19, different: 19 }])
    expect(signals.map(({ aborted }) => aborted)).toEqual([true, true])
    if (!isServerBusy) return
    // The cancellation travels by a connection of its own.
    const busyCount = async (): Promise<number | null> => {
      const { rowCount } = await ground.pool.query(
        `SELECT 1 FROM pg_stat_activity
         WHERE application_name = 'millrace-hung' AND state = 'active' AND query LIKE '%pg_sleep(600)'`,
      )
      return rowCount
    }
    await expect.poll(busyCount).toBe(0)
  })

  it('tells a function by its signal that the app stops', async () => {
    await using ground = await freshPool()
    const begun = Promise.withResolvers<AbortSignal>()
    const view = tableView('stopped', {
      database: postgresTables<pg.PoolClient>(ground.pool, { schema: ground.schema }),
      events: [Counted],
      on: {
        Counted: (_client, _event, { signal }) => {
          begun.resolve(signal)
          return new Promise((_, reject) => {
            signal.addEventListener('abort', () => reject(signal.reason), { once: true })
          })
        },
      },
    })
    const shop = app('shop', { services: [service('reports', [view])] })
    const running = await shop.start({ engine: embedded({ path: ':memory:' }), stopTimeout: 0 })
    await running.publish(Counted({ key: 'a', id: '1' }))
    const signal = await begun.promise
    expect(signal.aborted).toBe(false)
    await running.stop()
    expect(signal.reason).toMatchObject({ name: 'AbortError' })
    // Its connection is back in the pool, which could not be ended otherwise.
    await expect.poll(() => ground.pool.idleCount).toBe(ground.pool.totalCount)
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
