import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { describe, expect, it } from 'vitest'
import { embedded } from '../embedded/index.ts'
import { type Clock, SeededRandom, systemClock, systemRandom } from '../kernel/index.ts'
import { fixed, type Handler, none } from '../runtime/index.ts'
import {
  sqliteTables,
  TablesUnavailableError,
  type TableView,
  type TableViewOptions,
  tableView,
} from '../tables/index.ts'
import { channels } from '../telemetry/index.ts'
import { clockFaster } from './app.test-support.ts'
import { Counted, countedView } from './counted-table.test-support.ts'
import { app, type RunningApp, service } from './index.ts'
import { killAfterLines } from './killed-process.test-support.ts'

function start(handlers: readonly Handler[], clock: Clock = systemClock): Promise<RunningApp> {
  const shop = app('shop', { services: [service('reports', handlers)] })
  return shop.start({ engine: embedded({ path: ':memory:' }), clock })
}

function countsIn(database: DatabaseSync): Record<string, number> {
  const rows = database.prepare('SELECT key, n FROM counts ORDER BY key').all()
  return Object.fromEntries(rows.map(({ key, n }) => [String(key), Number(n)]))
}

const idsIn = (database: DatabaseSync): number =>
  Number(database.prepare('SELECT count(*) AS n FROM seen').get()?.['n'])

