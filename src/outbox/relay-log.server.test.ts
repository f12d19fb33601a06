import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { beforeEach, describe, expect, it } from 'vitest'
import { createCapture, describeCapture, dropCapture } from '../capture/index.ts'
import { embedded } from '../embedded/index.ts'
import type { Engine } from '../engine/index.ts'
import { SeededRandom, sleep, systemClock, systemRandom } from '../kernel/index.ts'
import { RecordTooLargeError } from '../record/index.ts'
import { channels, type RelayFailedReport } from '../telemetry/index.ts'
import { serversWanted, type TestDatabase } from './database.test-support.ts'
import { type LogRelayOptions, outbox, type RelayPool, relayOutbox, relayOutboxLog } from './index.ts'
import { byKey, counted, outboxGround, until, upTo } from './outbox-ground.test-support.ts'

// Skipped because it needs a real server: `npm run test:engines` runs it.
describe.skipIf(!serversWanted)('an outbox that is read from the log', { timeout: 120_000 }, () => {
  let database: TestDatabase
  let engine: Engine
  let schema = ''
  let slot = ''
  const ground = outboxGround('outbox_log', async () => {
    await until(async () => (await cut()) === 0)
    await dropCapture({ connection: database.url, slot })
  })
  const { put, waiting } = ground
  const table = (): string => ground.table
  beforeEach(() => {
    ;({ database, engine, schema } = ground)
    slot = schema
  })

  const setUp = (): Promise<void> =>
    createCapture({ connection: database.url, slot, tables: [`${schema}.millrace_outbox`] })
  const relay = (over: Partial<LogRelayOptions> = {}) =>
    relayOutboxLog({ pool: database.pool, connection: database.url, slot, engine, schema, ...over })
  const cut = async (): Promise<number> =>
    (
      await database.rows(
        `SELECT pg_terminate_backend(active_pid) FROM pg_replication_slots WHERE slot_name = $1 AND active`,
        [slot],
      )
    ).length

  it('lets rows wait whose topic is not there and may not be created, and no others', async () => {
    await engine.topics.create('counts')
    await setUp()
    const box = outbox(database.pool, { schema })
    const putFor = (topic: string, n: number) => box.publish(counted(n), { topic })
    await putFor('log-typo', 0)
    await using _running = relay({ createTopics: false })
    await put(0)
    await until(async () => (await waiting()) === 1)
    await putFor('log-typo', 1)
    await putFor('later', 0)
    await put(1)
    await until(async () => (await waiting()) === 3)
    expect(await byKey(engine)).toEqual({ k: [0, 1] })
    await engine.topics.create('log-typo')
    await putFor('log-typo', 2)
    await until(async () => (await waiting()) === 1)
    await put(2)
    await putFor('log-typo', 3)
    await until(async () => (await waiting()) === 1)
    expect(await byKey(engine, 'log-typo')).toEqual({ k: upTo(4) })
    expect(await byKey(engine)).toEqual({ k: upTo(3) })
  })

  it('is published in the order of its commits, with what stood in it before, and cleared', async () => {
    await put(0, 1)
    await setUp()
    await put(2)
    await using _running = relay()
    await until(async () => (await waiting()) === 0)
    const slow = await database.pool.connect()
    await slow.query('BEGIN')
    await outbox(slow, { schema }).publish(counted(4))
    await put(3)
    await database.transaction((client) => outbox(client, { schema }).publish(counted(99)), 'ROLLBACK')
    await slow.query('COMMIT')
    slow.release()
    await until(async () => ((await byKey(engine))['k']?.length ?? 0) === 5)
    await until(async () => (await waiting()) === 0)
    expect(await byKey(engine)).toEqual({ k: [0, 1, 2, 3, 4] })
  })

  it('ends where it has no slot, and where its slot or its table is taken away', { timeout: 60_000 }, async () => {
    await expect(relay().finished).rejects.toMatchObject({ code: 'CAPTURE_SLOT_MISSING' })
    await setUp()
    const running = relay()
    await put(0)
    await until(async () => (await waiting()) === 0)
    await until(async () => (await cut()) > 0)
    await dropCapture({ connection: database.url, slot })
    await until(async () => {
      await cut()
      return (await describeCapture({ connection: database.url, slot })).slot === null
    })
    await expect(running.finished).rejects.toMatchObject({ code: expect.stringMatching(/^CAPTURE_/) })
    await running.close()
    await database.pool.query(`DROP TABLE ${table()}`)
    await expect(relay().finished).rejects.toMatchObject({ code: 'OUTBOX_TABLE_MISSING' })
  })

  it('loses nothing that is put in while its slot is being made', async () => {
    const slow = await database.pool.connect()
    await slow.query('BEGIN')
    await outbox(slow, { schema }).publish(counted(3))
    const made = setUp()
    await until(async () => (await describeCapture({ connection: database.url, slot })).slot?.confirmedLsn === null)
    await put(0)
    await using _running = relay()
    // Long enough for a relay that does not wait for the slot.
    await sleep(500, systemClock)
    await put(1)
    await slow.query('COMMIT')
    slow.release()
    await made
    await put(2)
    await until(async () => (await waiting()) === 0)
    expect((await byKey(engine))['k']?.toSorted((a, b) => a - b)).toEqual([0, 1, 2, 3])
  })

  it('takes what just fits, and goes by what the engine says of a record', async () => {
    await engine.topics.create('counts', { recordBytesMax: 20_000 })
    await setUp()
    let failures = 0
    const choosy: Engine = Object.assign(Object.create(engine) as Engine, {
      topics: engine.topics,
      state: engine.state,
      capabilities: engine.capabilities,
      commit: async (batch: Parameters<Engine['commit']>[0]) => {
        const numbers = (batch.publish ?? []).flatMap(({ messages = [] }) =>
          messages.map(({ data }) => (data as { n: number }).n),
        )
        if (numbers.includes(5) && failures++ < 3) throw new TypeError('the connection is gone')
        if (numbers.includes(3)) throw new RecordTooLargeError(1, 0)
        return engine.commit(batch)
      },
    })
    await using _running = relay({ engine: choosy })
    await until(async () => (await describeCapture({ connection: database.url, slot })).slot?.isActive === true)
    await put(0)
    await outbox(database.pool, { schema }).publish(counted(1, 'k', 'x'.repeat(19_000)))
    await put(2)
    await put(3, 4)
    await until(async () => (await waiting()) === 1)
    await put(5)
    await until(async () => (await waiting()) === 1 && failures > 3)
    const rows = await database.rows(`SELECT message, refusal FROM ${table()}`)
    expect(rows).toMatchObject([
      { message: expect.stringMatching(/"n":3\b/), refusal: expect.stringMatching(/^RECORD_TOO_LARGE: /) },
    ])
    expect(await byKey(engine)).toEqual({ k: [0, 1, 2, 4, 5] })
  })

  it('is published to an engine that cannot note what was, and not again after the relay was closed', async () => {
    await setUp()
    const plain: Engine = Object.assign(Object.create(engine) as Engine, {
      topics: engine.topics,
      capabilities: { ...engine.capabilities, atomic: [['topics', 'progress']] },
      commit: (batch: Parameters<Engine['commit']>[0]) => engine.commit(batch),
    })
    for (let turn = 0; turn < 3; turn++) {
      const running = relay({ engine: plain })
      await put(...upTo(10, turn * 20))
      const count = (turn + 1) * 20
      await put(...upTo(10, count - 10))
      await until(async () => (await byKey(engine))['k']?.length === count)
      await running.close()
      expect(await waiting()).toBe(0)
    }
    expect(await byKey(engine)).toEqual({ k: upTo(60) })
    expect(await engine.state.count('outbox-relay')).toBe(0)
  })

  it('is not looked at while nothing is put in', async () => {
    await setUp()
    const statements: string[] = []
    const pool: RelayPool = {
      connect: async () => {
        const client = await database.pool.connect()
        return {
          query: (text, values) => {
            statements.push(text)
            return client.query(text, values)
          },
          on: (name, listener) => client.on(name, listener),
          release: (destroy) => client.release(destroy),
        }
      },
    }
    await using _running = relay({ pool })
    await put(0)
    await until(async () => (await waiting()) === 0)
    const looks = (): number => statements.filter((text) => text.includes('millrace_outbox')).length
    // It looks once more after what it has sent, and again after what it has noted of it: a relay that polls never stops.
    await until(async () => {
      const seen = looks()
      await sleep(1_500, systemClock)
      return looks() === seen
    })
    await put(1)
    await until(async () => (await waiting()) === 0)
    expect(await byKey(engine)).toEqual({ k: [0, 1] })
  })

  it('sets aside what a topic never takes, and publishes what was mended', async () => {
    await engine.topics.create('counts', { recordBytesMax: 20_000 })
    await engine.topics.create('compacted', { cleanup: 'compact' })
    await setUp()
    const failures: RelayFailedReport[] = []
    const note = (report: unknown): number => failures.push(report as RelayFailedReport)
    channels.relayFailed.subscribe(note)
    await using _running = relay()
    await outbox(database.pool, { schema }).publish([counted(0), counted(1, 'k', 'x'.repeat(50_000)), counted(2)])
    await database.rows(`INSERT INTO ${table()} (topic, message) VALUES ('no topic', '{}'), ('compacted', '{}')`)
    await until(async () => (await database.rows(`SELECT id FROM ${table()} WHERE refusal IS NOT NULL`)).length === 3)
    channels.relayFailed.unsubscribe(note)
    const codes = failures.map(({ error }) => (error as { code?: string }).code)
    // Other tests may cut whatever holds a lock of the database.
    expect(codes.filter((code) => code === 'OUTBOX_ROW_REFUSED')).toHaveLength(3)
    const rows = await database.rows(`SELECT refusal FROM ${table()} WHERE refusal IS NOT NULL ORDER BY id`)
    expect(rows).toMatchObject([
      { refusal: expect.stringMatching(/^RECORD_TOO_LARGE: /) },
      { refusal: expect.stringMatching(/^TOPIC_NAME_INVALID: /) },
      { refusal: expect.stringMatching(/^ARGUMENT_INVALID: /) },
    ])
    await database.rows(`DELETE FROM ${table()} WHERE topic <> 'counts'`)
    // Long enough to stand out of line, which an update that does not touch it leaves out of the log.
    const filler = `repeat(md5(random()::text), 100)`
    await database.rows(`UPDATE ${table()} SET message = replace(message, repeat('x', 50000), ${filler})`)
    await database.rows(`UPDATE ${table()} SET refusal = NULL`)
    await until(async () => (await waiting()) === 0)
    expect(await byKey(engine)).toEqual({ k: [0, 2, 1] })
  })

  it('keeps the relays that poll away, and is theirs when it is closed', async () => {
    await setUp()
    const first = relay({ keep: '1h' })
    await put(0)
    await until(async () => (await waiting()) === 0)
    await using _second = relayOutbox({ pool: database.pool, engine, schema, poll: '5ms' })
    await put(1, 2)
    await until(async () => (await waiting()) === 0)
    expect(await database.rows(`SELECT 1 FROM ${table()}`)).toHaveLength(3)
    await first.close()
    await first.close()
    await put(3)
    await until(async () => (await waiting()) === 0)
    expect(await byKey(engine)).toEqual({ k: [0, 1, 2, 3] })
  })

  it('is repeated by neither kind of relay when one of the other kind is gone before it could clear', async () => {
    await setUp()
    let isGone = false
    const cutting: Engine = Object.assign(Object.create(engine) as Engine, {
      topics: engine.topics,
      state: engine.state,
      capabilities: engine.capabilities,
      commit: async (batch: Parameters<Engine['commit']>[0]) => {
        const outcome = await engine.commit(batch)
        if (!isGone && batch.publish?.some(({ topic }) => topic === 'counts')) {
          isGone = true
          await database.cutRelay(schema)
        }
        return outcome
      },
    })
    const mortal: RelayPool = {
      connect: () => (isGone ? Promise.reject(new TypeError('gone')) : database.pool.connect()),
    }
    const polling = (over: Partial<LogRelayOptions>) =>
      relayOutbox({ pool: database.pool, engine, schema, poll: '5ms', ...over })
    for (let turn = 0; turn < 4; turn++) {
      const [first, second] = turn % 2 === 0 ? [relay, polling] : [polling, relay]
      isGone = false
      const working = first({ engine: cutting, pool: mortal })
      await put(...upTo(5, turn * 10))
      await until(() => isGone)
      const other = second({})
      await put(...upTo(5, turn * 10 + 5))
      await until(async () => (await waiting()) === 0)
      await working.close()
      await other.close()
    }
    expect(await byKey(engine)).toEqual({ k: upTo(40) })
  })

  it('loses and repeats nothing when connections are cut and processes killed, of relays of both kinds in turn', async () => {
    await setUp()
    const folder = mkdtempSync(join(tmpdir(), 'millrace-outbox-log-'))
    const path = join(folder, 'target.db')
    const script = join(import.meta.dirname, 'fixtures', 'relay-process.ts')
    const random = new SeededRandom(systemRandom.nextUint32())
    process.stderr.write(`Seed of the kills: ${random.seed}\n`)
    let total = 0
    let isDone = false
    const publishing = (async () => {
      for (; !isDone; total += 10) await put(...upTo(10, total))
    })()
    for (let round = 0; round < 6; round++) {
      const kind = random.nextFloat() < 0.6 ? [slot] : []
      const child = spawn(process.execPath, [script, database.url, schema, path, ...kind], {
        stdio: ['ignore', 'pipe', 'inherit'],
      })
      const exit = once(child, 'exit')
      await once(child.stdout, 'data')
      await sleep(100 + random.nextFloat() * 500, systemClock)
      if (random.nextFloat() < 0.3) await cut()
      await sleep(random.nextFloat() * 300, systemClock)
      child.kill('SIGKILL')
      await exit
    }
    isDone = true
    await publishing
    const file = await embedded({ path }).open()
    const last = relay({ engine: file })
    await until(async () => (await waiting()) === 0)
    await last.close()
    const found = await byKey(file)
    await file.close()
    rmSync(folder, { recursive: true })
    expect(found).toEqual({ k: upTo(total) })
  })
})
