import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeEach, describe, expect, it } from 'vitest'
import { startServer, stopServer } from '../../scripts/servers/index.ts'
import { embedded } from '../embedded/index.ts'
import type { Engine } from '../engine/index.ts'
import { SeededRandom, sleep, systemClock, systemRandom } from '../kernel/index.ts'
import { type CapturedReport, type CaptureFailedReport, channels } from '../telemetry/index.ts'
import {
  CapturedDatabase,
  changeMessages,
  flatMessages,
  folded,
  happening,
  messagesOf,
  serversWanted,
  until,
} from './captured-database.test-support.ts'
import { type Capture, type CaptureOptions, captureChanges, describeCapture, forgetCapture } from './index.ts'

let count = 0
let database: CapturedDatabase
let engine: Engine

const topic = (table: string): string => `${database.name}.${table}`
const capturing = (over: Partial<CaptureOptions> = {}): Capture =>
  captureChanges({ ...database.place, engine, heartbeat: '200ms', ...over })

// Skipped because it needs a real server: `npm run test:engines` runs it.
describe.skipIf(!serversWanted)('changes of tables, whatever happens,', { timeout: 120_000 }, () => {
  beforeEach(async () => {
    database = await CapturedDatabase.open(`capture_crash_${process.pid}_${count++}`)
    engine = await embedded({ path: ':memory:' }).open()
    return async () => {
      await database[Symbol.asyncDispose]()
      await engine.close()
    }
  })

  it('add up to what the table holds, while it is read and written at the same time', async () => {
    await database.run(`CREATE TABLE t (id integer PRIMARY KEY, n integer, filler text);
      INSERT INTO t SELECT i, 0, repeat('f', 20) FROM generate_series(1, 10000) AS i`)
    await database.setUp('t')
    const random = new SeededRandom(systemRandom.nextUint32())
    process.stderr.write(`Seed of the writes: ${random.seed}\n`)
    const capture = capturing()
    const writer = async (base: number): Promise<void> => {
      for (let turn = 0; turn < 80; turn++) {
        const id = 1 + (random.nextUint32() % 10_000)
        const kind = random.nextUint32() % 5
        if (kind === 0) await database.run('DELETE FROM t WHERE id BETWEEN $1 AND $2', [id, id + 3])
        else if (kind === 1) await database.run('INSERT INTO t VALUES ($1, 1, NULL) ON CONFLICT DO NOTHING', [id])
        else if (kind === 2) await database.run('UPDATE t SET id = $1 WHERE id = $2', [base + turn, id])
        else await database.run('UPDATE t SET n = n + 1 WHERE id BETWEEN $1 AND $2', [id, id + 20])
      }
    }
    await Promise.all([writer(100_000), writer(200_000), writer(300_000)])
    await capture.caughtUp()
    expect(await folded(engine, topic('t'))).toEqual(await database.contents('t'))
    await capture.close()
  })

  it('come once when the connection is cut again and again, in the snapshot and in large transactions', async () => {
    await database.run(`CREATE TABLE t (id integer PRIMARY KEY, n integer);
      INSERT INTO t SELECT i, 0 FROM generate_series(1, 6000) AS i`)
    await database.setUp('t')
    const capture = capturing()
    let cuts = 0
    const cutting = (async () => {
      while (cuts < 6) {
        await sleep(60, systemClock)
        if (await database.cut()) cuts++
      }
    })()
    for (let turn = 0; turn < 4; turn++) await database.run('UPDATE t SET n = n + 1')
    await cutting
    await capture.caughtUp()
    await capture.close()
    expect(await folded(engine, topic('t'))).toEqual(await database.contents('t'))
    expect((await changeMessages(engine, topic('t'))).length).toBe(24_000)
  })

  it('loses and repeats nothing when the capturing process is killed again and again', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'millrace-capture-'))
    const path = join(folder, 'target.db')
    const script = join(import.meta.dirname, 'fixtures', 'capture-process.ts')
    const random = new SeededRandom(systemRandom.nextUint32())
    process.stderr.write(`Seed of the kills: ${random.seed}\n`)
    await database.run(`CREATE TABLE t (id integer PRIMARY KEY, n integer);
      INSERT INTO t SELECT i, 0 FROM generate_series(1, 8000) AS i`)
    await database.setUp('t')
    let isDone = false
    let total = 0
    const writing = (async () => {
      while (!isDone) {
        const from = random.nextUint32() % 8_000
        total +=
          (await database.pool.query('UPDATE t SET n = n + 1 WHERE id > $1 AND id <= $1 + 200', [from])).rowCount ?? 0
        await sleep(5, systemClock)
      }
    })()
    for (let round = 0; round < 6; round++) {
      const child = spawn(process.execPath, [script, database.url, database.name, path], {
        stdio: ['ignore', 'pipe', 'inherit'],
      })
      const exit = once(child, 'exit')
      await once(child.stdout, 'data')
      await sleep(100 + random.nextFloat() * 700, systemClock)
      child.kill('SIGKILL')
      await exit
    }
    isDone = true
    await writing
    const file = await embedded({ path }).open()
    const last = capturing({ engine: file })
    await last.caughtUp()
    await last.close()
    const rows = await folded(file, topic('t'))
    const updated = (await messagesOf(file, topic('t'))).flat().filter((message) => happening(message) === 'updated')
    await file.close()
    rmSync(folder, { recursive: true })
    expect(rows).toEqual(await database.contents('t'))
    expect(updated).toHaveLength(total)
  })

  it('come once, apart from what is under way at a crash, to an engine that keeps no state beside topics', async () => {
    await database.run(`CREATE TABLE t (id integer PRIMARY KEY, n integer);
      INSERT INTO t SELECT i, 0 FROM generate_series(1, 5000) AS i`)
    await database.setUp('t')
    const plain: Engine = Object.assign(Object.create(engine) as Engine, {
      topics: engine.topics,
      capabilities: { ...engine.capabilities, atomic: [['topics', 'progress']] },
      commit: (batch: Parameters<Engine['commit']>[0]) => engine.commit(batch),
    })
    const first = capturing({ engine: plain })
    await until(async () => (await flatMessages(engine, topic('t'))).length > 2_000)
    await first.close()
    const second = capturing({ engine: plain })
    await database.run('UPDATE t SET n = 1')
    await second.caughtUp()
    await second.close()
    await using third = capturing({ engine: plain })
    await database.run('DELETE FROM t WHERE id > 4000')
    await third.caughtUp()
    expect(await folded(engine, topic('t'))).toEqual(await database.contents('t'))
    expect((await flatMessages(engine, topic('t'))).filter((message) => happening(message) === 'found')).toHaveLength(
      5_000,
    )
    expect(await engine.state.count('capture')).toBe(0)
    await third.close()
    await forgetCapture(plain, database.name)
    expect((await engine.topics.list()).map(({ name }) => name)).toEqual([topic('t')])
  })

  it('are not committed by a capture that lost its slot and does not know yet', async () => {
    await database.run('CREATE TABLE t (id integer PRIMARY KEY)')
    await database.setUp('t')
    let held: PromiseWithResolvers<void> | undefined
    let heldCount = 0
    let refused = 0
    const slow: Engine = Object.assign(Object.create(engine) as Engine, {
      topics: engine.topics,
      state: engine.state,
      capabilities: engine.capabilities,
      commit: async (batch: Parameters<Engine['commit']>[0]) => {
        if (held !== undefined) heldCount++
        await held?.promise
        const outcome = await engine.commit(batch)
        if (!outcome.ok) refused++
        return outcome
      },
    })
    const first = capturing({ engine: slow })
    await first.caughtUp()
    held = Promise.withResolvers()
    await database.run('INSERT INTO t VALUES (1)')
    // From here on the first one waits for its commit, and cannot come back for the slot.
    await until(() => heldCount > 0)
    const second = capturing()
    await until(() => second.state === 'standing-by')
    // Once, and while the second one stands by: a cut that came later would hit that one, again and again on a slow machine.
    expect(await database.cut()).toBe(true)
    await until(() => second.state === 'streaming')
    await second.caughtUp()
    held.resolve()
    await until(() => refused > 0)
    await database.run('INSERT INTO t VALUES (2)')
    await second.caughtUp()
    await second.close()
    await first.caughtUp()
    await first.close()
    const found = await changeMessages(engine, topic('t'))
    expect(found).toHaveLength(2)
    expect(new Set(found.map(({ partitionkey }) => partitionkey))).toEqual(new Set(['1', '2']))
  })

  it('wait for an engine that fails for a while', async () => {
    await database.run('CREATE TABLE t (id integer PRIMARY KEY); INSERT INTO t SELECT generate_series(1, 3000)')
    await database.setUp('t')
    const random = new SeededRandom(systemRandom.nextUint32())
    process.stderr.write(`Seed of the failures: ${random.seed}\n`)
    let commits = 0
    const failing: Engine = Object.assign(Object.create(engine) as Engine, {
      topics: engine.topics,
      state: engine.state,
      capabilities: engine.capabilities,
      commit: (batch: Parameters<Engine['commit']>[0]) =>
        commits++ === 0 || random.nextFloat() < 0.4
          ? Promise.reject(new TypeError('out of order'))
          : engine.commit(batch),
    })
    const told: unknown[] = []
    const note = (report: unknown): number => told.push((report as CaptureFailedReport).error)
    channels.captureFailed.subscribe(note)
    await using capture = capturing({ engine: failing })
    await database.run('DELETE FROM t WHERE id > 2000')
    await capture.caughtUp()
    channels.captureFailed.unsubscribe(note)
    expect(new Set(told.map((error) => (error as Error).message))).toEqual(new Set(['out of order']))
    expect(await folded(engine, topic('t'))).toEqual(await database.contents('t'))
  })

  it('of a large transaction go on where they were, in commits of a bounded size', async () => {
    const rowCount = 100_000
    await database.run('CREATE TABLE t (id integer PRIMARY KEY, filler text)')
    await database.setUp('t')
    const reports: CapturedReport[] = []
    const note = (report: unknown): number => reports.push(report as CapturedReport)
    channels.captured.subscribe(note)
    await database.run(`INSERT INTO t SELECT i, repeat('f', 50) FROM generate_series(1, ${rowCount}) AS i`)
    // A chunk of a snapshot may be larger.
    const first = capturing({ snapshot: false })
    // In the middle of the transaction, and again a little later.
    await until(() => reports.length > 5)
    await database.cut()
    await until(() => reports.length > 15)
    await first.close()
    const brought = reports.reduce((sum, { messageCount }) => sum + messageCount, 0)
    const second = capturing({ snapshot: false })
    await second.caughtUp()
    await second.close()
    channels.captured.unsubscribe(note)
    expect(brought).toBeLessThan(rowCount)
    expect(Math.max(...reports.map(({ messageCount }) => messageCount))).toBeLessThanOrEqual(2_000 + 4)
    expect((await folded(engine, topic('t'))).size).toBe(rowCount)
    expect(await changeMessages(engine, topic('t'))).toHaveLength(rowCount)
  })
})

