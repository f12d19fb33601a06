import { setTimeout as pause } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { CommitOutcome, Engine } from '../engine/index.ts'
import { TcpProxy } from '../kernel/tcp-proxy.test-support.ts'
import { type PostgresOptions, postgres } from './index.ts'
import { codeOf, message, numbered } from './messages.test-support.ts'
import {
  dropSchema,
  removeServerToKill,
  runSql,
  serversWanted,
  serverToKill,
  serverUrl,
} from './real-server.test-support.ts'

const schema = `cuts_${process.pid}`

/** Everything that a topic with one partition holds: the numbers of its messages. */
async function numbersIn(engine: Engine, topic: string): Promise<unknown[]> {
  const numbers: unknown[] = []
  for (let offset = 0; ; ) {
    const page = await engine.topics.read({ topic, partition: 0, offset })
    for (const record of page.records) numbers.push(record.kind === 'message' ? record.message.data : record.kind)
    offset = page.nextOffset
    if (offset >= page.latest) return numbers
  }
}

const upTo = (count: number): number[] => Array.from({ length: count }, (_, n) => n)

// Skipped because it needs a real server: `npm run test:engines` runs it.
describe.skipIf(!serversWanted)('a connection that is cut', () => {
  let url = ''
  beforeAll(async () => {
    url = await serverUrl()
  }, 600_000)
  afterAll(async () => {
    await dropSchema(url, schema)
    await removeServerToKill()
  })

  const open = (options: Partial<PostgresOptions> = {}) => postgres({ connection: url, schema, ...options }).open()

  /**
   * Commits one after the other, some at a time, each of them something that must not happen twice, while `harm` is done
   * again and again.
   */
  async function commitUnderHarm(engine: Engine, topic: string, count: number, harm: () => Promise<void>) {
    let isDone = false
    let turn = 0
    const outcomes: CommitOutcome[] = []
    let before = -1
    let inVain = 0
    const harming = (async () => {
      while (!isDone) {
        await pause(20 + ((turn++ * 37) % 150))
        // Also while a connection is being made; but on a busy machine that takes its time, and there must be an end to it.
        inVain = outcomes.length === before ? inVain + 1 : 0
        if (inVain >= 3) continue
        before = outcomes.length
        await harm()
      }
    })()
    for (let n = 0; n < count; n += 10) {
      const commits = upTo(10).map((i) =>
        engine.commit({
          publish: [{ topic, messages: [numbered(n + i)] }],
          state: [{ kind: 'set', namespace: topic, key: 'count', value: n + i, expectedRevision: n + i }],
        }),
      )
      outcomes.push(...(await Promise.all(commits)))
    }
    isDone = true
    await harming
    return outcomes
  }

  it('leaves no doubt whether a commit was made, when the server ends it at any moment', async () => {
    await using engine = await open({ applicationName: 'cuts-terminated' })
    await engine.topics.create('terminated', { partitions: 1 })
    let terminated = 0
    const outcomes = await commitUnderHarm(engine, 'terminated', 1000, async () => {
      const text = `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'cuts-terminated'`
      terminated += (await runSql(url, text)).length
    })
    expect(outcomes.filter(({ ok }) => !ok)).toEqual([])
    expect(await numbersIn(engine, 'terminated')).toEqual(upTo(1000))
    expect((await engine.state.get('terminated', 'count'))?.revision).toBe(1000)
    expect(terminated).toBeGreaterThan(0)
  })

  it('leaves no doubt either when the network is cut at any moment', async () => {
    await using proxy = await TcpProxy.to(Number(new URL(url).port))
    await using engine = await open({ connection: proxy.urlOf(url) })
    await engine.topics.create('network', { partitions: 1 })
    const outcomes = await commitUnderHarm(engine, 'network', 1000, async () => proxy.cut())
    expect(outcomes.filter(({ ok }) => !ok)).toEqual([])
    expect(await numbersIn(engine, 'network')).toEqual(upTo(1000))
  })

  it('does not repeat a commit that was made and whose answer was lost', async () => {
    await using proxy = await TcpProxy.to(Number(new URL(url).port))
    await using engine = await open({ connection: proxy.urlOf(url) })
    await engine.topics.create('lost', { partitions: 1 })
    proxy.swallowAnswers()
    const committing = engine.commit({ publish: [{ topic: 'lost', messages: [numbered(0)] }] })
    await using other = await open()
    await expect.poll(() => numbersIn(other, 'lost')).toEqual([0])
    proxy.cut()
    expect(await committing).toEqual({
      ok: true,
      published: [{ topic: 'lost', partition: 0, offset: 0 }],
      appended: [],
    })
    expect(await numbersIn(engine, 'lost')).toEqual([0])
  })

  it('tells that a commit is in doubt whose answer was lost with the row that had it, and goes on', async () => {
    await using proxy = await TcpProxy.to(Number(new URL(url).port))
    const own = `${schema}_row`
    await using engine = await open({ connection: proxy.urlOf(url), schema: own })
    await engine.topics.create('row', { partitions: 1 })
    proxy.swallowAnswersTo('millrace_commit')
    const committing = codeOf(engine.commit({ publish: [{ topic: 'row', messages: [numbered(0)] }] }))
    await using other = await open({ schema: own })
    await expect.poll(() => numbersIn(other, 'row')).toEqual([0])
    await runSql(url, `DELETE FROM ${own}.instance WHERE group_number = 1`)
    proxy.cut()
    expect(await committing).toBe('POSTGRES_OUTCOME_UNKNOWN')
    expect((await engine.commit({ publish: [{ topic: 'row', messages: [numbered(1)] }] })).ok).toBe(true)
    expect(await numbersIn(other, 'row')).toEqual([0, 1])
    await Promise.all([engine.close(), other.close()])
    await dropSchema(url, own)
  })

  it('tells a conflict whose answer was lost', async () => {
    await using proxy = await TcpProxy.to(Number(new URL(url).port))
    await using engine = await open({ connection: proxy.urlOf(url) })
    await engine.commit({ append: [{ stream: 'lost', events: [{ message: message('A') }] }] })
    proxy.swallowAnswers()
    const committing = engine.commit({
      append: [{ stream: 'lost', expected: 'none', events: [{ message: message('B') }] }],
    })
    const number = async () =>
      (await runSql(url, `SELECT group_number AS n FROM ${schema}.instance ORDER BY seen_at DESC LIMIT 1`))[0]?.['n']
    await expect.poll(number).toBe('2')
    proxy.cut()
    const conflict = { kind: 'stream-version', stream: 'lost', expected: 'none', actual: 1 }
    expect(await committing).toEqual({ ok: false, conflict })
  })

  it('refuses a server process that wakes up late, with the generation before', async () => {
    await using engine = await open()
    const [row] = await runSql(url, `SELECT id, generation FROM ${schema}.instance ORDER BY seen_at DESC LIMIT 1`)
    const late = `SELECT ${schema}.commit_group($1, $2, 7, '{"units":[]}', '')`
    const refused = runSql(url, late, [row?.['id'], Number(row?.['generation']) - 1])
    await expect(refused).rejects.toMatchObject({ code: 'MR001' })
    expect((await engine.commit({})).ok).toBe(true)
  })

  it('is made again while the engine opens, between any two of its statements', async () => {
    const own = `${schema}_opening`
    await (await open({ schema: own })).close()
    await runSql(
      url,
      `CREATE SEQUENCE ${own}.once;
      CREATE FUNCTION ${own}.die() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
        IF nextval('${own}.once') = 1 THEN PERFORM pg_terminate_backend(pg_backend_pid()); END IF; RETURN NEW; END $$;
      CREATE TRIGGER die BEFORE UPDATE ON ${own}.instance FOR EACH ROW EXECUTE FUNCTION ${own}.die()`,
    )
    const opening = open({ schema: own }).then((engine) => engine.close())
    expect(await codeOf(opening)).toBeUndefined()
    expect(Number((await runSql(url, `SELECT last_value AS n FROM ${own}.once`))[0]?.['n'])).toBeGreaterThan(1)
    await dropSchema(url, own)
  })

  it('makes readers wait, not fail', async () => {
    await using proxy = await TcpProxy.to(Number(new URL(url).port))
    await using engine = await open({ connection: proxy.urlOf(url) })
    await engine.commit({ state: [{ kind: 'set', namespace: 'readers', key: 'k', value: 1 }] })
    const reads = upTo(200).map(async (n) => {
      await pause(n)
      if (n % 20 === 0) proxy.cut()
      return (await engine.state.get('readers', 'k'))?.value
    })
    expect(new Set(await Promise.all(reads))).toEqual(new Set([1]))
  })

  it('is given up after the time that the options allow, and the commit is told to be in doubt', async () => {
    const proxy = await TcpProxy.to(Number(new URL(url).port))
    const engine = await open({ connection: proxy.urlOf(url), reconnectTimeoutMs: 200 })
    await engine.topics.create('given-up', { partitions: 1 })
    proxy.swallowAnswers()
    const committing = codeOf(engine.commit({ publish: [{ topic: 'given-up', messages: [numbered(0)] }] }))
    await using other = await open()
    await expect.poll(() => numbersIn(other, 'given-up')).toEqual([0])
    await proxy[Symbol.asyncDispose]()
    expect(await committing).toBe('POSTGRES_OUTCOME_UNKNOWN')
    expect(await codeOf(engine.commit({}))).toBe('POSTGRES_UNREACHABLE')
    expect(await codeOf(engine.state.get('n', 'k'))).toBe('POSTGRES_UNREACHABLE')
    await engine.close()
  })

  it('survives that the whole server is killed and started, under load', async () => {
    const server = await serverToKill()
    const [node] = server.nodes
    const { url: killedUrl } = server.connection
    await using engine = await open({ connection: killedUrl })
    await engine.topics.create('killed', { partitions: 1 })
    let kills = 0
    const outcomes = await commitUnderHarm(engine, 'killed', 2000, async () => {
      if (kills === 3) return
      kills++
      await node?.kill()
      await node?.start()
      await server.waitUntilReady()
    })
    expect(kills).toBe(3)
    expect(outcomes.filter(({ ok }) => !ok)).toEqual([])
    expect(await numbersIn(engine, 'killed')).toEqual(upTo(2000))
  }, 600_000)
})