describe('a view in tables of SQLite', () => {
  it('applies each event once, and is read after it was waited for', async () => {
    using database = new DatabaseSync(':memory:')
    const view = countedView(sqliteTables(database))
    await using running = await start([view])
    const events = Array.from({ length: 1000 }, (_, n) => Counted({ key: `k${n % 3}`, id: `${n}` }))
    await running.waitFor(view, await running.publish(events))
    expect(countsIn(database)).toEqual({ k0: 334, k1: 333, k2: 333 })
  })

  it('takes an event that comes again for the one that it is', async () => {
    using database = new DatabaseSync(':memory:')
    await using running = await start([countedView(sqliteTables(database))])
    const event = Counted({ key: 'a', id: '1' })
    await running.publish([event, event])
    await running.publish(event)
    await running.idle()
    expect([countsIn(database), await running.deadLetters.count()]).toEqual([{ a: 1 }, 0])
  })

  it('lets an event that cannot be applied fail alone, with those behind it of its key', async () => {
    using database = new DatabaseSync(':memory:')
    const patient = { ...countedView(sqliteTables(database)), retry: none }
    await using running = await start([patient])
    const events = Array.from({ length: 200 }, (_, n) =>
      Counted({ key: `k${n % 5}`, id: n === 57 ? 'poison' : `${n}` }),
    )
    await running.publish(events)
    await running.idle()
    // 57 is the twelfth event of k2: those behind it wait.
    expect(countsIn(database)).toEqual({ k0: 40, k1: 40, k2: 11, k3: 40, k4: 40 })
    const letters = await running.deadLetters.list()
    expect(letters.map(({ error }) => error.message)).toEqual(['poison cannot be applied'])
    await running.deadLetters.discard('all')
    await running.idle()
    expect(countsIn(database)).toEqual({ k0: 40, k1: 40, k2: 39, k3: 40, k4: 40 })
  })

  it('waits for a database that somebody else holds', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'millrace-tables-'))
    try {
      using database = new DatabaseSync(join(folder, 'tables.db'), { timeout: 0 })
      using other = new DatabaseSync(join(folder, 'tables.db'))
      other.exec('BEGIN IMMEDIATE')
      await using running = await start([countedView(sqliteTables(database))], clockFaster(20))
      await running.publish(Counted({ key: 'a', id: '1' }))
      // Longer than the attempts of the usual policy take, by that clock.
      await new Promise((resolve) => setTimeout(resolve, 1500 / 20))
      expect(await running.deadLetters.count()).toBe(0)
      other.exec('ROLLBACK')
      await running.idle()
      expect(countsIn(database)).toEqual({ a: 1 })
    } finally {
      rmSync(folder, { recursive: true, force: true })
    }
  })

  it.each<[string, TableViewOptions<readonly [typeof Counted], DatabaseSync>['on']['Counted'], string, number]>([
    ['works on asynchronously', async (db) => db.exec('INSERT INTO seen VALUES (1)'), 'answered a promise', 0],
    ['ends the transaction', (db) => db.exec('COMMIT'), 'ended the transaction', 0],
    ['ends the transaction and begins another one', (db) => db.exec('COMMIT; BEGIN'), 'ended the transaction', 0],
    ['takes the transaction back', (db) => db.exec('ROLLBACK'), 'ended the transaction', 0],
  ])('refuses a function that %s, each time', async (_what, change, reason, seenCount) => {
    using database = new DatabaseSync(':memory:')
    const view = tableView('wrong', {
      database: sqliteTables(database),
      events: [Counted],
      setup: ['CREATE TABLE seen (id TEXT)'],
      on: { Counted: change },
      retry: fixed({ delay: '1ms', max: 3 }),
    })
    await using running = await start([view])
    await running.publish(['a', 'b'].map((key) => Counted({ key, id: key })))
    await running.idle()
    const letters = await running.deadLetters.list()
    expect(letters.map(({ attempts, error }) => [attempts, error.code])).toEqual(
      Array(2).fill([3, 'TABLE_CHANGE_INVALID']),
    )
    expect(letters[0]?.error.message).toContain(reason)
    expect(idsIn(database)).toBe(seenCount)
  })

  it('does not count attempts at a database that cannot against an event', async () => {
    using database = new DatabaseSync(':memory:')
    const tables = sqliteTables(database)
    let awayCount = 8
    let failCount = 2
    const view = tableView('patient', {
      database: {
        ...tables,
        name: tables.name,
        prepare: (setup) => tables.prepare(setup),
        prune: async () => false,
        transact: async (handler, changes) => {
          if (awayCount-- > 0) throw new TablesUnavailableError('it', { cause: new Error('away') })
          return tables.transact(handler, changes)
        },
      },
      events: [Counted],
      on: {
        Counted: () => {
          if (failCount-- > 0) throw new RangeError('not yet')
        },
      },
      retry: fixed({ delay: '1ms', max: 3 }),
    })
    await using running = await start([view], clockFaster(100))
    await running.publish(Counted({ key: 'a', id: '1' }))
    await running.idle()
    expect([awayCount < 0, failCount < 0, await running.deadLetters.count()]).toEqual([true, true, 0])
  })

  it('applies nothing to a database that may forget, until it may not', async () => {
    using database = new DatabaseSync(':memory:')
    database.exec('PRAGMA synchronous = NORMAL')
    const told = Promise.withResolvers<unknown>()
    const onWaiting = ({ error }: { readonly error: unknown }): void => told.resolve(error)
    channels.waiting.subscribe(onWaiting)
    await using running = await start([{ ...countedView(sqliteTables(database)), name: 'counted' }])
    await running.publish(Counted({ key: 'a', id: '1' }))
    const error = await told.promise
    channels.waiting.unsubscribe(onWaiting)
    expect(error).toMatchObject({
      code: 'TABLES_UNAVAILABLE',
      fault: 'passing',
      cause: { code: 'TABLES_NOT_DURABLE' },
    })
    database.exec('PRAGMA synchronous = FULL')
    await running.idle()
    expect([countsIn(database), await running.deadLetters.count()]).toEqual([{ a: 1 }, 0])
  })

  it('forgets what it applied long ago, not what it applied lately, nor what another view did', async () => {
    using database = new DatabaseSync(':memory:')
    const tables = sqliteTables(database)
    await tables.prepare([])
    const note = database.prepare('INSERT INTO millrace_inbox VALUES (?, ?, ?, unixepoch() - ?)')
    database.exec('BEGIN')
    for (let n = 0; n < 25_000; n++) note.run('h', 's', `${n}`, n < 24_999 ? 7300 : 7100)
    note.run('other', 's', 'old', 7300)
    database.exec('COMMIT')
    while (await tables.prune('h', 7_200_000));
    expect(database.prepare('SELECT handler, id FROM millrace_inbox ORDER BY handler').all()).toEqual([
      { handler: 'h', id: '24999' },
      { handler: 'other', id: 'old' },
    ])
  })

  it('takes no more events a second than it is told', async () => {
    using database = new DatabaseSync(':memory:')
    const limited = countedView(sqliteTables(database), { eventsPerSecond: 100 })
    await using running = await start([limited])
    const startMs = performance.now()
    const events = Array.from({ length: 60 }, (_, n) => Counted({ key: `k${n}`, id: `${n}` }))
    await running.waitFor(limited, await running.publish(events))
    expect(idsIn(database)).toBe(60)
    // What comes in a tenth of a second may be made up for, and as much is taken at once.
    expect(performance.now() - startMs).toBeGreaterThanOrEqual(350)
  })

  it('has versions only where it says what readers see, and in an app that holds it', async () => {
    using database = new DatabaseSync(':memory:')
    const [bare, other] = [
      countedView(sqliteTables(database)) as TableView,
      countedView(sqliteTables(database)) as TableView,
    ]
    await using running = await start([bare])
    expect(() => running.view(bare)).toThrow(expect.objectContaining({ code: 'ARGUMENT_INVALID' }))
    expect(() => running.view(other)).toThrow(expect.objectContaining({ code: 'VIEW_UNKNOWN' }))
    const shown = tableView('counted', {
      database: sqliteTables(database),
      version: 2,
      tables: { counts: 'counts_v2' },
      events: [Counted],
      on: { Counted: () => undefined },
    })
    await expect(start([bare, shown])).rejects.toThrow(/not filled yet/)
  })

  it('says all that is wrong with its options', () => {
    const wrong = {
      database: {},
      events: [],
      on: { X: 1 },
      version: 0,
      keep: '1s',
      timeout: 0,
      setup: 'x',
      tables: { Revenue: 'revenue_v1', revenue: 'revenue' },
      oops: 1,
      eventsPerSecond: 0,
    }
    expect(() => tableView('no name', wrong as never)).toThrow(
      expect.objectContaining({
        code: 'OPTIONS_INVALID',
        details: {
          problems: [
            'name',
            'oops',
            'database',
            'version',
            'setup',
            'tables.Revenue',
            'tables.revenue',
            'events',
            'on.X',
            'keep',
            'timeout',
            'eventsPerSecond',
          ].map((option): unknown => expect.objectContaining({ option })),
          subject: expect.anything(),
        },
      }),
    )
    using database = new DatabaseSync(':memory:')
    const given = { database: sqliteTables(database), events: [Counted], on: { Counted: () => undefined } } as const
    for (const tables of [{}, [], 'revenue', { 'a.b.c': 'd' }, { a: 'b"c' }]) {
      expect(() => tableView('x', { ...given, tables: tables as never })).toThrow(/tables/)
    }
    const { versions: _versions, ...foreign } = { ...given.database, transact: async () => undefined }
    expect(() => tableView('x', { ...given, database: foreign, tables: { a: 'b' } })).toThrow('knows versions')
    expect(() => tableView('x', undefined as never)).toThrow(expect.objectContaining({ code: 'OPTIONS_INVALID' }))
  })
})

