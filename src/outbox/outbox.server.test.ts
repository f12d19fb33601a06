import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { drizzle } from 'drizzle-orm/node-postgres'
import { sql } from 'drizzle-orm/sql'
import { CompiledQuery, Kysely, PostgresDialect } from 'kysely'
import { afterAll, beforeEach, describe, expect, it } from 'vitest'
import { startServer, stopServer } from '../../scripts/servers/index.ts'
import { embedded } from '../embedded/index.ts'
import type { Engine } from '../engine/index.ts'
import { SeededRandom, sleep, systemClock, systemRandom } from '../kernel/index.ts'
import { channels, type RelayFailedReport } from '../telemetry/index.ts'
import { serversWanted, TestDatabase } from './database.test-support.ts'
import {
  createInbox,
  createOutbox,
  fromStatements,
  inbox,
  outbox,
  outboxSchemaSql,
  type RelayOptions,
  relayOutbox,
  templateOf,
} from './index.ts'
import { byKey, counted, outboxGround, until, upTo } from './outbox-ground.test-support.ts'

// Skipped because it needs a real server: `npm run test:engines` runs it.
describe.skipIf(!serversWanted)('an outbox in a database of the user', { timeout: 60_000 }, () => {
  let database: TestDatabase
  let engine: Engine
  let schema = ''
  const ground = outboxGround('outbox')
  const { put, waiting } = ground
  const table = (): string => ground.table
  beforeEach(() => {
    ;({ database, engine, schema } = ground)
  })

  const relay = (over: Partial<RelayOptions> = {}) =>
    relayOutbox({ pool: database.pool, engine, schema, poll: '5ms', ...over })

  it('holds what a transaction put in, and nothing of one that was undone', async () => {
    await put(0, 1)
    await database.transaction((client) => outbox(client, { schema }).publish(counted(2)), 'ROLLBACK')
    await put(3)
    await database.transaction((client) => outbox(client, { schema }).publish([]))
    await using _running = relay()
    await until(async () => (await waiting()) === 0)
    expect(await byKey(engine)).toEqual({ k: [0, 1, 3] })
  })

  it('publishes the message as it was created, to the topic of its definition or the one that was named', async () => {
    const message = counted(7, 'größe €')
    await outbox(database.pool, { schema }).publish(message)
    await outbox(database.pool, { schema }).publish(counted(8), { topic: 'elsewhere' })
    await using _running = relay()
    await until(async () => (await waiting()) === 0)
    const partitions = (await engine.topics.describe('counts'))?.partitions ?? []
    const found = await Promise.all(
      partitions.map(({ partition }) => engine.topics.read({ topic: 'counts', partition, offset: 0 })),
    )
    expect(found.flatMap(({ records }) => records)).toMatchObject([{ kind: 'message', message }])
    expect(await byKey(engine, 'elsewhere')).toEqual({ k: [8] })
  })

  it('takes its statements through Kysely, Drizzle and a client that knows raw statements only', async () => {
    const kysely = new Kysely<object>({ dialect: new PostgresDialect({ pool: database.pool }) })
    await kysely.transaction().execute(async (trx) => {
      const client = fromStatements((text, values) => trx.executeQuery(CompiledQuery.raw(text, [...values])))
      await outbox(client, { schema }).publish(counted(1))
    })
    await drizzle(database.pool).transaction(async (tx) => {
      const client = fromStatements((text, values) => tx.execute(sql(templateOf(text), ...values)))
      await outbox(client, { schema }).publish(counted(2))
    })
    // The shape of Prisma's `$queryRawUnsafe`.
    await database.transaction(async (client) => {
      const prisma = {
        $queryRawUnsafe: async (text: string, ...values: unknown[]): Promise<unknown> =>
          (await client.query(text, values)).rows,
      }
      const raw = fromStatements((text, values) => prisma.$queryRawUnsafe(text, ...values))
      await outbox(raw, { schema }).publish([counted(3), counted(4)])
    })
    await using _running = relay()
    await until(async () => (await waiting()) === 0)
    expect(await byKey(engine)).toEqual({ k: [1, 2, 3, 4] })
  })

  it('passes over nothing, however long a transaction takes, and keeps the order of a key', async () => {
    await using _running = relay({ batchRowsMax: 3 })
    const slow = await database.pool.connect()
    await slow.query('BEGIN')
    await outbox(slow, { schema }).publish(counted(0, 'slow'))
    for (let n = 0; n < 20; n++) {
      await database.transaction((client) => outbox(client, { schema }).publish([counted(n), counted(n, `k${n % 3}`)]))
      if (n === 10) await until(async () => (await byKey(engine))['k']?.includes(9) === true)
    }
    await until(async () => ((await byKey(engine))['k']?.length ?? 0) === 20)
    await outbox(slow, { schema }).publish(counted(1, 'slow'))
    await slow.query('COMMIT')
    slow.release()
    await put(20)
    await until(async () => (await waiting()) === 0)
    expect(await byKey(engine)).toEqual({
      k: upTo(21),
      slow: [0, 1],
      k0: upTo(20).filter((n) => n % 3 === 0),
      k1: upTo(20).filter((n) => n % 3 === 1),
      k2: upTo(20).filter((n) => n % 3 === 2),
    })
  })

  it('repeats nothing when its connection is cut between publishing and clearing, and nothing is cleared twice', async () => {
    let cuts = 0
    const cutting: Engine = Object.assign(Object.create(engine) as Engine, {
      topics: engine.topics,
      state: engine.state,
      capabilities: engine.capabilities,
      commit: async (batch: Parameters<Engine['commit']>[0]) => {
        const outcome = await engine.commit(batch)
        if (cuts++ < 5) {
          await database.cutRelay(schema)
        }
        return outcome
      },
    })
    for (let n = 0; n < 40; n++) await put(n)
    await using _running = relay({ engine: cutting, batchRowsMax: 4 })
    await until(async () => (await waiting()) === 0)
    expect(cuts).toBeGreaterThan(5)
    expect(await byKey(engine)).toEqual({ k: upTo(40) })
  })

  it('is worked on by one relay, and by the next when that one is closed or cut off', async () => {
    const first = relay()
    await put(0)
    await until(async () => (await waiting()) === 0)
    const second = relay()
    await put(1, 2)
    await until(async () => (await waiting()) === 0)
    await first.close()
    await put(3)
    await until(async () => (await waiting()) === 0)
    await second.close()
    await second.close()
    expect(await byKey(engine)).toEqual({ k: [0, 1, 2, 3] })
  })

  it('sets aside what a topic never takes, says so, and goes on; what was mended is published', async () => {
    await engine.topics.create('counts', { recordBytesMax: 2000 })
    const failures: RelayFailedReport[] = []
    const note = (report: unknown): number => failures.push(report as RelayFailedReport)
    channels.relayFailed.subscribe(note)
    await outbox(database.pool, { schema }).publish([counted(0), counted(1, 'k', 'x'.repeat(5000)), counted(2)])
    await outbox(database.pool, { schema }).publish(counted(3), { topic: 'other' })
    await using _running = relay()
    await until(async () => (await waiting()) === 1)
    channels.relayFailed.unsubscribe(note)
    expect(await byKey(engine)).toEqual({ k: [0, 2] })
    expect(await byKey(engine, 'other')).toEqual({ k: [3] })
    const [row] = await database.rows(`SELECT id, refusal FROM ${table()}`)
    expect(row?.['refusal']).toMatch(/^RECORD_TOO_LARGE: /)
    expect(failures.map(({ error }) => (error as { code?: string }).code)).toEqual(['OUTBOX_ROW_REFUSED'])
    await database.rows(`UPDATE ${table()} SET refusal = NULL, message = replace(message, repeat('x', 5000), 'x')`)
    await until(async () => (await waiting()) === 0)
    expect(await byKey(engine)).toEqual({ k: [0, 2, 1] })
  })

  it('carries what somebody wrote by hand and is no message, so that its readers can say so', async () => {
    await database.rows(`INSERT INTO ${table()} (topic, key, message) VALUES ('counts', 'k', '{"broken')`)
    await put(1)
    await using _running = relay()
    await until(async () => (await waiting()) === 0)
    const partitions = (await engine.topics.describe('counts'))?.partitions ?? []
    const found = await Promise.all(
      partitions.map(({ partition }) => engine.topics.read({ topic: 'counts', partition, offset: 0 })),
    )
    const kinds = found.flatMap(({ records }) => records.map(({ kind }) => kind))
    expect(kinds).toEqual(['undecodable', 'message'])
  })

  it('sets aside what is for a topic that there can never be', async () => {
    await database.rows(`INSERT INTO ${table()} (topic, key, message) VALUES ('no topic', 'k', '{}')`)
    await put(1)
    await using _running = relay()
    await until(async () => (await waiting()) === 1 && (await byKey(engine))['k'] !== undefined)
    const [row] = await database.rows(`SELECT refusal FROM ${table()}`)
    expect(row?.['refusal']).toMatch(/^TOPIC_NAME_INVALID: /)
    expect(await byKey(engine)).toEqual({ k: [1] })
  })

  it('keeps what was sent for as long as it is told to', async () => {
    await put(0, 1)
    const running = relay({ keep: '1h' })
    await until(async () => (await waiting()) === 0)
    await running.close()
    expect(await database.rows(`SELECT 1 FROM ${table()}`)).toHaveLength(2)
    await using _other = relay({ keep: '1ms' })
    await until(async () => (await database.rows(`SELECT 1 FROM ${table()}`)).length === 0)
    expect(await byKey(engine)).toEqual({ k: [0, 1] })
  })

  it('publishes at least once, with the same ids, to an engine that cannot keep the place of the relay', async () => {
    const plain: Engine = Object.assign(Object.create(engine) as Engine, {
      topics: engine.topics,
      capabilities: { ...engine.capabilities, atomic: [['topics', 'progress']] },
      commit: (batch: Parameters<Engine['commit']>[0]) => engine.commit(batch),
    })
    await put(...upTo(30))
    await using _running = relay({ engine: plain, batchRowsMax: 10 })
    await until(async () => (await waiting()) === 0)
    expect(await byKey(engine)).toEqual({ k: upTo(30) })
    expect(await engine.state.count('outbox-relay')).toBe(0)
  })

  it('is created once by whoever comes first, and refuses a table that is none', async () => {
    await Promise.all(upTo(8).map(() => createOutbox(database.pool, { schema, table: 'many' })))
    await database.rows(outboxSchemaSql({ schema, table: 'many' }))
    await database.rows(`CREATE TABLE "${schema}".foreign (id int)`)
    await expect(createOutbox(database.pool, { schema, table: 'foreign' })).rejects.toMatchObject({
      code: 'OUTBOX_TABLE_MISSING',
    })
    await database.rows(`COMMENT ON TABLE "${schema}".many IS
      'millrace outbox, format 2, id 00000000-0000-0000-0000-000000000000'`)
    await expect(createOutbox(database.pool, { schema, table: 'many' })).rejects.toMatchObject({
      code: 'OUTBOX_TABLE_NEWER',
    })
  })

  it('has any name, and is found by it', async () => {
    for (const table of ['a\nb', '$$; "it\'s" \\ %s', '💥']) {
      await createOutbox(database.pool, { schema, table })
      await createInbox(database.pool, { schema, table: `${table} in` })
      await outbox(database.pool, { schema, table }).publish(counted(1))
      expect(await inbox(database.pool, { schema, table: `${table} in` }).once('h', counted(1))).toBe(true)
    }
  })

  it('refuses what is no message before anything is stored', async () => {
    const box = outbox(database.pool, { schema })
    for (const bad of [undefined, null, 7, 'text', {}, [counted(1), {}], { ...counted(1), id: '' }]) {
      await expect(box.publish(bad as never)).rejects.toMatchObject({ code: 'OUTBOX_ARGUMENT_INVALID' })
    }
    for (const topic of ['', 'a b', '..', 7]) {
      await expect(box.publish(counted(1), { topic: topic as string })).rejects.toMatchObject({
        code: 'OUTBOX_ARGUMENT_INVALID',
      })
    }
    expect(await waiting()).toBe(0)
  })

  it('loses and repeats nothing when the process of the relay is killed again and again', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'millrace-outbox-'))
    const path = join(folder, 'target.db')
    const script = join(import.meta.dirname, 'fixtures', 'relay-process.ts')
    const random = new SeededRandom(systemRandom.nextUint32())
    process.stderr.write(`Seed of the kills: ${random.seed}\n`)
    const total = 4_000
    const publishing = (async () => {
      for (let n = 0; n < total; n += 10) await put(...upTo(10, n))
    })()
    let killedAtWork = 0
    for (let round = 0; round < 8; round++) {
      const child = spawn(process.execPath, [script, database.url, schema, path], {
        stdio: ['ignore', 'pipe', 'inherit'],
      })
      const exit = once(child, 'exit')
      await once(child.stdout, 'data')
      await sleep(20 + random.nextFloat() * 150, systemClock)
      child.kill('SIGKILL')
      await exit
      if ((await waiting()) > 0) killedAtWork++
    }
    await publishing
    const file = await embedded({ path }).open()
    const last = relay({ engine: file })
    await until(async () => (await waiting()) === 0)
    await last.close()
    const found = await byKey(file)
    await file.close()
    rmSync(folder, { recursive: true })
    expect(found).toEqual({ k: upTo(total) })
    expect(killedAtWork).toBeGreaterThan(0)
  })
})

