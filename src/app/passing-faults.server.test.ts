import pg from 'pg'
import { afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { sleep, systemClock } from '../kernel/index.ts'
import { type PostgresOptions, postgres } from '../postgres/index.ts'
import { dropSchema, runSql, serversWanted, serverUrl } from '../postgres/real-server.test-support.ts'
import { fixed, on, publish } from '../runtime/index.ts'
import { channels, type WaitingReport } from '../telemetry/index.ts'
import { messagesOf, Paid, Placed, placedCounts } from './app.test-support.ts'
import { app, type RunningApp, service } from './index.ts'

const pay = on(Placed, { name: 'pay', retry: fixed({ delay: 1, max: 2 }) }, ({ data }) => publish(Paid(data)))
const shop = app('shop', { services: [service('s', [pay])], views: [placedCounts(1)] })

// Skipped because it needs a real server: `npm run test:engines` runs it.
describe.skipIf(!serversWanted)('a fault of PostgreSQL that passes', () => {
  const schema = `passing_${process.pid}`
  let url = ''
  let admin: pg.Client
  let waited: WaitingReport[] = []
  const note = (report: WaitingReport): void => void waited.push(report)

  beforeAll(async () => {
    url = await serverUrl()
  }, 600_000)
  beforeEach(async () => {
    waited = []
    channels.waiting.subscribe(note)
    admin = new pg.Client({ connectionString: url })
    await admin.connect()
  })
  afterEach(async () => {
    channels.waiting.unsubscribe(note)
    await admin.end()
    await dropSchema(url, schema)
  })

  async function start(options: Partial<PostgresOptions> = {}): Promise<RunningApp> {
    // Made with time enough.
    await (await postgres({ connection: url, schema }).open()).close()
    const running = await shop.start({ engine: postgres({ connection: url, schema, ...options }) })
    await running.publish(Placed({ id: 'a', n: 0 }))
    await running.idle()
    return running
  }

  /** Everything that was published is handled once, nothing was given up. */
  async function finish(running: RunningApp, count: number): Promise<void> {
    await running.idle()
    expect(await messagesOf(running.engine, 'payments')).toHaveLength(count)
    expect(await running.view(placedCounts(1)).get('all')).toBe(count)
    expect(await running.deadLetters.count()).toBe(0)
  }

  /** Waits until somebody waits, so often. */
  async function waits(running: RunningApp, times: number): Promise<void> {
    while (waited.length < times) await Promise.race([sleep(20, systemClock), running.failed])
  }

  it.each([
    ['batch', 'ACCESS EXCLUSIVE', 'reads and commits'],
    ['state', 'ACCESS EXCLUSIVE', 'reads of state and of what changes'],
    ['progress', 'EXCLUSIVE', 'commits'],
  ])('is waited for: a lock on table %s, which keeps off %s longer than a statement may take', async (table, mode) => {
    await using running = await start({ statementTimeoutMs: 1000 })
    await admin.query(`BEGIN; LOCK TABLE ${schema}.${table} IN ${mode} MODE`)
    const published = [1, 2, 3].map((n) =>
      running.publish(Placed({ id: `k${n}`, n })).then(
        () => 1,
        () => 0,
      ),
    )
    await waits(running, 6)
    await admin.query('ROLLBACK')
    const outcomes: number[] = await Promise.all(published)
    await finish(running, outcomes.filter((one) => one === 1).length + 1)
    expect(waited.map(({ error }) => (error as { code?: unknown }).code)).toContain('POSTGRES_STATEMENT_TIMED_OUT')
  })

  it.each([
    ['53100', 'POSTGRES_DISK_FULL'],
    ['53200', 'POSTGRES_STRAINED'],
    ['58030', 'POSTGRES_STRAINED'],
  ])('makes no dead letter, however often it is met: SQLSTATE %s', async (state, code) => {
    await using running = await start()
    await admin.query(
      `CREATE FUNCTION ${schema}.full() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN RAISE EXCEPTION 'could not extend file' USING ERRCODE = '${state}'; END $$;
      CREATE TRIGGER full_progress BEFORE INSERT OR UPDATE ON ${schema}.progress EXECUTE FUNCTION ${schema}.full()`,
    )
    const published = [1, 2].map((n) =>
      running.publish(Placed({ id: `k${n}`, n })).then(
        () => 1,
        () => 0,
      ),
    )
    const outcomes: number[] = await Promise.all(published)
    await waits(running, 8)
    await admin.query(`DROP FUNCTION ${schema}.full() CASCADE`)
    await finish(running, outcomes.filter((one) => one === 1).length + 1)
    expect(waited[0]?.error).toMatchObject({ code })
  })

  it('is no reason to end: a statement that somebody cancels', async () => {
    await using running = await start({ applicationName: schema })
    await admin.query(`BEGIN; LOCK TABLE ${schema}.batch IN ACCESS EXCLUSIVE MODE`)
    const publishing = running.publish(Placed({ id: 'b', n: 1 })).catch((error: unknown) => error)
    const cancel = `SELECT pg_cancel_backend(pid) FROM pg_stat_activity
      WHERE application_name = $1 AND wait_event_type = 'Lock'`
    while ((await runSql(url, cancel, [schema])).length === 0) await sleep(20, systemClock)
    expect(await publishing).toMatchObject({ code: 'POSTGRES_STATEMENT_CANCELLED' })
    await admin.query(`ROLLBACK; BEGIN; LOCK TABLE ${schema}.partition IN ACCESS EXCLUSIVE MODE`)
    while ((await runSql(url, cancel, [schema])).length === 0) await sleep(20, systemClock)
    await admin.query('ROLLBACK')
    await running.publish(Placed({ id: 'c', n: 2 }))
    await finish(running, 2)
  })

  it('does not keep an app from stopping', async () => {
    const running = await start()
    await admin.query(
      `CREATE FUNCTION ${schema}.full() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN RAISE EXCEPTION 'could not extend file' USING ERRCODE = '53100'; END $$;
      CREATE TRIGGER full_progress BEFORE INSERT OR UPDATE ON ${schema}.progress EXECUTE FUNCTION ${schema}.full()`,
    )
    await running.publish(Placed({ id: 'b', n: 1 })).catch(() => undefined)
    await waits(running, 6)
    const startMs = systemClock.monotonicMs()
    await running.stop()
    expect(systemClock.monotonicMs() - startMs).toBeLessThan(8000)
  })
})
