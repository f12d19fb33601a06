import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { compactionWaitMsMax } from '../committing/index.ts'
import type { RawRecord } from '../engine/index.ts'
import { type MillraceError, SeededRandom, systemClock, systemRandom } from '../kernel/index.ts'
import { type PostgresEngine, postgres } from './index.ts'
import { dropSchema, runSql, serversWanted, serverUrl } from './real-server.test-support.ts'
import type { NamedStatement, Row } from './statements.ts'
import { producerEpochMax } from './topic-admin.ts'
import { TopicMaintenance } from './topic-maintenance.ts'

const schema = `topics_${process.pid}`

const codeOf = (call: Promise<unknown>): Promise<unknown> =>
  call.then(
    () => 'none',
    (error: MillraceError) => error.code,
  )

const text = (value: string, key: string | null = null): RawRecord => ({ key, value })

// Skipped because these need a server, which only a run that asks for servers starts.
describe.skipIf(!serversWanted)('topics of two engines on one schema', () => {
  let url = ''
  let one: PostgresEngine
  let two: PostgresEngine
  let topicCount = 0

  beforeAll(async () => {
    url = await serverUrl()
    const source = postgres({ connection: url, schema, pollMs: 20, maintenanceIntervalMs: 0 })
    one = await source.open()
    two = await source.open()
  }, 600_000)
  afterAll(async () => {
    await one?.close()
    await two?.close()
    await dropSchema(url, schema)
  })

  const name = (): string => `topic-${++topicCount}`

  /** One record in a commit, and so in a batch, of its own. */
  async function publish(engine: PostgresEngine, topic: string, ...records: readonly RawRecord[]): Promise<void> {
    for (const record of records) await engine.commit({ publish: [{ topic, partition: 0, records: [record] }] })
  }

  /** `offset key value` of all that can be read. */
  async function left(engine: PostgresEngine, topic: string): Promise<string[]> {
    const found: string[] = []
    for (let offset = await engine.topics.locate(topic, 0, 'earliest'); ; ) {
      const page = await engine.topics.read({ topic, partition: 0, offset })
      for (const record of page.records) {
        const value = record.kind === 'undecodable' ? Buffer.from(record.value).toString() : '-'
        found.push(`${record.offset} ${String(record.key)} ${value}`)
      }
      offset = page.nextOffset
      if (offset >= page.latest) return found
    }
  }

  it('are made once, whoever makes them at the same time', async () => {
    for (let round = 0; round < 5; round++) {
      const topic = name()
      const calls = [one, two, one, two].map((engine, i) => engine.topics.create(topic, { partitions: i + 1 }))
      const outcomes = await Promise.allSettled(calls)
      const made = outcomes.flatMap((outcome) => (outcome.status === 'fulfilled' ? [outcome.value] : []))
      expect(made.length).toBe(1)
      expect(await two.topics.describe(topic)).toEqual(made[0])
    }
  })

  it('are known to the other engine at once: made, grown, deleted, and made anew', async () => {
    const topic = name()
    await one.topics.create(topic, { partitions: 1 })
    await publish(two, topic, text('a'))
    expect(await left(one, topic)).toEqual(['0 null a'])
    await one.topics.alter(topic, { partitions: 2 })
    await two.commit({ publish: [{ topic, partition: 1, records: [text('b')] }] })
    await one.topics.delete(topic)
    expect(await codeOf(two.topics.read({ topic, partition: 0, offset: 0 }))).toBe('TOPIC_UNKNOWN')
    expect(await codeOf(two.topics.delete(topic))).toBe('TOPIC_UNKNOWN')
    await one.topics.create(topic, { partitions: 1 })
    expect(await two.topics.read({ topic, partition: 0, offset: 0 })).toMatchObject({ records: [], latest: 0 })
    await publish(two, topic, text('c'))
    expect(await left(one, topic)).toEqual(['0 null c'])
  })

  it('are known to an engine that does nothing but publish: made anew at once, grown a little later', async () => {
    const topic = name()
    await one.topics.create(topic, { partitions: 1 })
    await publish(two, topic, text('a'))
    await one.topics.delete(topic)
    await one.topics.create(topic, { partitions: 1 })
    await publish(two, topic, text('b'))
    expect(await left(one, topic)).toEqual(['0 null b'])
    await one.topics.alter(topic, { partitions: 64 })
    const keys = Array.from({ length: 40 }, (_, n) => `k${n}`)
    const partitionsOf = async (): Promise<number> => {
      const outcome = await two.commit({ publish: [{ topic, records: keys.map((key) => ({ key, value: 'v' })) }] })
      return outcome.ok ? new Set(outcome.published.map(({ partition }) => partition)).size : 0
    }
    await expect.poll(partitionsOf, { timeout: 15_000, interval: 500 }).toBeGreaterThan(10)
  })

  it('keep what two engines change at the same time, where each says nothing of the other', async () => {
    const topic = name()
    await one.topics.create(topic, { partitions: 1 })
    await Promise.all([
      one.topics.alter(topic, { retentionMs: 5_000 }),
      two.topics.alter(topic, { retentionBytes: 7_000 }),
      one.topics.alter(topic, { partitions: 3 }),
    ])
    const description = await two.topics.describe(topic)
    expect(description?.config).toMatchObject({ retentionMs: 5_000, retentionBytes: 7_000, partitions: 3 })
    expect(description?.partitions.length).toBe(3)
  })

  it('wake who waits in the other process', async () => {
    const topic = name()
    await one.topics.create(topic, { partitions: 1 })
    const waiting = two.topics.read({ topic, partition: 0, offset: 0, waitMs: 3_600_000 })
    await publish(one, topic, text('a'))
    expect((await waiting).nextOffset).toBe(1)
    // Looked at from the start: it may end before the deletion is told to have happened.
    const waitingForMore = codeOf(two.topics.read({ topic, partition: 0, offset: 1, waitMs: 3_600_000 }))
    await one.topics.delete(topic)
    expect(await waitingForMore).toBe('TOPIC_UNKNOWN')
  })

  it('lose nothing to a reader, however many write at the same time', async () => {
    const topic = name()
    await one.topics.create(topic, { partitions: 1 })
    const count = 300
    const writing = Promise.all(
      [one, two].map(async (engine, who) => {
        for (let i = 0; i < count; i++) await publish(engine, topic, text(`${who}/${i}`))
      }),
    )
    const seen: string[] = []
    for (let offset = 0; seen.length < 2 * count; ) {
      const page = await two.topics.read({ topic, partition: 0, offset, waitMs: 10_000 })
      for (const record of page.records) {
        expect(record.offset).toBe(seen.length)
        seen.push(record.kind === 'undecodable' ? Buffer.from(record.value).toString() : '')
      }
      offset = page.nextOffset
    }
    await writing
    for (const who of [0, 1]) {
      const own = seen.filter((value) => value.startsWith(`${who}/`))
      expect(own).toEqual(Array.from({ length: count }, (_, i) => `${who}/${i}`))
    }
  })

  it('are removed after they were deleted, a few batches at a time, with all that hangs on them', async () => {
    const topic = name()
    await one.topics.create(topic, { partitions: 1 })
    const { producerId, epoch } = await one.topics.registerProducer('remover')
    const records = [text('a')]
    await one.commit({
      publish: [{ topic, partition: 0, records, producer: { producerId, epoch, sequence: 0 } }],
    })
    // More than go with one statement.
    const rows = `SELECT partition.id, n, n, 0, 1, '\\x00' FROM ${schema}.partition JOIN ${schema}.topic
      ON topic.id = topic_id, generate_series(1, 600) AS n WHERE topic.name = $1`
    await runSql(url, `INSERT INTO ${schema}.batch ${rows}`, [topic])
    await one.groups
      .join({
        group: 'remover',
        topics: [topic],
        onAssigned: () => undefined,
        onRevoked: () => Promise.resolve(),
        onLost: () => undefined,
      })
      .then((member) => member.leave())
    expect(await one.groups.list()).toContain('remover')
    await one.topics.delete(topic)
    expect(await two.groups.list()).not.toContain('remover')
    const [first, second] = await Promise.all([one.topics.maintain(), two.topics.maintain()])
    expect(first.batchesDeleted + second.batchesDeleted).toBeGreaterThanOrEqual(601)
    const gone = await runSql(
      url,
      `SELECT (SELECT count(*) FROM ${schema}.topic WHERE name LIKE 'deleted/%') AS topics,
        (SELECT count(*) FROM ${schema}.batch WHERE partition_id NOT IN (SELECT id FROM ${schema}.partition)) AS batches,
        (SELECT count(*) FROM ${schema}.producer_partition WHERE producer_id = ${producerId}) AS numbering,
        (SELECT count(*) FROM ${schema}.progress WHERE group_name = 'remover') AS progress,
        (SELECT count(*) FROM ${schema}.claim WHERE group_name = 'remover') AS claims`,
    )
    expect(gone).toEqual([{ topics: '0', batches: '0', numbering: '0', progress: '0', claims: '0' }])
  })

  it('are truncated for every reader, over more batches than one statement removes', async () => {
    const topic = name()
    await one.topics.create(topic, { partitions: 1 })
    await Promise.all(Array.from({ length: 40 }, (_, i) => publish(one, topic, text(`${i}`))))
    await two.topics.truncate(topic, 0, 38)
    expect(await left(one, topic)).toEqual((await left(two, topic)).slice(-2))
    expect(await codeOf(one.topics.read({ topic, partition: 0, offset: 37 }))).toBe('OFFSET_OUT_OF_RANGE')
    await one.topics.truncate(topic, 0, 1_000_000)
    expect(await two.topics.read({ topic, partition: 0, offset: 40 })).toMatchObject({ records: [], latest: 40 })
  })

  it('come out of compaction with the last value of each key, whoever compacts and writes at the same time', async () => {
    const seed = systemRandom.nextUint32()
    console.info(`compaction beside writers: seed ${seed}`)
    const random = new SeededRandom(seed)
    const topic = name()
    await one.topics.create(topic, { partitions: 1, cleanup: 'compact', tombstoneRetentionMs: 0 })
    const last = new Map<string, string | null>()
    let isWriting = true
    const write = async (engine: PostgresEngine, keys: readonly string[]): Promise<void> => {
      for (let i = 0; i < 150; i++) {
        const key = keys[Math.floor(random.nextFloat() * keys.length)] as string
        const value = random.nextFloat() < 0.2 ? null : `${i}`
        await publish(engine, topic, { key, value })
        last.set(key, value)
      }
    }
    const compact = async (engine: PostgresEngine): Promise<number> => {
      let count = 0
      while (isWriting) count += (await engine.topics.maintain()).recordsCompacted
      return count
    }
    const compacting = [compact(one), compact(two)]
    await Promise.all([write(one, ['a', 'b', 'c']), write(two, ['d', 'e', 'f'])])
    isWriting = false
    const counts = await Promise.all(compacting)
    // A value that is not younger than now may be looked at, so one millisecond has to pass.
    await publish(one, topic, text('end', 'end'))
    const { recordsCompacted } = await one.topics.maintain()
    expect((counts[0] ?? 0) + (counts[1] ?? 0) + recordsCompacted).toBeGreaterThan(200)
    const expected = [...last].filter(([, value]) => value !== null).map(([key, value]) => `${key} ${value}`)
    const found = (await left(two, topic))
      .map((line) => line.replace(/^\d+ /, ''))
      .filter((line) => !line.endsWith('-'))
    expect(found.toSorted()).toEqual([...expected, 'end end'].toSorted())
  })

  /** Maintenance whose statements are counted, and what it fetched of batches since the last look: slices. */
  function countedMaintenance(): { readonly run: (nowMs: number, onlyDue?: boolean) => Promise<number> } {
    let slices = 0
    const query = ({ name: statement, text: sql }: NamedStatement, values: readonly unknown[]): Promise<Row[]> => {
      if (statement === 'millrace_slice') slices++
      return runSql(url, sql, [...values])
    }
    const parts = { schemaName: schema, schema, runner: { query }, refuseIfDone: () => undefined }
    const maintenance = new TopicMaintenance(parts)
    return {
      run: async (nowMs, onlyDue = true) => {
        slices = 0
        await maintenance.run(nowMs, onlyDue)
        return slices
      },
    }
  }

  it('are compacted by themselves when it is worth it: a new record or a tombstone has nothing read', async () => {
    const topic = name()
    await one.topics.create(topic, { partitions: 1, cleanup: 'compact', tombstoneRetentionMs: 3_600_000 })
    const keys = Array.from({ length: 20 }, (_, i) => `k${i}`)
    for (const key of keys) await publish(one, topic, text('old', key))
    // Other tests leave compacted topics behind, of which nothing is known yet.
    const { run } = countedMaintenance()
    const startMs = systemClock.nowMs() + 1_000
    expect(await run(startMs)).toBeGreaterThan(1)
    await publish(one, topic, text('new', 'k0'))
    expect(await run(startMs + 1_000)).toBe(0)
    expect((await left(two, topic)).length).toBe(21)
    for (const key of keys.slice(1)) await publish(one, topic, text('new', key))
    expect(await run(startMs + 2_000)).toBeGreaterThan(1)
    expect(await left(two, topic)).toEqual(keys.map((key, i) => `${20 + i} ${key} new`))

    await publish(one, topic, text('newest', 'k1'))
    expect(await run(startMs + 3_000)).toBe(0)
    expect(await run(startMs + 3_000 + compactionWaitMsMax - 1)).toBe(0)
    expect(await run(startMs + 3_000 + compactionWaitMsMax)).toBeGreaterThan(1)
    expect((await left(two, topic)).length).toBe(20)
  })

  it('keep a tombstone for its time without being read, and lose it then', async () => {
    const topic = name()
    await one.topics.create(topic, { partitions: 1, cleanup: 'compact', tombstoneRetentionMs: 3_600_000 })
    await publish(one, topic, text('a', 'kept'), text('b', 'gone'), { key: 'gone', value: null })
    const { run } = countedMaintenance()
    const startMs = systemClock.nowMs() + 1_000
    expect(await run(startMs)).toBeGreaterThan(1)
    expect(await left(two, topic)).toEqual(['0 kept a', '2 gone -'])
    expect(await run(startMs + 60_000)).toBe(0)
    expect(await run(startMs + 3_590_000)).toBe(0)
    // Who asks for it asks for what may be done, which is nothing.
    expect(await run(startMs + 3_590_000, false)).toBe(0)
    expect(await run(startMs + 3_600_000)).toBeGreaterThan(0)
    expect(await left(two, topic)).toEqual(['0 kept a'])
    expect(await run(startMs + 9_000_000)).toBe(0)
  })

  it('are left alone by the engine itself, and compacted when somebody asks', async () => {
    const topic = name()
    await one.topics.create(topic, { partitions: 1, cleanup: 'compact' })
    await publish(one, topic, text('1', 'a'), text('1', 'b'), text('1', 'c'))
    await one.topics.maintainDue()
    await publish(one, topic, text('2', 'a'))
    await one.topics.maintainDue()
    expect((await left(two, topic)).length).toBe(4)
    await one.topics.maintain()
    expect(await left(two, topic)).toEqual(['1 b 1', '2 c 1', '3 a 2'])
  })

  it('tell of a damaged batch where it is, and look after all others', async () => {
    const [damaged, whole] = [name(), name()]
    for (const topic of [damaged, whole]) {
      await one.topics.create(topic, { partitions: 1, cleanup: 'compact' })
      await publish(one, topic, text('1', 'a'), text('2', 'a'), text('3', 'end'))
    }
    await runSql(
      url,
      `UPDATE ${schema}.batch SET bytes = set_byte(bytes, 66, get_byte(bytes, 66) # 1) WHERE base_offset = 1
        AND partition_id IN (SELECT partition.id FROM ${schema}.partition JOIN ${schema}.topic ON topic.id = topic_id
          WHERE name = $1)`,
      [damaged],
    )
    expect(await codeOf(two.topics.read({ topic: damaged, partition: 0, offset: 1 }))).toBe('POSTGRES_DATA_DAMAGED')
    expect(await codeOf(two.topics.maintain())).toBe('POSTGRES_DATA_DAMAGED')
    expect(await left(two, whole)).toEqual(['1 a 2', '2 end 3'])
    await one.topics.delete(damaged)
  })

  it('take a new id for a producer whose epochs are used up', async () => {
    const before = await one.topics.registerProducer('old hand')
    await runSql(url, `UPDATE ${schema}.producer SET epoch = $1 WHERE id = $2`, [
      producerEpochMax - 1,
      before.producerId,
    ])
    expect(await two.topics.registerProducer('old hand')).toEqual({ ...before, epoch: producerEpochMax })
    const after = await one.topics.registerProducer('old hand')
    expect([after.producerId !== before.producerId, after.epoch]).toEqual([true, 0])
  })

  it('are looked for by names that no topic has without trouble', async () => {
    for (const odd of ['deleted/1', 'a\0b', '\ud800', '', 'no such topic']) {
      expect(await one.topics.describe(odd)).toBeUndefined()
      expect(await codeOf(one.topics.alter(odd, {}))).toBe('TOPIC_UNKNOWN')
      expect(await codeOf(one.topics.delete(odd))).toBe('TOPIC_UNKNOWN')
      expect(await codeOf(one.topics.locate(odd, 0, 'latest'))).toBe('TOPIC_UNKNOWN')
    }
  })
})