// Skipped because it needs a real server: `npm run test:engines` runs it.
describe.skipIf(!serversWanted)('changes of tables on a server of their own', { timeout: 120_000 }, () => {
  const place = { portBase: Number(process.env['MILLRACE_SERVERS_PORT_BASE'] ?? 19_000) + 4700 }
  afterAll(() => stopServer('postgres', { ...place, deleteData: true }))

  it('go on by themselves', async () => {
    const server = await startServer('postgres', place)
    database = await CapturedDatabase.open('capture', server.connection.url)
    engine = await embedded({ path: ':memory:' }).open()
    await database.run('CREATE TABLE t (id integer PRIMARY KEY); INSERT INTO t SELECT generate_series(1, 5000)')
    await database.setUp('t')
    const capture = capturing()
    await until(async () => (await folded(engine, topic('t'))).size > 0)
    const [node] = server.nodes
    await node?.kill()
    await sleep(300, systemClock)
    await node?.resume().catch(() => undefined)
    await startServer('postgres', place)
    await database.run('INSERT INTO t SELECT generate_series(5001, 6000)')
    await until(async () => (await folded(engine, topic('t'))).size === 6000)
    await capture.close()
    expect(await folded(engine, topic('t'))).toEqual(await database.contents('t'))
    await engine.close()
    await database[Symbol.asyncDispose]()
  })

  it('whose log the server gave up end the capture, and say so', async () => {
    const server = await startServer('postgres', place)
    database = await CapturedDatabase.open('capture_lost', server.connection.url)
    await using superuser = await CapturedDatabase.open('capture_superuser', server.connection.superuserUrl)
    engine = await embedded({ path: ':memory:' }).open()
    await database.run('CREATE TABLE t (id integer PRIMARY KEY)')
    await database.setUp('t')
    const capture = capturing()
    await capture.caughtUp()
    await capture.close()
    await superuser.run(`ALTER SYSTEM SET max_slot_wal_keep_size = '1MB'`)
    await superuser.run('SELECT pg_reload_conf()')
    await until(async () => {
      await database.run('INSERT INTO t SELECT coalesce(max(id), 0) + 1 FROM t')
      await superuser.run('SELECT pg_switch_wal()')
      await superuser.run('CHECKPOINT')
      return (await describeCapture(database.place)).slot?.walStatus === 'lost'
    })
    await expect(capturing().finished).rejects.toMatchObject({ code: 'CAPTURE_SLOT_UNUSABLE' })
    await engine.close()
    await database[Symbol.asyncDispose]()
  })
})
