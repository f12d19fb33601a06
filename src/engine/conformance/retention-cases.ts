import assert from 'node:assert/strict'
import type { TopicConfig } from '../topics.ts'
import { all, type ConformanceCase, compaction, movableTime, retention, survivesClose } from './conformance-case.ts'
import type { Fixture } from './fixture.ts'

const hourMs = 3_600_000

/** Publishes one record now, alone in its commit, so that batches have clear ages. */
async function put(f: Fixture, topic: string, key: string | null, value: string | null): Promise<void> {
  await f.commit({ publish: [{ topic, partition: 0, records: [{ key, value, timestampMs: f.nowMs() }] }] })
}

/** `offset key value` of each record that is left; a tombstone has no value. */
async function left(f: Fixture, topic: string): Promise<string[]> {
  return (await f.read(topic)).map((record) => {
    const value = record.kind === 'undecodable' ? Buffer.from(record.value).toString() : '-'
    return `${record.offset} ${String(record.key)} ${value}`
  })
}

async function compacted(f: Fixture, config: TopicConfig = {}): Promise<string> {
  return f.topic({ cleanup: 'compact', ...config })
}

/** Retention by time and size, and compaction by key. */
export const retentionCases: readonly ConformanceCase[] = [
  {
    name: 'retention: what is older than the bound goes, what is younger stays where it was',
    requires: all(retention, movableTime),
    async run(f) {
      const topic = await f.topic({ retentionMs: hourMs })
      await put(f, topic, null, 'old')
      await f.clock.advance(hourMs / 2)
      await put(f, topic, null, 'young')
      await f.clock.advance(hourMs / 2 + 1000)
      const report = await f.engine.topics.maintain()
      assert.deepEqual(await left(f, topic), ['1 null young'])
      assert.ok(report.batchesDeleted >= 1 && report.bytesDeleted > 0)
      assert.equal(await f.engine.topics.locate(topic, 0, 'earliest'), 1)
    },
  },
  {
    name: 'retention: a partition that lost everything goes on at its old end',
    requires: all(retention, movableTime, survivesClose),
    async run(f) {
      const topic = await f.topic({ retentionMs: 1000 })
      for (let index = 0; index < 5; index++) await put(f, topic, null, 'x')
      await f.clock.advance(hourMs)
      await f.engine.topics.maintain()
      await f.reopen()
      const [partition] = (await f.engine.topics.describe(topic))?.partitions ?? []
      assert.deepEqual([partition?.earliest, partition?.latest, partition?.bytes], [5, 5, 0])
      await put(f, topic, null, 'next')
      assert.deepEqual(await left(f, topic), ['5 null next'])
    },
  },
  {
    name: 'retention: without a bound everything stays',
    requires: all(retention, movableTime),
    async run(f) {
      const topic = await f.topic()
      await put(f, topic, null, 'kept')
      await f.clock.advance('2d')
      await f.engine.topics.maintain()
      assert.equal((await f.read(topic)).length, 1)
    },
  },
  {
    name: 'retention: a bound in bytes drops the oldest and keeps the newest, in each partition',
    requires: retention,
    async run(f) {
      const topic = await f.topic({ partitions: 2, retentionBytes: 50_000 })
      for (let index = 0; index < 20; index++) {
        await f.publish(topic, [f.message('Large', `${index}${'x'.repeat(10_000)}`)], { partition: 0 })
      }
      await f.publish(topic, f.numbered(2), { partition: 1 })
      await f.engine.topics.maintain()
      const description = await f.engine.topics.describe(topic)
      assert.ok((description?.partitions[0]?.bytes ?? Number.NaN) <= 50_000)
      const records = await f.read(topic, 0)
      assert.ok(records.length >= 3 && records.length <= 5, `${records.length} are left`)
      assert.equal(records.at(-1)?.offset, 19)
      assert.deepEqual(await f.data(topic, 1), [0, 1])
    },
  },
  {
    name: 'retention: a bound that is set later applies to what is there',
    requires: all(retention, movableTime),
    async run(f) {
      const topic = await f.topic()
      await put(f, topic, null, 'old')
      await f.clock.advance(hourMs)
      await put(f, topic, null, 'young')
      await f.engine.topics.alter(topic, { retentionMs: hourMs / 2 })
      await f.engine.topics.maintain()
      assert.deepEqual(await left(f, topic), ['1 null young'])
    },
  },
  {
    name: 'compaction: the last value of each key stays at its offset',
    requires: all(compaction, movableTime),
    async run(f) {
      const topic = await compacted(f)
      for (const [key, value] of [
        ['a', '1'],
        ['b', '1'],
        ['a', '2'],
        ['c', '1'],
        ['b', '2'],
        ['a', '3'],
      ] as const) {
        await put(f, topic, key, value)
      }
      await f.clock.advance(1000)
      await put(f, topic, 'end', 'x')
      const report = await f.engine.topics.maintain()
      assert.deepEqual(await left(f, topic), ['3 c 1', '4 b 2', '5 a 3', '6 end x'])
      assert.equal(report.recordsCompacted, 3)
    },
  },
  {
    name: 'compaction: within one batch too, and once is enough',
    requires: all(compaction, movableTime),
    async run(f) {
      const topic = await compacted(f)
      const records = ['1', '2', '3', '4'].map((value) => ({ key: 'same', value, timestampMs: f.nowMs() }))
      await f.commit({ publish: [{ topic, partition: 0, records: [{ key: 'other', value: '0' }, ...records] }] })
      await f.clock.advance(1000)
      await put(f, topic, 'end', 'x')
      await f.engine.topics.maintain()
      const once = await left(f, topic)
      assert.deepEqual(once, ['0 other 0', '4 same 4', '5 end x'])
      assert.equal((await f.engine.topics.maintain()).recordsCompacted, 0)
      assert.deepEqual(await left(f, topic), once)
    },
  },
  {
    name: 'compaction: reading goes over the gaps to the end',
    requires: all(compaction, movableTime),
    async run(f) {
      const topic = await compacted(f)
      for (let index = 0; index < 30; index++) await put(f, topic, index % 2 === 0 ? 'even' : 'odd', String(index))
      await f.clock.advance(1000)
      await put(f, topic, 'end', 'x')
      await f.engine.topics.maintain()
      let offset = 0
      const offsets: number[] = []
      for (let pages = 0; offset < 31; pages++) {
        assert.ok(pages < 100, 'reading does not come to the end')
        const page = await f.engine.topics.read({ topic, partition: 0, offset, bytesMax: 1 })
        offsets.push(...page.records.map((record) => record.offset))
        offset = page.nextOffset
      }
      assert.deepEqual(offsets, [28, 29, 30])
    },
  },
  {
    name: 'compaction: a tombstone deletes its key, stays for its time, and goes',
    requires: all(compaction, movableTime),
    async run(f) {
      const topic = await compacted(f, { tombstoneRetentionMs: hourMs })
      await put(f, topic, 'a', '1')
      await put(f, topic, 'b', '1')
      await put(f, topic, 'a', null)
      await f.clock.advance(1000)
      await put(f, topic, 'end', 'x')
      await f.engine.topics.maintain()
      assert.deepEqual(await left(f, topic), ['1 b 1', '2 a -', '3 end x'])
      await f.clock.advance(hourMs - 1000)
      await f.engine.topics.maintain()
      assert.ok((await left(f, topic)).includes('2 a -'), 'the tombstone went before its time')
      await f.clock.advance(2 * hourMs)
      await f.engine.topics.maintain()
      await f.engine.topics.maintain()
      assert.deepEqual(await left(f, topic), ['1 b 1', '3 end x'])
    },
  },
  {
    name: 'compaction: a value after a tombstone stays',
    requires: all(compaction, movableTime),
    async run(f) {
      const topic = await compacted(f, { tombstoneRetentionMs: 0 })
      for (const value of ['1', null, '2']) await put(f, topic, 'a', value)
      await f.clock.advance(hourMs)
      await put(f, topic, 'end', 'x')
      await f.engine.topics.maintain()
      await f.engine.topics.maintain()
      assert.deepEqual(await left(f, topic), ['2 a 2', '3 end x'])
    },
  },
  {
    name: 'compaction: what is younger than the lag is left alone',
    requires: all(compaction, movableTime),
    async run(f) {
      const topic = await compacted(f, { compactionLagMs: hourMs })
      for (const value of ['1', '2', '3']) await put(f, topic, 'a', value)
      await f.clock.advance(hourMs / 2)
      await f.engine.topics.maintain()
      assert.equal((await f.read(topic)).length, 3)
      await f.clock.advance(hourMs)
      await put(f, topic, 'end', 'x')
      await f.engine.topics.maintain()
      assert.deepEqual(await left(f, topic), ['2 a 3', '3 end x'])
    },
  },
  {
    name: 'compaction: other policies leave older values alone',
    requires: all(compaction, movableTime),
    async run(f) {
      const topic = await f.topic({ cleanup: 'delete' })
      for (const value of ['1', '2', '3']) await put(f, topic, 'a', value)
      await f.clock.advance(hourMs)
      await f.engine.topics.maintain()
      assert.equal((await f.read(topic)).length, 3)
    },
  },
  {
    name: 'compaction: with deletion, both happen',
    requires: all(compaction, retention, movableTime),
    async run(f) {
      const topic = await f.topic({ cleanup: 'compact-and-delete', retentionMs: hourMs })
      await put(f, topic, 'old', '1')
      await f.clock.advance(hourMs)
      for (const value of ['1', '2']) await put(f, topic, 'a', value)
      await f.clock.advance(1000)
      await put(f, topic, 'end', 'x')
      await f.engine.topics.maintain()
      assert.deepEqual(await left(f, topic), ['2 a 2', '3 end x'])
    },
  },
  {
    name: 'compaction: bytes and text are the same key, key by key in each partition',
    requires: all(compaction, movableTime),
    async run(f) {
      const topic = await compacted(f, { partitions: 2 })
      await f.commit({ publish: [{ topic, partition: 1, records: [{ key: 'a', value: 'elsewhere' }] }] })
      await f.commit({ publish: [{ topic, partition: 0, records: [{ key: 'a', value: 'text' }] }] })
      await f.commit({ publish: [{ topic, partition: 0, records: [{ key: Buffer.from('a'), value: 'bytes' }] }] })
      await f.clock.advance(1000)
      await put(f, topic, 'end', 'x')
      await f.engine.topics.maintain()
      assert.deepEqual(await left(f, topic), ['1 a bytes', '2 end x'])
      assert.equal((await f.read(topic, 1)).length, 1)
    },
  },
  {
    name: 'compaction: compressed messages are compacted and stay readable after a restart',
    requires: all(compaction, movableTime, survivesClose),
    async run(f) {
      const compression = f.engine.capabilities.topics.compression.at(-1) ?? 'none'
      const topic = await compacted(f, { compression })
      for (let index = 0; index < 10; index++)
        await f.publish(topic, [f.message('Keyed', index, { partitionkey: `k${index % 3}` })])
      await f.clock.advance(1000)
      await put(f, topic, 'end', null)
      await f.engine.topics.maintain()
      await f.reopen()
      const messages = (await f.read(topic)).filter((record) => record.kind === 'message')
      assert.deepEqual(
        messages.map((record) => [record.offset, record.message.data]),
        [
          [7, 7],
          [8, 8],
          [9, 9],
        ],
      )
    },
  },
]