// Skipped because it needs a real server: `npm run test:engines` runs it.
describe.skipIf(!serversWanted)('an outbox on a server that is killed', { timeout: 120_000 }, () => {
  const place = { portBase: 30_000 + (process.pid % 5_000) }
  afterAll(() => stopServer('postgres', { ...place, deleteData: true }))

  it('goes on by itself', async () => {
    const server = await startServer('postgres', place)
    const database = await TestDatabase.open('outbox', server.connection.url)
    const { schema } = database
    await createOutbox(database.pool, { schema })
    await using engine = await embedded({ path: ':memory:' }).open()
    const running = relayOutbox({ pool: database.pool, engine, schema, poll: '5ms' })
    await outbox(database.pool, { schema }).publish(upTo(100).map((n) => counted(n)))
    await until(async () => ((await byKey(engine))['k']?.length ?? 0) > 0)
    const [node] = server.nodes
    await node?.kill()
    await sleep(300, systemClock)
    await node?.resume().catch(() => undefined)
    await startServer('postgres', place)
    await outbox(database.pool, { schema }).publish(upTo(100, 100).map((n) => counted(n)))
    await until(async () => ((await byKey(engine))['k']?.length ?? 0) >= 200)
    await running.close()
    expect(await byKey(engine)).toEqual({ k: upTo(200) })
    await database[Symbol.asyncDispose]()
  })
})
