import assert from 'node:assert/strict'
import { type ConformanceCase, survivesClose } from './conformance-case.ts'
import { type Fixture, messageOf, refuses } from './fixture.ts'

/** Kafka's own murmur2 values (Apache Kafka, UtilsTest): what its default partitioner computes for these keys. */
const murmur2Values: readonly (readonly [key: string, hash: number])[] = [
  ['21', -973932308],
  ['foobar', -790332482],
  ['a-little-bit-long-string', -985981536],
  ['a-little-bit-longer-string', -1486304829],
  ['lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8', -58897971],
  ['abc', 479470107],
]

/** Appending to topics: order, places, keys, partitions. */
export const publishCases: readonly ConformanceCase[] = [
  {
    name: 'publish: records are read in the order in which they were published',
    async run(f) {
      const topic = await f.topic()
      for (let first = 0; first < 50; first += 5) await f.publish(topic, f.numbered(5, first))
      assert.deepEqual(
        await f.data(topic),
        Array.from({ length: 50 }, (_, index) => index),
      )
    },
  },
  {
    name: 'publish: offsets start at 0, have no gaps, and a record stands where the answer says',
    async run(f) {
      const topic = await f.topic()
      const first = f.numbered(3)
      const second = f.numbered(2, 3)
      const places = [...(await f.publish(topic, first)), ...(await f.publish(topic, second))]
      assert.deepEqual(
        places,
        [0, 1, 2, 3, 4].map((offset) => ({ topic, partition: 0, offset })),
      )
      const read = await f.read(topic)
      assert.deepEqual(
        read.map((record) => [record.offset, messageOf(record).id]),
        [...first, ...second].map((message, offset) => [offset, message.id]),
      )
    },
  },
  {
    name: 'publish: commits are applied in the order of the calls',
    async run(f) {
      const topic = await f.topic()
      const commits = Array.from({ length: 200 }, (_, index) => f.publish(topic, f.numbered(1, index)))
      const places = await Promise.all(commits)
      assert.deepEqual(
        places.map(([place]) => place?.offset),
        Array.from({ length: 200 }, (_, index) => index),
      )
      assert.deepEqual(
        await f.data(topic),
        Array.from({ length: 200 }, (_, index) => index),
      )
    },
  },
  {
    name: 'publish: concurrent publishers lose and double nothing, and each keeps its order',
    async run(f) {
      const topic = await f.topic({ partitions: 3 })
      const publisher = async (id: number): Promise<void> => {
        for (let index = 0; index < 20; index++) {
          await f.publish(topic, [f.message('Numbered', { id, index }, { partitionkey: `p${id}` })])
        }
      }
      await Promise.all(Array.from({ length: 12 }, (_, id) => publisher(id)))
      const seen = new Map<number, number>()
      for (const partition of [0, 1, 2]) {
        const records = await f.read(topic, partition)
        if (f.engine.capabilities.topics.offsetGaps !== true) {
          assert.deepEqual(
            records.map(({ offset }) => offset),
            records.map((_, offset) => offset),
          )
        }
        for (const record of records) {
          const { id, index } = messageOf(record).data as { id: number; index: number }
          assert.equal(index, seen.get(id) ?? 0)
          seen.set(id, index + 1)
        }
      }
      assert.deepEqual([...seen.values()], Array(12).fill(20))
    },
  },
  {
    name: 'publish: one commit writes to several topics, answered in the order of the batch',
    async run(f) {
      const [a, b] = [await f.topic(), await f.topic({ partitions: 2 })]
      const { published } = await f.commit({
        publish: [
          { topic: b, partition: 1, messages: f.numbered(2) },
          { topic: a, messages: f.numbered(1), records: [{ key: 'k', value: null }] },
          { topic: b, partition: 1, messages: f.numbered(1, 2) },
        ],
      })
      assert.deepEqual(
        published.map(({ topic, partition, offset }) => [topic, partition, offset]),
        [
          [b, 1, 0],
          [b, 1, 1],
          [a, 0, 0],
          [a, 0, 1],
          [b, 1, 2],
        ],
      )
      assert.deepEqual(await f.data(b, 1), [0, 1, 2])
    },
  },
  {
    name: 'publish: the key decides the partition as in Kafka',
    async run(f) {
      for (const partitions of [3, 7, 100]) {
        const topic = await f.topic({ partitions })
        for (const [key, hash] of murmur2Values) {
          const expected = (hash & 0x7fffffff) % partitions
          const [byMessage] = await f.publish(topic, [f.message('Keyed', {}, { partitionkey: key })])
          assert.equal(byMessage?.partition, expected, `message with key ${key} of ${partitions}`)
          const records = [
            { key, value: 'v' },
            { key: Buffer.from(key), value: 'v' },
          ]
          const { published } = await f.commit({ publish: [{ topic, records }] })
          assert.deepEqual(
            published.map(({ partition }) => partition),
            [expected, expected],
          )
        }
      }
    },
  },
  {
    name: 'publish: text and bytes of a key that is not ASCII lead to one partition',
    async run(f) {
      const topic = await f.topic({ partitions: 97 })
      for (const key of ['ключ', 'é', '日本語', '😀', 'a\u0000b']) {
        const { published } = await f.commit({
          publish: [
            {
              topic,
              records: [
                { key, value: 'v' },
                { key: Buffer.from(key, 'utf8'), value: 'v' },
              ],
            },
          ],
        })
        assert.equal(published[0]?.partition, published[1]?.partition, key)
      }
    },
  },
  {
    name: 'publish: a key keeps its partition and its order over a restart',
    requires: survivesClose,
    async run(f) {
      const topic = await f.topic({ partitions: 5 })
      const keyed = (index: number) => f.message('Keyed', index, { partitionkey: 'one key' })
      const [first] = await f.publish(topic, [keyed(0), keyed(1)])
      await f.reopen()
      const [later] = await f.publish(topic, [keyed(2)])
      assert.equal(later?.partition, first?.partition)
      assert.equal(later?.offset, 2)
      assert.deepEqual(await f.data(topic, first?.partition), [0, 1, 2])
    },
  },
  {
    name: 'publish: keys of one commit spread over their partitions and keep their order',
    async run(f) {
      const topic = await f.topic({ partitions: 4 })
      const messages = Array.from({ length: 200 }, (_, n) =>
        f.message('Keyed', { key: `k${n % 20}`, n }, { partitionkey: `k${n % 20}` }),
      )
      const places = await f.publish(topic, messages)
      const placeOf = new Map<string, number>()
      for (const [index, place] of places.entries()) {
        const key = messages[index]?.partitionkey as string
        assert.equal(place.partition, placeOf.get(key) ?? place.partition)
        placeOf.set(key, place.partition)
      }
      assert.ok(new Set(placeOf.values()).size > 1)
      for (const [partition] of [0, 1, 2, 3].entries()) {
        const numbers = (await f.data(topic, partition)).map((data) => (data as { n: number }).n)
        assert.deepEqual(
          numbers,
          numbers.toSorted((a, b) => a - b),
        )
      }
    },
  },
  {
    name: 'publish: without a key a commit stays together, and commits take turns',
    async run(f) {
      const topic = await f.topic({ partitions: 3 })
      const used = new Set<number>()
      for (let turn = 0; turn < 9; turn++) {
        const places = await f.publish(topic, f.numbered(4))
        assert.equal(new Set(places.map(({ partition }) => partition)).size, 1)
        used.add(places[0]?.partition as number)
      }
      assert.deepEqual(used, new Set([0, 1, 2]))
    },
  },
  {
    name: 'publish: a partition that is named goes before the key',
    async run(f) {
      const topic = await f.topic({ partitions: 6 })
      for (const partition of [0, 3, 5]) {
        const [place] = await f.publish(topic, [f.message('Keyed', 1, { partitionkey: 'abc' })], { partition })
        assert.equal(place?.partition, partition)
      }
    },
  },
  {
    name: 'publish: an empty batch and a write with an empty list go through and write nothing',
    async run(f) {
      const topic = await f.topic()
      assert.deepEqual(await f.commit({}), { ok: true, published: [], appended: [] })
      assert.deepEqual((await f.commit({ publish: [{ topic, messages: [] }] })).published, [])
      assert.equal(await f.recordCount(topic), 0)
    },
  },
  {
    name: 'publish: unknown topics are errors and nothing is written',
    async run(f) {
      const topic = await f.topic()
      await refuses(
        () =>
          f.engine.commit({
            publish: [
              { topic, messages: f.numbered(1) },
              { topic: f.name(), messages: f.numbered(1) },
            ],
          }),
        'TOPIC_UNKNOWN',
      )
      assert.deepEqual(await f.read(topic), [])
    },
  },
  {
    name: 'publish: partitions outside the topic are errors and nothing is written',
    async run(f) {
      const topic = await f.topic({ partitions: 2 })
      for (const partition of [2, -1, 1000]) {
        await refuses(() => f.publish(topic, f.numbered(1), { partition }), 'PARTITION_UNKNOWN')
      }
      for (const partition of [0.5, Number.NaN, '0' as unknown as number]) {
        await refuses(() => f.publish(topic, f.numbered(1), { partition }))
      }
      assert.equal(await f.recordCount(topic), 0)
    },
  },
  {
    name: 'publish: thousands of records in one commit',
    async run(f) {
      const topic = await f.topic()
      const places = await f.publish(topic, f.numbered(5000))
      assert.equal(places.at(-1)?.offset, 4999)
      assert.deepEqual(
        await f.data(topic),
        Array.from({ length: 5000 }, (_, index) => index),
      )
    },
  },
  {
    name: 'publish: a record over the limit of its topic is refused with everything beside it',
    async run(f) {
      const topic = await f.topic({ recordBytesMax: 2048 })
      const data = 'x'.repeat(2100)
      const error = await refuses(
        () => f.publish(topic, [f.message('Small', 1), f.message('Large', data), f.message('Small', 2)]),
        'RECORD_TOO_LARGE',
      )
      assert.match(error.message, /2,?048/)
      await refuses(
        () => f.engine.commit({ publish: [{ topic, records: [{ key: null, value: data }] }] }),
        'RECORD_TOO_LARGE',
      )
      assert.equal(await f.recordCount(topic), 0)
      await f.publish(topic, [f.message('Fits', 'x'.repeat(1000))])
      assert.equal(await f.recordCount(topic), 1)
    },
  },
  {
    name: 'publish: the default limit is 1 MiB, and alter moves it',
    async run(f) {
      const topic = await f.topic()
      const large = (): Promise<unknown> => f.publish(topic, [f.message('Large', 'x'.repeat(1_100_000))])
      await refuses(large, 'RECORD_TOO_LARGE')
      await f.publish(topic, [f.message('Large', 'x'.repeat(1_000_000))])
      await f.engine.topics.alter(topic, { recordBytesMax: 2_000_000 })
      await large()
      assert.deepEqual(
        (await f.data(topic)).map((data) => (data as string).length),
        [1_000_000, 1_100_000],
      )
    },
  },
  {
    name: 'publish: what the caller does to its bytes after the call changes nothing',
    async run(f: Fixture) {
      const topic = await f.topic({ partitions: 1 })
      const key = Buffer.from('key')
      const header = Buffer.from('header')
      const pending = f.commit({ publish: [{ topic, records: [{ key, value: null, headers: [['h', header]] }] }] })
      key.fill(0)
      header.fill(0)
      await pending
      const [record] = await f.read(topic)
      assert.ok(record?.kind === 'tombstone')
      assert.equal(Buffer.from(record.key ?? '').toString(), 'key')
      assert.equal(Buffer.from(record.headers[0]?.[1] ?? '').toString(), 'header')
    },
  },
]
