import { beforeEach, describe, expect, it } from 'vitest'
import { embedded } from '../embedded/index.ts'
import type { Engine } from '../engine/index.ts'
import type { Message } from '../message/index.ts'
import { type CaptureTableLeftReport, channels } from '../telemetry/index.ts'
import {
  CapturedDatabase,
  flatMessages,
  folded,
  happening,
  messagesOf,
  serversWanted,
  until,
} from './captured-database.test-support.ts'
import { type Capture, type CaptureOptions, captureChanges } from './index.ts'

let count = 0
let database: CapturedDatabase
let engine: Engine
let reports: CaptureTableLeftReport[] = []

const topic = (table: string): string => `${database.name}.${table}`
const capturing = (over: Partial<CaptureOptions> = {}): Capture =>
  captureChanges({ ...database.place, engine, heartbeat: '100ms', ...over })

/** What was told of tables that left, one for each partition of the topic. */
async function departures(table: string): Promise<readonly Message[]> {
  return (await flatMessages(engine, topic(table))).filter((message) => happening(message) === 'left')
}

async function untilLeft(table: string, times = 1): Promise<void> {
  await until(async () => (await departures(table)).length === 4 * times)
}

// Skipped because it needs a real server: `npm run test:engines` runs it.
describe.skipIf(!serversWanted)('tables that leave a capture', { timeout: 60_000 }, () => {
  beforeEach(async () => {
    database = await CapturedDatabase.open(`departed_${process.pid}_${count++}`)
    engine = await embedded({ path: ':memory:' }).open()
    reports = []
    const note = (report: unknown): number => reports.push(report as CaptureTableLeftReport)
    channels.captureTableLeft.subscribe(note)
    await database.run('CREATE TABLE t (id integer PRIMARY KEY); CREATE TABLE other (id integer PRIMARY KEY)')
    await database.setUp('t', 'other')
    return async () => {
      channels.captureTableLeft.unsubscribe(note)
      await database[Symbol.asyncDispose]()
      await engine.close()
    }
  })

  it('are told of when they were dropped, after all their changes, while the others go on', async () => {
    await using capture = capturing()
    await capture.caughtUp()
    await database.run('INSERT INTO t SELECT generate_series(1, 3000)')
    await database.run('DELETE FROM t WHERE id % 2 = 0')
    await database.run('DROP TABLE t')
    await database.run('INSERT INTO other VALUES (1)')
    await untilLeft('t')
    for (const [partition, messages] of (await messagesOf(engine, topic('t'))).entries()) {
      expect(messages.at(-1)).toMatchObject({
        type: `${topic('t')}.left`,
        partitionkey: topic('t'),
        data: {
          schema: database.name,
          table: 't',
          reason: 'dropped',
          renamedTo: null,
          lsn: expect.stringMatching(/^[0-9A-F]+\/[0-9A-F]+$/),
          previous: { replicaIdentity: 'default', columns: [{ name: 'id', type: 'integer', isKey: true }] },
          partition,
          partitionCount: 4,
        },
      })
    }
    expect((await flatMessages(engine, topic('t'))).filter((one) => happening(one) === 'deleted')).toHaveLength(1500)
    expect((await folded(engine, topic('t'))).size).toBe(0)
    await capture.caughtUp()
    expect([...(await folded(engine, topic('other'))).keys()]).toEqual(['{"id":1}'])
    expect(reports).toEqual([
      { slot: database.name, schema: database.name, table: 't', reason: 'dropped', renamedTo: null },
    ])
  })

  it('are told of once, also when that happened while nobody captured', async () => {
    const first = capturing()
    await first.caughtUp()
    await database.run('INSERT INTO t VALUES (1)')
    await first.caughtUp()
    await first.close()
    await database.run('DROP TABLE t')
    const second = capturing()
    await untilLeft('t')
    await second.close()
    await using third = capturing()
    await database.run('INSERT INTO other VALUES (1)')
    await third.caughtUp()
    await lookedTwice()
    expect(await departures('t')).toHaveLength(4)
    expect(reports).toHaveLength(1)
  })

  it('are told of with their new name, under which their changes go on', async () => {
    await using capture = capturing()
    await capture.caughtUp()
    await database.run('INSERT INTO t VALUES (1); ALTER TABLE t RENAME TO u')
    await untilLeft('t')
    await database.run('INSERT INTO u VALUES (2)')
    const [left] = await departures('t')
    expect(left?.data).toMatchObject({ reason: 'renamed', renamedTo: { schema: database.name, name: 'u' } })
    await until(async () => (await folded(engine, topic('u'))).size === 2)
    expect((await folded(engine, topic('t'))).size).toBe(1)
  })

  it('are told of when they are taken out, and begin with a description and a snapshot when they come back', async () => {
    await using capture = capturing()
    await capture.caughtUp()
    await database.run('INSERT INTO t VALUES (1)')
    await database.setUp('other')
    await untilLeft('t')
    await database.run('INSERT INTO t VALUES (2)')
    await database.setUp('t', 'other')
    await database.run('INSERT INTO t VALUES (3)')
    await until(async () => (await folded(engine, topic('t'))).size === 3)
    expect(await folded(engine, topic('t'))).toEqual(await database.contents('t'))
    expect((await departures('t'))[0]?.data).toMatchObject({ reason: 'unpublished', renamedTo: null })
    for (const messages of await messagesOf(engine, topic('t'))) {
      const told = messages.filter((one) => ['described', 'left'].includes(happening(one)))
      expect(told.map(happening)).toEqual(['described', 'left', 'described'])
      expect(told.at(-1)?.data).toMatchObject({ previous: null })
    }
  })

  it.each([
    ['before anybody has looked', '30s'],
    ['after a look', '100ms'],
  ] as const)('are told of when another one has their name and a change of it comes, %s', async (_when, heartbeat) => {
    await using capture = capturing({ heartbeat })
    await database.run('INSERT INTO t VALUES (1)')
    await capture.caughtUp()
    await database.run(`DROP TABLE t; CREATE TABLE t (id integer PRIMARY KEY, name text);
      ALTER PUBLICATION "${database.name}" ADD TABLE t`)
    if (heartbeat === '100ms') await untilLeft('t')
    await database.run(`INSERT INTO t VALUES (2, 'a')`)
    await untilLeft('t')
    await until(async () => (await folded(engine, topic('t'))).has('{"id":2}'))
    expect(await folded(engine, topic('t'))).toEqual(await database.contents('t'))
    expect((await departures('t')).map(({ data }) => (data as { reason: string }).reason)).toEqual(
      Array(4).fill('replaced'),
    )
    for (const messages of await messagesOf(engine, topic('t'))) {
      const told = messages.filter((one) => ['described', 'left'].includes(happening(one)))
      expect(told.map(happening)).toEqual(['described', 'left', 'described'])
    }
  })

  it('leave a capture without tables that waits for others', async () => {
    await using capture = capturing()
    await capture.caughtUp()
    await database.run('DROP TABLE t; DROP TABLE other')
    await untilLeft('t')
    await untilLeft('other')
    expect(capture.state).toBe('streaming')
    await database.run(`CREATE TABLE t (id integer PRIMARY KEY); ALTER PUBLICATION "${database.name}" ADD TABLE t`)
    await database.run('INSERT INTO t VALUES (7)')
    await until(async () => (await folded(engine, topic('t'))).has('{"id":7}'))
  })

  it('are told of on the channel where messages of ones own are published, and no topic is made for them', async () => {
    await using capture = capturing({ publish: () => [] })
    await capture.caughtUp()
    await database.run('INSERT INTO t VALUES (1)')
    await capture.caughtUp()
    await database.run('DROP TABLE t')
    await until(() => reports.length === 1)
    expect(reports[0]).toMatchObject({ table: 't', reason: 'dropped' })
    expect(await engine.topics.describe(topic('t'))).toBeUndefined()
  })

  /** Waits until the capture has noted twice more how far the server is, which goes with a look. */
  async function lookedTwice(): Promise<void> {
    for (let looks = 0; looks < 2; looks++) {
      const before = await engine.state.get('capture', database.name)
      await database.run('CREATE TABLE IF NOT EXISTS noise (id integer); INSERT INTO noise VALUES (1)')
      await until(async () => (await engine.state.get('capture', database.name))?.revision !== before?.revision)
    }
  }
})
