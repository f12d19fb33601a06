import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { CompactionSchedule, topicConfigDefaults } from '../../committing/index.ts'
import type { RawRecord, TopicConfig } from '../../engine/index.ts'
import { VirtualClock } from '../../kernel/index.ts'
import { BatchBufferPool, decodeBatch, RecordBatchBuilder } from '../../record/index.ts'
import { openForWriting } from '../connection.ts'
import type { EmbeddedEngine } from '../embedded-engine.ts'
import { codeOf, commit, openEngine, temporaryFolder } from '../file.test-support.ts'
import { maintenanceOf } from './maintenance.ts'
import { TopicWriter } from './topic-writer.ts'

const folder = temporaryFolder()

async function setUp(config: TopicConfig, path = ':memory:'): Promise<{ engine: EmbeddedEngine; clock: VirtualClock }> {
  const clock = new VirtualClock()
  const engine = await openEngine(path, {}, clock)
  await engine.topics.create('t', { partitions: 1, ...config })
  return { engine, clock }
}

/** One batch with these records. */
const put = (engine: EmbeddedEngine, ...records: readonly (readonly [key: string | null, value: string | null])[]) =>
  commit(engine, { publish: [{ topic: 't', records: records.map(([key, value]): RawRecord => ({ key, value })) }] })

/** What is left, as `offset key value`. */
async function left(engine: EmbeddedEngine, topic = 't'): Promise<string[]> {
  const found: string[] = []
  let offset = await engine.topics.locate(topic, 0, 'earliest')
  for (;;) {
    const { records, nextOffset, latest } = await engine.topics.read({ topic, partition: 0, offset })
    for (const record of records) {
      const { key, value } = record as unknown as { key: Uint8Array | string | null; value?: Uint8Array | null }
      const text = (bytes: Uint8Array | string | null | undefined): string =>
        bytes == null ? '-' : Buffer.from(bytes as never).toString()
      found.push(`${record.offset} ${text(key)} ${text(value)}`)
    }
    if (nextOffset >= latest) return found
    offset = nextOffset
  }
}

describe('retention', () => {
  it('by time removes the batches whose last record is too old', async () => {
    const { engine, clock } = await setUp({ retentionMs: 10_000 })
    for (const n of ['0', '1', '2', '3']) {
      await put(engine, ['k', n])
      await clock.advance(4_000)
    }
    // 16, 12, 8 and 4 seconds old.
    const report = await engine.topics.maintain()
    expect(report.batchesDeleted).toBe(2)
    expect(report.bytesDeleted).toBeGreaterThan(100)
    expect(await left(engine)).toEqual(['2 k 2', '3 k 3'])
    expect(await engine.topics.locate('t', 0, 'earliest')).toBe(2)
    expect(await codeOf(engine.topics.read({ topic: 't', partition: 0, offset: 1 }))).toBe('OFFSET_OUT_OF_RANGE')
    await clock.advance(60_000)
    await engine.topics.maintain()
    expect(await left(engine)).toEqual([])
    // Offsets go on.
    expect((await put(engine, ['k', 'new'])).published[0]?.offset).toBe(4)
    await engine.close()
  })

  it('by bytes removes the oldest batches until the rest fits', async () => {
    const { engine } = await setUp({ retentionBytes: 5_000 })
    for (let n = 0; n < 200; n++) await put(engine, ['k', 'x'.repeat(200)])
    const before = (await engine.topics.describe('t'))?.partitions[0]?.bytes as number
    const report = await engine.topics.maintain()
    const { bytes, earliest, latest } = (await engine.topics.describe('t'))?.partitions[0] ?? {
      bytes: 0,
      earliest: 0,
      latest: 0,
    }
    expect(bytes).toBeLessThanOrEqual(5_000)
    expect(bytes).toBeGreaterThan(4_000)
    expect(report.bytesDeleted).toBe(before - bytes)
    expect([earliest, latest]).toEqual([report.batchesDeleted, 200])
    expect((await left(engine)).length).toBe(latest - earliest)
    await engine.close()
  })

  it('keeps offsets and order over a restart, also when nothing is left', async () => {
    const path = join(folder, 'restart.db')
    const { engine, clock } = await setUp({ retentionMs: 1 }, path)
    await put(engine, ['k', '0'], ['k', '1'])
    await clock.advance(1_000)
    await engine.topics.maintain()
    await engine.close()
    await using again = await openEngine(path, {}, clock)
    expect((await again.topics.describe('t'))?.partitions[0]).toMatchObject({ earliest: 2, latest: 2, bytes: 0 })
    expect((await put(again, ['k', '2'])).published[0]?.offset).toBe(2)
  })

  it('moves groups on that had not come so far', async () => {
    const { engine, clock } = await setUp({ retentionMs: 1_000 })
    const join = async () => {
      const next: number[] = []
      const member = await engine.groups.join({
        group: 'g',
        topics: ['t'],
        onAssigned: (assignments) => void next.push(...assignments.map(({ progress }) => progress.next)),
        onRevoked: () => Promise.resolve(),
        onLost: () => undefined,
      })
      await member.leave()
      return next
    }
    await put(engine, ['k', '0'], ['k', '1'])
    expect(await join()).toEqual([0])
    await clock.advance(2_000)
    await engine.topics.maintain()
    expect(await join()).toEqual([2])
    expect((await engine.groups.describe('g'))?.lag[0]?.lagMessages).toBe(0)
    await engine.close()
  })
})

