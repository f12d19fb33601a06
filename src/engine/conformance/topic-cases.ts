import assert from 'node:assert/strict'
import { type ConformanceCase, survivesClose } from './conformance-case.ts'
import { refuses } from './fixture.ts'

/** Creating, changing and deleting topics. */
export const topicCases: readonly ConformanceCase[] = [
  {
    name: 'topics: a new topic has the documented defaults and is empty',
    async run(f) {
      const name = f.name('topic')
      const created = await f.engine.topics.create(name)
      assert.deepEqual(created, await f.engine.topics.describe(name))
      const { partitions, cleanup, retentionMs, retentionBytes, compression, recordBytesMax } = created.config
      assert.deepEqual(
        { partitions, cleanup, retentionMs, retentionBytes, compression, recordBytesMax },
        {
          partitions: 4,
          cleanup: 'delete',
          retentionMs: null,
          retentionBytes: null,
          compression: 'none',
          recordBytesMax: 1_048_576,
        },
      )
      assert.equal(created.config.tombstoneRetentionMs, 86_400_000)
      assert.equal(created.config.compactionLagMs, 0)
      assert.deepEqual(
        created.partitions.map(({ partition, earliest, latest }) => [partition, earliest, latest]),
        [0, 1, 2, 3].map((partition) => [partition, 0, 0]),
      )
    },
  },
  {
    name: 'topics: creating twice is an error that changes nothing',
    async run(f) {
      const topic = await f.topic({ partitions: 2 })
      await refuses(() => f.engine.topics.create(topic, { partitions: 3 }), 'TOPIC_EXISTS')
      assert.equal((await f.engine.topics.describe(topic))?.partitions.length, 2)
    },
  },
  {
    name: 'topics: of many concurrent creations one wins',
    async run(f) {
      const name = f.name('topic')
      const outcomes = await Promise.allSettled(
        Array.from({ length: 8 }, (_, index) => f.engine.topics.create(name, { partitions: index + 1 })),
      )
      const won = outcomes.flatMap((outcome, index) => (outcome.status === 'fulfilled' ? [index + 1] : []))
      assert.equal(won.length, 1)
      assert.equal((await f.engine.topics.describe(name))?.partitions.length, won[0])
      for (const outcome of outcomes) {
        if (outcome.status === 'rejected') await refuses(() => Promise.reject(outcome.reason), 'TOPIC_EXISTS')
      }
    },
  },
  {
    name: 'topics: ensure creates once and keeps the settings of an existing topic',
    async run(f) {
      const name = f.name('topic')
      const outcomes = await Promise.all([1, 2, 3, 4].map(() => f.engine.topics.ensure(name, { partitions: 3 })))
      for (const outcome of outcomes) assert.equal(outcome.config.partitions, 3)
      await f.publish(name, f.numbered(2), { partition: 1 })
      const again = await f.engine.topics.ensure(name, { partitions: 7, retentionMs: 1 })
      assert.equal(again.config.partitions, 3)
      assert.equal(again.config.retentionMs, null)
      assert.equal(again.partitions[1]?.latest, 2)
    },
  },
  {
    name: 'topics: names that Kafka refuses are refused, the longest one is not',
    async run(f) {
      for (const name of ['', '.', '..', 'a b', 'a/b', 'ü', 'a\0', 'a\n', '\ud800', 'x'.repeat(250)]) {
        await refuses(() => f.engine.topics.create(name), 'TOPIC_NAME_INVALID')
        await refuses(() => f.engine.topics.ensure(name), 'TOPIC_NAME_INVALID')
      }
      const longest = f.name('a.B_').padEnd(249, '-9')
      await f.engine.topics.create(longest)
      await f.publish(longest, f.numbered(1))
    },
  },
  {
    name: 'topics: bad settings are all named in one error and nothing is created',
    async run(f) {
      const name = f.name('topic')
      const error = await refuses(
        () =>
          f.engine.topics.create(name, {
            partitions: 0,
            cleanup: 'shred' as 'delete',
            retentionMs: -1,
            retentionBytes: Number.NaN,
            compression: 'lzma' as 'gzip',
            recordBytesMax: 1,
            compactionLagMs: -5,
            tombstoneRetentionMs: 0.5,
          }),
        'OPTIONS_INVALID',
      )
      const options = ['partitions', 'cleanup', 'retentionMs', 'retentionBytes', 'compression', 'recordBytesMax']
      for (const option of [...options, 'compactionLagMs', 'tombstoneRetentionMs']) {
        assert.ok(error.message.includes(option), `${option} is not named in: ${error.message}`)
      }
      assert.equal(await f.engine.topics.describe(name), undefined)
    },
  },
  {
    name: 'topics: a partition count that is no whole number from 1 to 1,000 is refused',
    async run(f) {
      for (const partitions of [0, -1, 1.5, 1001, Number.NaN, Number.POSITIVE_INFINITY, '4' as unknown as number]) {
        await refuses(() => f.engine.topics.create(f.name('topic'), { partitions }), 'OPTIONS_INVALID')
      }
      assert.equal((await f.engine.topics.create(f.name('topic'), { partitions: 1000 })).partitions.length, 1000)
    },
  },
  {
    name: 'topics: names of prototype members are names like any other',
    async run(f) {
      for (const name of ['__proto__', 'constructor', 'toString', 'hasOwnProperty']) {
        await f.engine.topics.delete(name).catch(() => undefined)
        assert.equal(await f.engine.topics.describe(name), undefined)
        await refuses(() => f.publish(name, f.numbered(1)), 'TOPIC_UNKNOWN')
        await f.engine.topics.create(name, { partitions: 1 })
        await f.publish(name, f.numbered(2))
        assert.deepEqual(await f.data(name), [0, 1])
        await f.engine.topics.delete(name)
      }
    },
  },
  {
    name: 'topics: settings under the key __proto__ set nothing',
    async run(f) {
      const name = f.name('topic')
      const config = JSON.parse('{"__proto__":{"partitions":9,"cleanup":"compact"}}') as object
      await f.engine.topics
        .create(name, config)
        .catch((error: unknown) => refuses(() => Promise.reject(error), 'OPTIONS_INVALID'))
      const created = await f.engine.topics.describe(name)
      assert.ok(created === undefined || (created.config.partitions === 4 && created.config.cleanup === 'delete'))
      assert.equal(({} as { partitions?: number }).partitions, undefined)
    },
  },
  {
    name: 'topics: alter changes what it names and nothing else',
    async run(f) {
      const topic = await f.topic({ partitions: 2, retentionMs: 5000, compression: 'none' })
      const altered = await f.engine.topics.alter(topic, { retentionBytes: 1_000_000 })
      assert.equal(altered.config.retentionBytes, 1_000_000)
      assert.equal(altered.config.retentionMs, 5000)
      assert.equal(altered.config.partitions, 2)
      assert.equal((await f.engine.topics.alter(topic, { retentionMs: null })).config.retentionMs, null)
    },
  },
  {
    name: 'topics: partitions grow, and what was there stays where it was',
    async run(f) {
      const topic = await f.topic({ partitions: 2 })
      await f.publish(topic, f.numbered(3), { partition: 1 })
      const grown = await f.engine.topics.alter(topic, { partitions: 4 })
      assert.deepEqual(
        grown.partitions.map(({ latest }) => latest),
        [0, 3, 0, 0],
      )
      await f.publish(topic, f.numbered(1), { partition: 3 })
      assert.deepEqual(await f.data(topic, 1), [0, 1, 2])
      assert.deepEqual(await f.data(topic, 3), [0])
    },
  },
  {
    name: 'topics: partitions never shrink',
    async run(f) {
      const topic = await f.topic({ partitions: 3 })
      await refuses(() => f.engine.topics.alter(topic, { partitions: 2, retentionMs: 7 }), 'OPTIONS_INVALID')
      const { config } = (await f.engine.topics.describe(topic)) ?? {}
      assert.deepEqual([config?.partitions, config?.retentionMs], [3, null])
    },
  },
  {
    name: 'topics: altering and deleting an unknown topic are errors',
    async run(f) {
      await refuses(() => f.engine.topics.alter(f.name(), { retentionMs: 1 }), 'TOPIC_UNKNOWN')
      await refuses(() => f.engine.topics.delete(f.name()), 'TOPIC_UNKNOWN')
    },
  },
  {
    name: 'topics: a deleted topic is gone, and one of the same name starts empty',
    async run(f) {
      const topic = await f.topic({ partitions: 2, retentionMs: 9 })
      await f.publish(topic, f.numbered(5), { partition: 0 })
      await f.engine.topics.delete(topic)
      assert.equal(await f.engine.topics.describe(topic), undefined)
      await refuses(() => f.publish(topic, f.numbered(1)), 'TOPIC_UNKNOWN')
      await refuses(() => f.engine.topics.read({ topic, partition: 0, offset: 0 }), 'TOPIC_UNKNOWN')
      const again = await f.engine.topics.create(topic, { partitions: 1 })
      assert.deepEqual([again.config.retentionMs, again.partitions[0]?.latest], [null, 0])
      assert.deepEqual(await f.read(topic), [])
      assert.equal((await f.publish(topic, f.numbered(1)))[0]?.offset, 0)
    },
  },
  {
    name: 'topics: list has every topic once',
    async run(f) {
      const names = [await f.topic(), await f.topic({ partitions: 2 })]
      const listed = await f.engine.topics.list()
      for (const name of names) assert.equal(listed.filter((topic) => topic.name === name).length, 1)
      assert.deepEqual(
        listed.find((topic) => topic.name === names[1]),
        await f.engine.topics.describe(names[1] as string),
      )
    },
  },
  {
    name: 'topics: list is told while others make and delete topics',
    async run(f) {
      const lasting = [await f.topic(), await f.topic({ partitions: 2 })]
      let isOver = false
      const churn = Promise.all(
        [0, 1].map(async () => {
          while (!isOver) await f.engine.topics.delete(await f.topic())
        }),
      )
      try {
        for (let round = 0; round < 5; round++) {
          const listed = (await f.engine.topics.list()).map(({ name }) => name)
          for (const name of lasting) assert.equal(listed.filter((one) => one === name).length, 1)
        }
      } finally {
        isOver = true
        await churn
      }
    },
  },
  {
    name: 'topics: a publish to one that is being deleted fails nobody else',
    async run(f) {
      const [gone, stays] = [await f.topic({ partitions: 1 }), await f.topic({ partitions: 1 })]
      let isOver = false
      const deletion = f.engine.topics.delete(gone).finally(() => {
        isOver = true
      })
      const toGone: Promise<Error | undefined>[] = []
      let count = 0
      do {
        toGone.push(
          f.publish(gone, f.numbered(1)).then(
            () => undefined,
            (error: Error) => error,
          ),
        )
        await f.publish(stays, f.numbered(1, count++))
      } while (!isOver)
      await deletion
      for (const error of await Promise.all(toGone)) {
        if (error !== undefined) await refuses(() => Promise.reject(error), 'TOPIC_UNKNOWN')
      }
      assert.deepEqual(
        await f.data(stays),
        Array.from({ length: count }, (_, n) => n),
      )
    },
  },
  {
    name: 'topics: settings and records survive a restart',
    requires: survivesClose,
    async run(f) {
      const topic = await f.topic({
        partitions: 3,
        cleanup: 'compact-and-delete',
        retentionMs: 777,
        recordBytesMax: 2048,
      })
      await f.publish(topic, f.numbered(4, 0, { partitionkey: 'k' }), { partition: 2 })
      const before = await f.engine.topics.describe(topic)
      await f.reopen()
      assert.deepEqual(await f.engine.topics.describe(topic), before)
      assert.deepEqual(await f.data(topic, 2), [0, 1, 2, 3])
    },
  },
]