describe('a view in tables whose process is killed', () => {
  it('applies each event exactly once', { timeout: 120_000 }, async () => {
    const random = new SeededRandom(systemRandom.nextUint32())
    const folder = mkdtempSync(join(tmpdir(), 'millrace-tables-'))
    try {
      let published = 0
      for (let run = 0; run < 5; run++) {
        const args = [folder, `${run}`]
        const output = await killAfterLines('table-crash-app.ts', args, 2 + Math.floor(random.nextFloat() * 60))
        published += [...output.matchAll(/^published (\d+)$/gm)].reduce((sum, match) => sum + Number(match[1]), 0)
      }
      using database = new DatabaseSync(join(folder, 'tables.db'))
      const crashing = app('crashing', { services: [service('reports', [countedView(sqliteTables(database))])] })
      await using running = await crashing.start({ engine: embedded({ path: join(folder, 'engine.db') }) })
      await running.idle()
      const topic = await running.engine.topics.describe('counted')
      const stored = (topic?.partitions ?? []).reduce((sum, { latest }) => sum + latest, 0)
      expect(published, `seed ${random.seed}`).toBeGreaterThan(0)
      expect(stored).toBeGreaterThanOrEqual(published)
      const counted = Object.values(countsIn(database)).reduce((sum, n) => sum + n, 0)
      expect([idsIn(database), counted, await running.deadLetters.count()], `seed ${random.seed}`).toEqual([
        stored,
        stored,
        0,
      ])
    } finally {
      rmSync(folder, { recursive: true, force: true })
    }
  })
})