describe('compaction', () => {
  it('keeps the last record of each key where it stood', async () => {
    const { engine } = await setUp({ cleanup: 'compact' })
    await put(engine, ['a', '1'], ['b', '1'], ['c', '1'])
    await put(engine, ['a', '2'], ['c', '2'])
    await put(engine, ['a', '3'])
    const report = await engine.topics.maintain()
    expect(report.recordsCompacted).toBe(3)
    expect(await left(engine)).toEqual(['1 b 1', '4 c 2', '5 a 3'])
    // From the middle of what is gone it goes on with what is there.
    const { records, nextOffset } = await engine.topics.read({ topic: 't', partition: 0, offset: 2 })
    expect([records[0]?.offset, nextOffset]).toEqual([4, 6])
    expect((await engine.verify()).damages).toEqual([])
    await engine.close()
  })

  it('lets tombstones go after their time, and the end of the partition stays', async () => {
    const { engine, clock } = await setUp({ cleanup: 'compact', tombstoneRetentionMs: 1_000 })
    await put(engine, ['a', '1'])
    await put(engine, ['a', null])
    await engine.topics.maintain()
    expect(await left(engine)).toEqual(['1 a -'])
    await clock.advance(1_000)
    await engine.topics.maintain()
    expect(await left(engine)).toEqual(['1 a -'])
    await clock.advance(1)
    await engine.topics.maintain()
    expect(await left(engine)).toEqual([])
    expect(await engine.topics.locate('t', 0, 'latest')).toBe(2)
    expect((await put(engine, ['a', '2'])).published[0]?.offset).toBe(2)
    await engine.close()
  })

  it('keeps the same whatever number of keys fits into memory, and however often it runs', () => {
    const record = fc.record({
      key: fc.constantFrom(null, '', 'a', 'b', 'c', 'd', 'e'),
      value: fc.option(fc.constantFrom('1', '2'), { nil: null, freq: 3 }),
    })
    const rounds = fc.array(fc.array(fc.array(record, { minLength: 1, maxLength: 4 }), { maxLength: 8 }), {
      maxLength: 4,
    })
    fc.assert(
      fc.property(rounds, fc.integer({ min: 1, max: 6 }), fc.boolean(), (published, keysMax, isExpired) => {
        const db = openForWriting(':memory:')
        try {
          const topics = new TopicWriter(db)
          const schedule = new CompactionSchedule()
          const config = {
            ...topicConfigDefaults,
            partitions: 1,
            cleanup: 'compact',
            tombstoneRetentionMs: 100,
          } as const
          const partitionId = topics.createTopic('t', config).partitions[0]?.id as number
          const last = new Map<string, string>()
          for (const batches of published) {
            for (const records of batches) {
              const builder = new RecordBatchBuilder({ pool: new BatchBufferPool() })
              const base = topics.endOf(partitionId)
              for (const [i, { key, value }] of records.entries()) {
                builder.appendRaw({ key, value, headers: [], timestampMs: 1_000 })
                if (key !== null) last.set(key, `${base + i} ${value ?? 'gone'}`)
              }
              const { recordCount, maxTimestampMs: timeMaxMs } = builder
              topics.write({ partitionId, bytes: builder.seal({ crc: false }), recordCount, timeMaxMs })
            }
            // What is not worth it yet is left to the next one, which is thorough.
            for (const onlyDue of [true, false]) {
              const nowMs = isExpired && !onlyDue ? 1_200 : 1_050
              const work = maintenanceOf(db, nowMs, (run) => run(), { keysMax, schedule, onlyDue })
              while (work.next().done !== true);
            }
            const kept = db
              .prepare('SELECT bytes FROM batch ORDER BY base_offset')
              .all()
              .flatMap(({ bytes }) => decodeBatch(bytes as Uint8Array))
              .map(({ offset, value }) => `${offset} ${value === null ? 'gone' : Buffer.from(value).toString()}`)
            const due = [...last.values()].filter((line) => !isExpired || !line.endsWith(' gone'))
            expect(kept).toEqual(due.toSorted((a, b) => Number.parseInt(a, 10) - Number.parseInt(b, 10)))
          }
        } finally {
          db.close()
        }
      }),
      { numRuns: 200 },
    )
  })

  it('of compressed batches keeps them compressed', async () => {
    const { engine } = await setUp({ cleanup: 'compact', compression: 'zstd' })
    for (let n = 0; n < 5; n++) await put(engine, ['a', `${n}`], [`k${n}`, 'x'.repeat(5_000)])
    await engine.topics.maintain()
    expect((await left(engine)).length).toBe(6)
    expect((await engine.topics.describe('t'))?.partitions[0]?.bytes).toBeLessThan(2_000)
    expect((await engine.verify()).damages).toEqual([])
    await engine.close()
  })

  it('goes on beside publishing, and loses nothing of it', async () => {
    const { engine } = await setUp({ cleanup: 'compact' }, join(folder, 'beside.db'))
    const latest = new Map<string, string>()
    const putAt = (n: number): Promise<unknown> => {
      latest.set(`k${n % 17}`, `${n}`)
      return put(engine, [`k${n % 17}`, `${n}`])
    }
    for (let n = 0; n < 200; n++) await putAt(n)
    let isDone = false
    const maintaining = engine.topics.maintain().finally(() => {
      isDone = true
    })
    let n = 200
    while (!isDone) await putAt(n++)
    await maintaining
    expect(n).toBeGreaterThan(201)
    await engine.topics.maintain()
    const kept = (await left(engine)).map((line) => line.split(' ').slice(1) as [string, string])
    expect(kept.length).toBe(17)
    expect(new Map(kept)).toEqual(latest)
    await engine.close()
  })

  it('of a topic that is deleted meanwhile ends with it', async () => {
    const { engine } = await setUp({ cleanup: 'compact' }, join(folder, 'deleted.db'))
    for (let n = 0; n < 100; n++) await put(engine, ['k', `${n}`])
    const maintaining = engine.topics.maintain()
    await engine.topics.delete('t')
    await maintaining
    await engine.topics.create('t', { partitions: 1, cleanup: 'compact' })
    await put(engine, ['k', 'new'])
    await engine.topics.maintain()
    expect(await left(engine)).toEqual(['0 k new'])
    expect((await engine.verify()).damages).toEqual([])
    await engine.close()
  })

  it('leaves a damaged partition as it is, says so, and looks after the others', async () => {
    const path = join(folder, 'damaged.db')
    const { engine: first, clock } = await setUp({ cleanup: 'compact' }, path)
    await put(first, ['k', '0'])
    await put(first, ['k', '1'])
    await first.topics.create('u', { partitions: 1, retentionMs: 1 })
    await commit(first, { publish: [{ topic: 'u', records: [{ key: null, value: 'old' }] }] })
    await first.close()
    const db = new DatabaseSync(path)
    db.exec(
      "UPDATE batch SET bytes = CAST(substr(bytes, 1, 70) || x'ff' AS BLOB) WHERE partition_id = 1 AND base_offset = 0",
    )
    db.close()
    await clock.advance(1_000)
    await using engine = await openEngine(path, {}, clock)
    await expect(engine.topics.maintain()).rejects.toMatchObject({ code: 'FILE_DAMAGED' })
    await expect(engine.topics.maintain()).rejects.toThrow(/partition 0 of topic t/)
    expect(await left(engine, 'u')).toEqual([])
    expect(await engine.topics.locate('t', 0, 'latest')).toBe(2)
    await put(engine, ['k', '2'])
  })
})

