import assert from 'node:assert/strict'
import { all, type ConformanceCase, movableTime, survivesClose } from './conformance-case.ts'
import { type Fixture, messageOf, refuses } from './fixture.ts'

/** A topic with one commit at each of these times. */
async function timed(f: Fixture, ...timesMs: readonly number[]): Promise<string> {
  const topic = await f.topic()
  for (const timestampMs of timesMs) {
    await f.commit({ publish: [{ topic, records: [{ key: null, value: 'x', timestampMs }] }] })
  }
  return topic
}

/** Reading from a place, waiting for more, start positions, truncation. */
export const readingCases: readonly ConformanceCase[] = [
  {
    name: 'reading: an empty partition and the end of a partition are empty reads',
    async run(f) {
      const topic = await f.topic()
      assert.deepEqual(await f.engine.topics.read({ topic, partition: 0, offset: 0 }), {
        records: [],
        nextOffset: 0,
        latest: 0,
      })
      await f.publish(topic, f.numbered(3))
      assert.deepEqual(await f.engine.topics.read({ topic, partition: 0, offset: 3 }), {
        records: [],
        nextOffset: 3,
        latest: 3,
      })
    },
  },
  {
    name: 'reading: an early read answers at least what is acknowledged',
    async run(f) {
      const topic = await f.topic()
      await f.publish(topic, f.numbered(3))
      const plain = await f.engine.topics.read({ topic, partition: 0, offset: 0 })
      assert.deepEqual(await f.engine.topics.read({ topic, partition: 0, offset: 0, early: true }), plain)
      const waiting = f.engine.topics.read({ topic, partition: 0, offset: 3, waitMs: 60_000, early: true })
      const last = f.publish(topic, f.numbered(1))
      assert.deepEqual(
        (await waiting).records.map(({ offset }) => offset),
        [3],
      )
      await last
    },
  },
  {
    name: 'reading: offsets outside the partition are errors that name its bounds',
    async run(f) {
      const topic = await f.topic()
      await f.publish(topic, f.numbered(3))
      for (const offset of [4, 1e9]) {
        const error = await refuses(() => f.engine.topics.read({ topic, partition: 0, offset }), 'OFFSET_OUT_OF_RANGE')
        const { earliest, latest } = (error as Error & { details: { earliest: number; latest: number } }).details
        assert.deepEqual([earliest, latest], [0, 3])
      }
      for (const offset of [-1, 0.5, Number.NaN, Number.POSITIVE_INFINITY, '0' as unknown as number]) {
        await refuses(() => f.engine.topics.read({ topic, partition: 0, offset }))
      }
    },
  },
  {
    name: 'reading: unknown topics and partitions are errors',
    async run(f) {
      const topic = await f.topic()
      await refuses(() => f.engine.topics.read({ topic: f.name(), partition: 0, offset: 0 }), 'TOPIC_UNKNOWN')
      await refuses(() => f.engine.topics.read({ topic, partition: 1, offset: 0 }), 'PARTITION_UNKNOWN')
      await refuses(() => f.engine.topics.read({ topic, partition: -1, offset: 0 }), 'PARTITION_UNKNOWN')
      await refuses(() => f.engine.topics.read({ topic, partition: Number.NaN, offset: 0 }))
      await refuses(() => f.engine.topics.locate(f.name(), 0, 'earliest'), 'TOPIC_UNKNOWN')
      await refuses(() => f.engine.topics.locate(topic, 7, 'latest'), 'PARTITION_UNKNOWN')
    },
  },
  {
    name: 'reading: from every offset the rest comes, and nothing before it',
    async run(f) {
      const topic = await f.topic()
      for (const count of [1, 5, 2, 7]) await f.publish(topic, f.numbered(count))
      for (let offset = 0; offset <= 15; offset++) {
        const { records } = await f.engine.topics.read({ topic, partition: 0, offset })
        assert.deepEqual(
          records.map((record) => record.offset),
          Array.from({ length: 15 - offset }, (_, n) => offset + n),
        )
      }
    },
  },
  {
    name: 'reading: small pages lead to the end without loss',
    async run(f) {
      const topic = await f.topic()
      for (let first = 0; first < 60; first += 6) await f.publish(topic, f.numbered(6, first))
      const records = await f.read(topic, 0, 1)
      assert.deepEqual(
        records.map((record) => messageOf(record).data),
        Array.from({ length: 60 }, (_, index) => index),
      )
    },
  },
  {
    name: 'reading: a bound in bytes bounds a page',
    async run(f) {
      const topic = await f.topic()
      for (let index = 0; index < 20; index++) await f.publish(topic, [f.message('Large', 'x'.repeat(10_000))])
      const page = await f.engine.topics.read({ topic, partition: 0, offset: 0, bytesMax: 30_000 })
      assert.ok(page.records.length >= 1 && page.records.length <= 4, `${page.records.length} records`)
      assert.equal(page.latest, 20)
    },
  },
  {
    name: 'reading: a read that waits ends with the next record',
    async run(f) {
      const topic = await f.topic()
      await f.publish(topic, f.numbered(1))
      const waiting = f.engine.topics.read({ topic, partition: 0, offset: 1, waitMs: 3_600_000 })
      await f.publish(topic, f.numbered(1, 1))
      const { records, nextOffset } = await waiting
      assert.deepEqual(
        records.map((record) => messageOf(record).data),
        [1],
      )
      assert.equal(nextOffset, 2)
    },
  },
  {
    name: "reading: a record in another partition does not end a wait with someone else's record",
    requires: movableTime,
    async run(f) {
      const topic = await f.topic({ partitions: 2 })
      const waiting = f.engine.topics.read({ topic, partition: 0, offset: 0, waitMs: 1000 })
      await f.publish(topic, f.numbered(1), { partition: 1 })
      await f.clock.advance(1000)
      assert.deepEqual(await waiting, { records: [], nextOffset: 0, latest: 0 })
    },
  },
  {
    name: 'reading: a wait that runs out is an empty read',
    requires: movableTime,
    async run(f) {
      const topic = await f.topic()
      let ended = false
      const waiting = f.engine.topics.read({ topic, partition: 0, offset: 0, waitMs: 5000 }).then((result) => {
        ended = true
        return result
      })
      // Beside a clock that is pushed, time goes on by itself.
      await f.clock.advance(3000)
      assert.equal(ended, false)
      await f.clock.advance(2000)
      assert.deepEqual((await waiting).records, [])
    },
  },
  {
    name: 'reading: many wait for one record and all get it',
    async run(f) {
      const topic = await f.topic()
      const waiting = Array.from({ length: 10 }, () =>
        f.engine.topics.read({ topic, partition: 0, offset: 0, waitMs: 3_600_000 }),
      )
      await f.publish(topic, f.numbered(1))
      for (const { records } of await Promise.all(waiting)) assert.equal(records.length, 1)
    },
  },
  {
    name: 'reading: an abort ends a wait with its reason',
    async run(f) {
      const topic = await f.topic()
      const controller = new AbortController()
      const reason = new Error('enough')
      const request = { topic, partition: 0, offset: 0, waitMs: 3_600_000, signal: controller.signal }
      const waiting = f.engine.topics.read(request)
      controller.abort(reason)
      await assert.rejects(waiting, reason)
      await assert.rejects(f.engine.topics.read(request), reason)
    },
  },
  {
    name: 'reading: deleting the topic ends a wait',
    async run(f) {
      const topic = await f.topic()
      const waiting = f.engine.topics.read({ topic, partition: 0, offset: 0, waitMs: 3_600_000 })
      const ended = waiting.then(
        ({ records }) => records.length === 0,
        (error: { code?: string }) => error.code === 'TOPIC_UNKNOWN',
      )
      await f.engine.topics.delete(topic)
      assert.equal(await ended, true)
    },
  },
  {
    name: 'reading: earliest, latest and an offset are located',
    async run(f) {
      const topic = await f.topic()
      await f.publish(topic, f.numbered(4))
      const { locate } = {
        locate: (start: Parameters<typeof f.engine.topics.locate>[2]) => f.engine.topics.locate(topic, 0, start),
      }
      assert.deepEqual([await locate('earliest'), await locate('latest'), await locate({ offset: 2 })], [0, 4, 2])
      for (const start of [{ offset: Number.NaN }, { offset: -1 }, { timestampMs: Number.NaN }, 'middle', null, {}]) {
        await refuses(() => locate(start as 'earliest'))
      }
    },
  },
  {
    name: 'reading: a timestamp means the first record with that time or a later one',
    async run(f) {
      const topic = await timed(f, 1000, 2000, 2000, 3000)
      const at = (timestampMs: number): Promise<number> => f.engine.topics.locate(topic, 0, { timestampMs })
      const found = await Promise.all([0, 1000, 1001, 2000, 2001, 3000, 3001].map(at))
      assert.deepEqual(found, [0, 0, 1, 1, 3, 3, 4])
    },
  },
  {
    name: 'reading: a timestamp is found within a batch and where times fall',
    async run(f) {
      const topic = await f.topic()
      const records = [10, 30, 20, 40].map((timestampMs) => ({ key: null, value: 'x', timestampMs }))
      await f.commit({ publish: [{ topic, records }] })
      await f.commit({ publish: [{ topic, records: [{ key: null, value: 'x', timestampMs: 25 }] }] })
      const at = (timestampMs: number): Promise<number> => f.engine.topics.locate(topic, 0, { timestampMs })
      assert.deepEqual(await Promise.all([10, 15, 30, 35, 41].map(at)), [0, 1, 1, 3, 5])
    },
  },
  {
    name: 'reading: truncation hides what was before, and offsets go on',
    async run(f) {
      const topic = await f.topic()
      await f.publish(topic, f.numbered(10))
      await f.engine.topics.truncate(topic, 0, 4)
      assert.deepEqual(await f.data(topic), [4, 5, 6, 7, 8, 9])
      assert.equal(await f.engine.topics.locate(topic, 0, 'earliest'), 4)
      await refuses(() => f.engine.topics.read({ topic, partition: 0, offset: 3 }), 'OFFSET_OUT_OF_RANGE')
      await f.engine.topics.truncate(topic, 0, 2)
      assert.equal(await f.engine.topics.locate(topic, 0, 'earliest'), 4)
      assert.equal((await f.publish(topic, f.numbered(1, 10)))[0]?.offset, 10)
    },
  },
  {
    name: 'reading: a partition that was truncated to its end is empty and goes on there, also after a restart',
    requires: survivesClose,
    async run(f) {
      const topic = await f.topic()
      await f.publish(topic, f.numbered(6))
      await f.engine.topics.truncate(topic, 0, 6)
      await f.reopen()
      assert.deepEqual(await f.read(topic), [])
      const [partition] = (await f.engine.topics.describe(topic))?.partitions ?? []
      assert.deepEqual([partition?.earliest, partition?.latest], [6, 6])
      assert.equal((await f.publish(topic, f.numbered(1)))[0]?.offset, 6)
    },
  },
  {
    name: 'reading: truncation with a wrong place is an error',
    async run(f) {
      const topic = await f.topic()
      await f.publish(topic, f.numbered(3))
      await refuses(() => f.engine.topics.truncate(f.name(), 0, 1), 'TOPIC_UNKNOWN')
      await refuses(() => f.engine.topics.truncate(topic, 1, 1), 'PARTITION_UNKNOWN')
      for (const offset of [Number.NaN, 1.5, '1' as unknown as number]) {
        await refuses(() => f.engine.topics.truncate(topic, 0, offset))
      }
      await f.engine.topics.truncate(topic, 0, 1000).catch((error: unknown) => refuses(() => Promise.reject(error)))
      const [place] = await f.publish(topic, f.numbered(1))
      assert.equal(place?.offset, 3)
    },
  },
  {
    name: 'reading: what was acknowledged is read at once, by place and by time',
    requires: all(movableTime),
    async run(f) {
      const topic = await f.topic()
      for (let index = 0; index < 20; index++) {
        const [place] = await f.publish(topic, f.numbered(1, index))
        const { records, latest } = await f.engine.topics.read({ topic, partition: 0, offset: place?.offset as number })
        assert.deepEqual([records.length, latest], [1, index + 1])
      }
    },
  },
]
