import pg from 'pg'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { z } from 'zod'
import { startServer } from '../../scripts/servers/index.ts'
import { captureChanges, createCapture, dropCapture } from '../capture/index.ts'
import { embedded } from '../embedded/index.ts'
import type { Engine } from '../engine/index.ts'
import { sleep, systemClock } from '../kernel/index.ts'
import { event, type Message } from '../message/index.ts'
import { createOutbox, outbox, relayOutbox } from '../outbox/index.ts'
import { deployment } from './index.ts'

const Counted = event('BridgeCounted', { topic: 'bridge-counts', version: 1, data: z.object({ n: z.number() }) })

async function until(holds: () => boolean | Promise<boolean>): Promise<void> {
  while (!(await holds())) await sleep(10, systemClock)
}

async function messagesOf(engine: Engine, topic: string): Promise<readonly Message[]> {
  const found: Message[] = []
  for (const { partition, earliest, latest } of (await engine.topics.describe(topic))?.partitions ?? []) {
    for (let offset = earliest; offset < latest; ) {
      const { records, nextOffset } = await engine.topics.read({ topic, partition, offset })
      for (const record of records) if (record.kind === 'message') found.push(record.message)
      offset = nextOffset
    }
  }
  return found
}

/** The engine, with something in the way of its commits. */
const withCommit = (engine: Engine, commit: Engine['commit']): Engine =>
  Object.assign(Object.create(engine) as Engine, {
    topics: engine.topics,
    state: engine.state,
    capabilities: engine.capabilities,
    commit,
  })

// Skipped because it needs a real server: `npm run test:engines` runs it.
describe.skipIf(process.env['MILLRACE_REAL_SERVERS'] !== '1')('what comes from PostgreSQL to an engine of two', () => {
  const schema = `bridge_${process.pid}`
  let url = ''
  let pool: pg.Pool
  const open = (): Promise<Engine> =>
    deployment({ topics: embedded({ path: ':memory:' }), store: embedded({ path: ':memory:' }) }).open()

  beforeAll(async () => {
    url = (await startServer('postgres')).connection.url
    pool = new pg.Pool({ connectionString: url, max: 10, options: `-c search_path=${schema}` })
    pool.on('error', () => undefined)
    await pool.query(`CREATE SCHEMA ${schema}; CREATE TABLE ${schema}.t (id integer PRIMARY KEY)`)
  }, 600_000)
  afterAll(async () => {
    await dropCapture({ connection: url, slot: schema })
    await pool.query(`DROP SCHEMA ${schema} CASCADE`)
    await pool.end()
  })

  it('is published once from an outbox whose relay is cut off before it could clear', { timeout: 60_000 }, async () => {
    await using engine = await open()
    await createOutbox(pool, { schema })
    let cuts = 0
    const cutting = withCommit(engine, async (batch) => {
      const outcome = await engine.commit(batch)
      if (cuts++ < 3) {
        await pool.query(
          `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'bridge-relay'`,
        )
      }
      return outcome
    })
    const ofRelay = new pg.Pool({ connectionString: url, application_name: 'bridge-relay' })
    ofRelay.on('error', () => undefined)
    await outbox(pool, { schema }).publish(Array.from({ length: 30 }, (_, n) => Counted({ n })))
    await using relay = relayOutbox({ pool: ofRelay, engine: cutting, schema, poll: '5ms', batchRowsMax: 5 })
    const isEmpty = async (): Promise<boolean> =>
      (await pool.query('SELECT 1 FROM millrace_outbox LIMIT 1')).rows.length === 0
    await until(async () => (await isEmpty()) && (await engine.inTransit?.())?.length === 0)
    const numbers = (await messagesOf(engine, 'bridge-counts')).map(({ data }) => (data as { n: number }).n)
    await relay.close()
    await ofRelay.end()
    expect(numbers.toSorted((a, b) => a - b)).toEqual(Array.from({ length: 30 }, (_, n) => n))
  })

  it('is not committed by a capture that was replaced and does not know yet', { timeout: 60_000 }, async () => {
    await using engine = await open()
    const place = { connection: url, slot: schema }
    await createCapture({ ...place, tables: [`${schema}.t`] })
    let held: Promise<void> | undefined
    let heldCount = 0
    let refused = 0
    const slow = withCommit(engine, async (batch) => {
      if (held !== undefined) heldCount++
      await held
      const outcome = await engine.commit(batch)
      if (!outcome.ok) refused++
      return outcome
    })
    await using first = captureChanges({ ...place, engine: slow })
    await first.caughtUp()
    const release = Promise.withResolvers<void>()
    held = release.promise
    await pool.query('INSERT INTO t VALUES (1)')
    // From here on the first one waits for its commit, and cannot come back for the slot.
    await until(() => heldCount > 0)
    await using second = captureChanges({ ...place, engine })
    await until(() => second.state === 'standing-by')
    // Once, and while the second one stands by: a cut that came later would hit that one, again and again on a slow machine.
    const cut = `SELECT pg_terminate_backend(active_pid) FROM pg_replication_slots WHERE slot_name = $1 AND active`
    expect((await pool.query(cut, [schema])).rows).toHaveLength(1)
    await until(() => second.state === 'streaming')
    await second.caughtUp()
    release.resolve()
    await until(() => refused > 0)
    await second.close()
    await until(async () => (await engine.inTransit?.())?.length === 0)
    const found = (await messagesOf(engine, `${schema}.t`)).filter(({ type }) => type.endsWith('.inserted'))
    expect(found).toHaveLength(1)
  })
})