describe('compaction that is only done when it is worth it', () => {
  const config = { ...topicConfigDefaults, partitions: 1, cleanup: 'compact', tombstoneRetentionMs: 10_000 } as const

  /** A partition, and what a maintenance of it takes: a step for each batch that is read, and one for each that is rewritten. */
  function partition() {
    const db = openForWriting(':memory:')
    const topics = new TopicWriter(db)
    const partitionId = topics.createTopic('t', config).partitions[0]?.id as number
    const schedule = new CompactionSchedule()
    const write = (key: string, value: string | null, timestampMs: number): void => {
      const builder = new RecordBatchBuilder({ pool: new BatchBufferPool() })
      builder.appendRaw({ key, value, headers: [], timestampMs })
      const { recordCount, maxTimestampMs: timeMaxMs } = builder
      topics.write({ partitionId, bytes: builder.seal({ crc: false }), recordCount, timeMaxMs })
    }
    const steps = (nowMs: number, onlyDue = true): number => {
      const work = maintenanceOf(db, nowMs, (run) => run(), { schedule, onlyDue })
      for (let count = 0; ; count++) if (work.next().done === true) return count
    }
    const batchCount = (): unknown => db.prepare('SELECT count(*) AS n FROM batch').get()?.['n']
    return { write, steps, batchCount }
  }

  it('reads nothing for one new record in a large partition, and all of it once half of it is new', () => {
    const { write, steps, batchCount } = partition()
    for (let n = 0; n < 100; n++) write(`${n}`, 'old', 0)
    // Nothing is known yet.
    expect(steps(1)).toBe(200)
    write('0', 'new', 2)
    expect(steps(2)).toBe(0)
    for (let n = 1; n < 99; n++) write(`${n}`, 'new', 3)
    expect([steps(3), batchCount()]).toEqual([0, 199])
    write('99', 'new', 4)
    expect([steps(4), batchCount()]).toEqual([300, 100])
    expect(steps(5)).toBe(0)
  })

  it('reads all of it a day after one new record came, or when it is asked for', () => {
    const { write, steps, batchCount } = partition()
    for (let n = 0; n < 10; n++) write(`${n}`, 'old', 0)
    steps(1)
    write('0', 'new', 2)
    expect([steps(2), steps(86_400_001), batchCount()]).toEqual([0, 0, 11])
    expect([steps(86_400_002), batchCount()]).toEqual([12, 10])
    write('1', 'new', 86_400_003)
    expect([steps(86_400_003), steps(86_400_003, false), batchCount()]).toEqual([0, 12, 10])
    expect(steps(86_400_003, false)).toBe(0)
  })

  it('reads nothing for a tombstone until its time is over, and takes it away then', () => {
    const { write, steps, batchCount } = partition()
    for (let n = 0; n < 10; n++) write(`${n}`, 'old', 0)
    write('0', null, 1_000)
    expect([steps(2_000), batchCount()]).toEqual([22, 10])
    expect([steps(3_000), steps(11_000), steps(11_000, false), batchCount()]).toEqual([0, 0, 0, 10])
    expect([steps(11_001), batchCount()]).toEqual([10, 9])
    expect(steps(30_000)).toBe(0)
  })
})

