import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { startServer } from '../../scripts/servers/index.ts'
import type { EngineSource } from '../engine/index.ts'
import { kafka } from '../kafka/index.ts'
import { systemRandom } from '../kernel/index.ts'
import { postgres } from '../postgres/index.ts'
import {
  CapturedDatabase,
  folded,
  happening,
  messagesOf,
  serversWanted,
  until,
} from './captured-database.test-support.ts'
import { captureChanges, forgetCapture } from './index.ts'

/** What goes through, and what is taken away afterwards. */
interface Target {
  readonly open: (name: string) => Promise<EngineSource>
  readonly remove: (database: CapturedDatabase) => Promise<void>
}

const targets: Readonly<Record<string, Target>> = {
  postgres: {
    open: async (schema) =>
      postgres({ connection: (await startServer('postgres')).connection.url, schema: `${schema}_engine` }),
    remove: async (database) => {
      await database.run(`DROP SCHEMA "${database.name}_engine" CASCADE`)
    },
  },
  kafka: {
    open: async (name) =>
      kafka({
        brokers: (await startServer('kafka')).connection.bootstrapBrokers,
        prefix: `${name}-${systemRandom.nextUint32()}.`,
      }),
    remove: async () => undefined,
  },
}

// Skipped because it needs real servers: `npm run test:engines` runs it.
describe.skipIf(!serversWanted).each(Object.entries(targets))('changes that go to %s', (name, target) => {
  let database: CapturedDatabase
  let source: EngineSource

  beforeAll(async () => {
    database = await CapturedDatabase.open(`capture_${name}_${process.pid}`)
    source = await target.open(database.name)
  }, 600_000)
  afterAll(async () => {
    await target.remove(database)
    await database[Symbol.asyncDispose]()
  }, 60_000)

  it('come once, through cuts and restarts', { timeout: 120_000 }, async () => {
    const topic = `${database.name}.t`
    await using engine = await source.open()
    await database.run(`CREATE TABLE t (id integer PRIMARY KEY, n integer);
      INSERT INTO t SELECT i, 0 FROM generate_series(1, 5000) AS i`)
    await database.setUp('t')
    const first = captureChanges({ ...database.place, engine })
    await until(async () => (await messagesOf(engine, topic)).flat().length > 2000)
    await database.cut()
    await database.run('UPDATE t SET n = n + 1')
    await first.close()
    await using second = captureChanges({ ...database.place, engine })
    await database.run('DELETE FROM t WHERE id > 4000')
    await database.run('INSERT INTO t SELECT i, 7 FROM generate_series(6001, 6100) AS i')
    await second.caughtUp()
    expect(await folded(engine, topic)).toEqual(await database.contents('t'))
    const happenings = Map.groupBy((await messagesOf(engine, topic)).flat(), happening)
    expect(happenings.get('updated')).toHaveLength(5000)
    expect(happenings.get('deleted')).toHaveLength(1000)
    await second.close()
    await forgetCapture(engine, database.name)
    await using third = captureChanges({ ...database.place, engine, topic: 'anew' })
    await third.caughtUp()
    expect(await folded(engine, 'anew')).toEqual(await database.contents('t'))
  })
})
