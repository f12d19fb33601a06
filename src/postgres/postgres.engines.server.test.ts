import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { StateChange } from '../engine/index.ts'
import { type PostgresEngine, type PostgresOptions, postgres } from './index.ts'
import { message, numbered } from './messages.test-support.ts'
import { dropSchema, runSql, serversWanted, serverUrl } from './real-server.test-support.ts'

const schema = `engines_${process.pid}`
const upTo = (count: number): number[] => Array.from({ length: count }, (_, n) => n)

// Skipped because it needs a real server: `npm run test:engines` runs it.
describe.skipIf(!serversWanted)('several engines on one schema', () => {
  let url = ''
  let engines: readonly PostgresEngine[] = []
  const open = (options: Partial<PostgresOptions> = {}) =>
    postgres({ connection: url, schema, pollMs: 20, ...options }).open()
  beforeAll(async () => {
    url = await serverUrl()
    // At the same time: only one of them makes the tables.
    engines = await Promise.all(upTo(3).map(() => open({ poolMax: 4 })))
  }, 600_000)
  afterAll(async () => {
    await Promise.all(engines.map((engine) => engine.close()))
    await dropSchema(url, schema)
  })
  const [a, b, c] = [0, 1, 2].map((i) => () => engines[i] as PostgresEngine) as [
    () => PostgresEngine,
    () => PostgresEngine,
    () => PostgresEngine,
  ]

  it('let one of racing appends win, under a version and under a condition', async () => {
    for (let round = 0; round < 50; round++) {
      const tag = `race:${round}`
      const condition = { query: { items: [{ tags: [tag] }] }, after: 0 }
      const conditional = engines.map((engine, i) =>
        engine.commit({
          append: [{ stream: `${tag}:${i}`, events: [{ message: message('R'), tags: [tag] }], condition }],
        }),
      )
      const versioned = engines.map((engine) =>
        engine.commit({
          append: [{ stream: tag, expected: round % 2 === 0 ? 'none' : 0, events: [{ message: message('V') }] }],
        }),
      )
      const stated = engines.map((engine, i) =>
        engine.commit({ state: [{ kind: 'set', namespace: 'race', key: tag, value: i, expectedRevision: 0 }] }),
      )
      for (const race of [conditional, versioned, stated]) {
        const outcomes = await Promise.all(race)
        expect(outcomes.filter(({ ok }) => ok)).toHaveLength(1)
      }
    }
  })

  it('fire a timer once', async () => {
    for (let round = 0; round < 50; round++) {
      await a().commit({ timers: [{ kind: 'schedule', owner: 'race', id: 't', dueMs: round, payload: null }] })
      const [timer] = await b().timers.due('race', round)
      const fire = { kind: 'fire', owner: 'race', id: 't', revision: timer?.revision ?? -1 } as const
      const outcomes = await Promise.all(engines.map((engine) => engine.commit({ timers: [fire] })))
      expect(outcomes.filter(({ ok }) => ok)).toHaveLength(1)
    }
  })

  it('skip no event that a subscriber elsewhere has to see, and keep to the order of positions', async () => {
    const controller = new AbortController()
    const count = 1200
    const seen: number[] = []
    const query = { items: [{ types: ['Subscribed'] }] }
    const after = await b().events.lastPosition()
    const reading = (async () => {
      for await (const one of b().events.subscribe({ after, query, signal: controller.signal })) {
        if (one.kind !== 'event') continue
        seen.push(one.position)
        if (seen.length === count) controller.abort()
      }
    })()
    await Promise.all(
      upTo(count).map((n) => {
        const engine = engines[n % 3] as PostgresEngine
        return engine.commit({
          append: [{ stream: `subscribed-${n % 7}`, events: [{ message: message('Subscribed', n) }] }],
        })
      }),
    )
    await reading
    expect(seen).toEqual(seen.toSorted((x, y) => x - y))
    expect(new Set(seen).size).toBe(count)
  })

  it('give out each offset of a partition once, whoever publishes', async () => {
    await a().topics.create('shared', { partitions: 1 })
    const outcomes = await Promise.all(
      upTo(600).map((n) =>
        (engines[n % 3] as PostgresEngine).commit({ publish: [{ topic: 'shared', messages: [numbered(n)] }] }),
      ),
    )
    const offsets = outcomes.map((outcome) => (outcome.ok ? outcome.published[0]?.offset : undefined))
    expect(new Set(offsets)).toEqual(new Set(upTo(600)))
  })

  it('know a topic that another one made, as soon as it is named, and commits stay in order', async () => {
    await a().topics.create('made-elsewhere', { partitions: 1 })
    const commits = upTo(20).map((n) => {
      const publish = [{ topic: n === 0 ? 'made-elsewhere' : 'shared', messages: [numbered(n)] }]
      return b().commit({
        publish,
        state: [{ kind: 'set', namespace: 'order', key: 'k', value: n, expectedRevision: n }],
      })
    })
    expect((await Promise.all(commits)).every(({ ok }) => ok)).toBe(true)
  })

  it('refuse to publish to a topic that another one deleted', async () => {
    await a().topics.create('gone', { partitions: 1 })
    await b().commit({ publish: [{ topic: 'gone', messages: [numbered(0)] }] })
    await a().topics.delete('gone')
    const late = b().commit({ publish: [{ topic: 'gone', messages: [numbered(1)] }] })
    await expect(late).rejects.toMatchObject({ code: 'TOPIC_UNKNOWN' })
  })

  it('tell watchers of what others committed, while transactions overlap', async () => {
    const controller = new AbortController()
    const latest = new Map<string, unknown>()
    const changes: StateChange[] = []
    const watching = (async () => {
      for await (const change of c().state.watch('watched', { signal: controller.signal })) {
        changes.push(change)
        latest.set(change.key, change.value)
        if (latest.size === 60 && [...latest.values()].every((value) => value === 9)) controller.abort()
      }
    })()
    // A transaction of somebody else that begins before and ends after: what came meanwhile must not wait for it.
    const other = runSql(url, 'SELECT pg_current_xact_id(), pg_sleep(0.5)')
    await Promise.all(
      upTo(60).map(async (k) => {
        for (let n = 0; n < 10; n++) {
          const engine = engines[(k + n) % 2] as PostgresEngine
          await engine.commit({ state: [{ kind: 'set', namespace: 'watched', key: `k${k}`, value: n }] })
        }
      }),
    )
    await Promise.all([watching, other])
    const revisions = new Map<string, number>()
    for (const { key, revision } of changes) {
      expect(revision).toBeGreaterThan(revisions.get(key) ?? 0)
      revisions.set(key, revision)
    }
  })

  it('tell a watcher what was committed after its call, also when the server is slow to take its first look', async () => {
    const controller = new AbortController()
    // One connection reads, and a statement that waits for a lock has it.
    await using engine = await open({ poolMax: 3 })
    const locking = runSql(url, `BEGIN; LOCK TABLE ${schema}.timer; SELECT pg_sleep(0.5); COMMIT`)
    await runSql(url, 'SELECT pg_sleep(0.1)')
    const waiting = engine.timers.list()
    const iterable = engine.state.watch('first-look', { signal: controller.signal })
    const committing = engine.commit({ state: [{ kind: 'set', namespace: 'first-look', key: 'k', value: 1 }] })
    for await (const change of iterable) {
      expect(change).toEqual({ key: 'k', value: 1, revision: 1 })
      controller.abort()
    }
    await Promise.all([locking, waiting, committing])
  }, 10_000)

  it('tell of deletions, and of timers that others scheduled', async () => {
    const controller = new AbortController()
    const told: number[] = []
    const stop = c().timers.onScheduled('elsewhere', (dueMs) => told.push(dueMs))
    await a().commit({ state: [{ kind: 'set', namespace: 'deleted', key: 'k', value: 1 }] })
    const changes: StateChange[] = []
    const iterable = c().state.watch('deleted', { signal: controller.signal })
    const watching = (async () => {
      for await (const change of iterable) {
        changes.push(change)
        controller.abort()
      }
    })()
    await c().commit({})
    await a().commit({
      state: [{ kind: 'delete', namespace: 'deleted', key: 'k' }],
      timers: [{ kind: 'schedule', owner: 'elsewhere', id: 't', dueMs: 77, payload: null }],
    })
    await watching
    expect(changes).toEqual([{ key: 'k', value: undefined, revision: 0 }])
    await expect.poll(() => told).toContain(77)
    stop()
  })

  it('wake a reader that waits for what another one publishes', async () => {
    await a().topics.create('woken', { partitions: 1 })
    const reading = b().topics.read({ topic: 'woken', partition: 0, offset: 0, waitMs: 30_000 })
    await a().commit({ publish: [{ topic: 'woken', messages: [numbered(5)] }] })
    expect((await reading).records).toHaveLength(1)
  })

  it('do not wait for each other in a circle, whatever they write together', async () => {
    await a().topics.create('circle', { partitions: 4 })
    const outcomes = await Promise.all(
      upTo(300).map((n) => {
        const engine = engines[n % 3] as PostgresEngine
        const keys = [n % 5, (n + 3) % 5, (n * 7) % 5].map(String)
        return engine.commit({
          publish: keys.map((key) => ({ topic: 'circle', messages: [message('C', n, { partitionkey: key })] })),
          append: [{ stream: `circle-${n % 4}`, events: [{ message: message('C') }] }],
          state: keys.map((key) => ({ kind: 'set', namespace: `circle-${key}`, key, value: n }) as const),
          timers: keys.map(
            (key) => ({ kind: 'schedule', owner: `circle-${key}`, id: key, dueMs: n, payload: null }) as const,
          ),
        })
      }),
    )
    expect(outcomes.every(({ ok }) => ok)).toBe(true)
  })

  it('never use more connections than they may', async () => {
    await using engine = await open({ poolMax: 4, applicationName: 'engines-few' })
    const count = `SELECT count(*)::integer AS n FROM pg_stat_activity WHERE application_name = 'engines-few'`
    const reads = upTo(200).map(() => engine.events.lastPosition())
    const [row] = await runSql(url, count)
    await Promise.all(reads)
    expect(Number(row?.['n'])).toBeLessThanOrEqual(4)
    expect(Number((await runSql(url, count))[0]?.['n'])).toBeLessThanOrEqual(4)
  })

  it('tell no changes of transactions that are still to come, as a restored dump has them, and all others', async () => {
    await a().commit({
      state: [{ kind: 'set', namespace: 'restored', key: 'old', value: 1 }],
      timers: [{ kind: 'schedule', owner: 'restored', id: 't', dueMs: 1, payload: null }],
    })
    for (const table of ['state', 'timer']) await runSql(url, `UPDATE ${schema}.${table} SET changed = '99999999999'`)
    const controller = new AbortController()
    const told: string[] = []
    const dueMs: number[] = []
    const stop = b().timers.onScheduled('restored', (ms) => dueMs.push(ms))
    const watching = (async () => {
      for await (const { key } of b().state.watch('restored', { signal: controller.signal })) told.push(key)
    })()
    // Whoever begins to listen to an owner is told once what is due first.
    await expect.poll(() => dueMs).toEqual([1])
    await runSql(url, 'SELECT pg_sleep(0.3)')
    expect(told).toEqual([])
    await a().commit({
      state: [{ kind: 'set', namespace: 'restored', key: 'new', value: 1 }],
      timers: [{ kind: 'schedule', owner: 'restored', id: 'u', dueMs: 2, payload: null }],
    })
    await expect.poll(() => told).toEqual(['new'])
    await expect.poll(() => dueMs).toEqual([1, 2])
    controller.abort()
    await watching
    stop()
  })

  it('leave the row of one that is there, whatever clocks say, and put back their own', async () => {
    const own = `${schema}_rows`
    await using quiet = await open({ schema: own, maintenanceIntervalMs: 0 })
    await quiet.commit({})
    await quiet.topics.create('rows', { partitions: 1 })
    const listening = async () => runSql(url, `SELECT 1 FROM ${own}.instance WHERE listener_pid IS NOT NULL`)
    await expect.poll(async () => (await listening()).length).toBe(1)
    await runSql(url, `UPDATE ${own}.instance SET seen_at = now() - interval '32 days'`)
    await runSql(url, `INSERT INTO ${own}.instance VALUES (gen_random_uuid(), 1, 1, '[]', now() - interval '32 days')`)
    const rowCount = async (): Promise<number> => (await runSql(url, `SELECT 1 FROM ${own}.instance`)).length
    {
      await using upkeeping = await open({ schema: own, maintenanceIntervalMs: 100 })
      // Its own row, and that of the quiet one: the third is of nobody.
      await expect.poll(rowCount).toBe(2)
      expect((await upkeeping.commit({})).ok).toBe(true)
    }
    expect(await rowCount()).toBe(1)
    for (const n of upTo(3)) {
      await runSql(url, `DELETE FROM ${own}.instance`)
      expect((await quiet.commit({ publish: [{ topic: 'rows', messages: [numbered(n)] }] })).ok).toBe(true)
    }
    expect(await quiet.topics.describe('rows')).toMatchObject({ partitions: [{ latest: 3 }] })
    await quiet.close()
    await dropSchema(url, own)
  })

  it('bring a schema of version 3 up to date, and leave what programs that have it open still call', async () => {
    const own = `${schema}_3`
    await (await open({ schema: own })).close()
    await runSql(
      url,
      `DROP TABLE ${own}.change; DROP FUNCTION ${own}.remove_events(text, bigint, boolean, bigint);
      CREATE FUNCTION ${own}.remove_events(text, bigint, boolean) RETURNS boolean LANGUAGE sql AS 'SELECT false';
      UPDATE ${own}.meta SET format_version = 3`,
    )
    await using engine = await open({ schema: own })
    expect(await runSql(url, `SELECT format_version FROM ${own}.meta`)).toEqual([{ format_version: 4 }])
    await engine.topics.create('t', { partitions: 1 })
    await engine.commit({ append: [{ stream: 's', events: [{ message: message('A') }] }] })
    await engine.events.deleteStream('s')
    expect(await engine.events.describeStream('s')).toMatchObject({ version: 2, deletedAt: 2 })
    expect(await runSql(url, `SELECT ${own}.remove_events('s', NULL, false) AS old`)).toEqual([{ old: false }])
    await engine.close()
    await dropSchema(url, own)
  })
})