describe('maintenance by itself', () => {
  it('leaves a new record to a compaction that is worth it, which who asks for it has at once', async () => {
    const clock = new VirtualClock()
    const engine = await openEngine(':memory:', { maintenanceIntervalMs: 3_600_000 }, clock)
    await engine.topics.create('t', { partitions: 1, cleanup: 'compact' })
    await put(engine, ['a', '1'], ['b', '1'], ['c', '1'])
    await clock.advance('2h')
    await put(engine, ['a', '2'])
    await clock.advance('12h')
    expect(await left(engine)).toEqual(['0 a 1', '1 b 1', '2 c 1', '3 a 2'])
    await engine.topics.maintain()
    expect(await left(engine)).toEqual(['1 b 1', '2 c 1', '3 a 2'])
    await put(engine, ['b', '2'])
    await clock.advance('1d')
    expect((await left(engine)).length).toBe(4)
    await clock.advance('2h')
    expect(await left(engine)).toEqual(['2 c 1', '3 a 2', '4 b 2'])
    await engine.close()
  })

  it('runs every interval until the engine closes', async () => {
    const clock = new VirtualClock()
    const engine = await openEngine(':memory:', { maintenanceIntervalMs: 1_000 }, clock)
    await engine.topics.create('t', { partitions: 1, retentionMs: 1_500 })
    await put(engine, ['k', '0'])
    await clock.advance(1_000)
    expect(await left(engine)).toEqual(['0 k 0'])
    await clock.advance(1_000)
    expect(await left(engine)).toEqual([])
    await put(engine, ['k', '1'])
    await clock.advance(5_000)
    expect(await left(engine)).toEqual([])
    await engine.close()
    expect(clock.pendingTimerCount).toBe(0)
    await clock.advance(5_000)
    expect(clock.pendingTimerCount).toBe(0)
  })
})
