import assert from 'node:assert/strict'
import type { ProducerSequence, PublishWrite } from '../write-batch.ts'
import { all, atomic, type ConformanceCase, idempotentProducers, survivesClose } from './conformance-case.ts'
import { type Fixture, refuses } from './fixture.ts'

/** A producer of its own and a topic with two partitions to write to. */
async function producing(f: Fixture) {
  const topic = await f.topic({ partitions: 2 })
  const name = f.name('producer')
  const producer = await f.engine.topics.registerProducer(name)
  const write = (
    sequence: number,
    count: number,
    rest: Partial<ProducerSequence> & { partition?: number } = {},
  ): PublishWrite => {
    const { partition = 0, ...place } = rest
    return { topic, partition, messages: f.numbered(count, sequence), producer: { ...producer, sequence, ...place } }
  }
  const send = async (...args: Parameters<typeof write>): Promise<number[]> =>
    (await f.commit({ publish: [write(...args)] })).published.map(({ offset }) => offset)
  return { topic, name, producer, write, send }
}

/** Idempotent producers (KIP-98): a batch is stored once however often it is sent. */
export const producerCases: readonly ConformanceCase[] = (
  [
    {
      name: 'producers: a repeated batch is stored once and answered with its first place',
      async run(f) {
        const { topic, send } = await producing(f)
        assert.deepEqual(await send(0, 3), [0, 1, 2])
        assert.deepEqual(await send(0, 3), [0, 1, 2])
        assert.deepEqual(await send(3, 1), [3])
        assert.deepEqual(await send(3, 1), [3])
        assert.deepEqual(await f.data(topic), [0, 1, 2, 3])
      },
    },
    {
      name: 'producers: a batch that is sent twice at once is stored once',
      async run(f) {
        const { topic, send } = await producing(f)
        assert.deepEqual(await Promise.all([send(0, 2), send(0, 2), send(2, 1), send(0, 2), send(2, 1)]), [
          [0, 1],
          [0, 1],
          [2],
          [0, 1],
          [2],
        ])
        assert.deepEqual(await f.data(topic), [0, 1, 2])
      },
    },
    {
      name: 'producers: a gap is an error and does not use the number up',
      async run(f) {
        const { topic, send } = await producing(f)
        await refuses(() => send(1, 1), 'OUT_OF_SEQUENCE')
        await send(0, 2)
        await refuses(() => send(3, 1), 'OUT_OF_SEQUENCE')
        await send(2, 1)
        assert.deepEqual(await f.data(topic), [0, 1, 2])
      },
    },
    {
      name: 'producers: a batch that covers another range than before is no repetition',
      async run(f) {
        const { topic, send } = await producing(f)
        await send(0, 3)
        await refuses(() => send(0, 2), 'OUT_OF_SEQUENCE')
        await refuses(() => send(1, 3), 'OUT_OF_SEQUENCE')
        await refuses(() => send(0, 4), 'OUT_OF_SEQUENCE')
        assert.deepEqual(await f.data(topic), [0, 1, 2])
      },
    },
    {
      name: 'producers: the last five batches are remembered',
      async run(f) {
        const { topic, send } = await producing(f)
        for (let sequence = 0; sequence < 8; sequence++) await send(sequence, 1)
        for (let sequence = 3; sequence < 8; sequence++) assert.deepEqual(await send(sequence, 1), [sequence])
        await refuses(() => send(1, 1), 'OUT_OF_SEQUENCE')
        assert.equal((await f.data(topic)).length, 8)
      },
    },
    {
      name: 'producers: each partition has a numbering of its own',
      async run(f) {
        const { topic, send } = await producing(f)
        await send(0, 2)
        await send(0, 1, { partition: 1 })
        await refuses(() => send(2, 1, { partition: 1 }), 'OUT_OF_SEQUENCE')
        await send(1, 1, { partition: 1 })
        assert.deepEqual(
          [await f.data(topic, 0), await f.data(topic, 1)],
          [
            [0, 1],
            [0, 1],
          ],
        )
      },
    },
    {
      name: 'producers: registering again keeps the id, raises the epoch and fences the one before',
      async run(f) {
        const { topic, name, producer, send } = await producing(f)
        await send(0, 1)
        const next = await f.engine.topics.registerProducer(name)
        assert.equal(next.producerId, producer.producerId)
        assert.ok(next.epoch > producer.epoch)
        await refuses(() => send(1, 1), 'PRODUCER_FENCED')
        await refuses(() => send(0, 1), 'PRODUCER_FENCED')
        await send(0, 1, next)
        assert.equal((await f.read(topic)).length, 2)
      },
    },
    {
      name: 'producers: a new epoch starts at 0',
      async run(f) {
        const { name, send } = await producing(f)
        await send(0, 5)
        const next = await f.engine.topics.registerProducer(name)
        await refuses(() => send(5, 1, next), 'OUT_OF_SEQUENCE')
        assert.deepEqual(await send(0, 1, next), [5])
      },
    },
    {
      name: 'producers: names are told apart, also those of prototype members',
      async run(f) {
        const names = [f.name(), f.name(), '__proto__', 'constructor']
        const producers = await Promise.all(names.map((name) => f.engine.topics.registerProducer(name)))
        assert.equal(new Set(producers.map(({ producerId }) => producerId)).size, names.length)
      },
    },
    {
      name: 'producers: an epoch from the future and an unknown producer are errors',
      async run(f) {
        const { topic, producer, send } = await producing(f)
        await refuses(() => send(0, 1, { epoch: producer.epoch + 1 }))
        await refuses(() => send(0, 1, { producerId: producer.producerId + 1_000_000 }))
        assert.deepEqual(await f.read(topic), [])
      },
    },
    {
      name: 'producers: numbers that are none, and a missing partition, are errors',
      async run(f) {
        const { topic, producer, send } = await producing(f)
        for (const bad of [-1, 0.5, Number.NaN, '0' as unknown as number]) {
          await refuses(() => send(bad, 1))
          await refuses(() => send(0, 1, { epoch: bad }))
          await refuses(() => send(0, 1, { producerId: bad }))
        }
        await refuses(() =>
          f.engine.commit({ publish: [{ topic, messages: f.numbered(1), producer: { ...producer, sequence: 0 } }] }),
        )
        assert.deepEqual(await f.read(topic), [])
        await send(0, 1)
      },
    },
    {
      name: 'producers: a repetition is recognised after a restart',
      requires: survivesClose,
      async run(f) {
        const { topic, name, producer, send } = await producing(f)
        await send(0, 2)
        await send(2, 2)
        await f.reopen()
        assert.deepEqual(await send(0, 2), [0, 1])
        assert.deepEqual(await send(2, 2), [2, 3])
        await refuses(() => send(5, 1), 'OUT_OF_SEQUENCE')
        assert.deepEqual(await send(4, 1), [4])
        assert.ok((await f.engine.topics.registerProducer(name)).epoch > producer.epoch)
        assert.equal((await f.read(topic)).length, 5)
      },
    },
    {
      name: 'producers: what is beside a repetition in its batch is still written',
      requires: atomic('topics', 'state'),
      async run(f) {
        const { topic, send, write } = await producing(f)
        await send(0, 1)
        const namespace = f.name('state')
        await f.commit({
          publish: [write(0, 1), { topic, partition: 1, messages: f.numbered(1) }],
          state: [{ kind: 'set', namespace, key: 'k', value: 1 }],
        })
        assert.deepEqual([(await f.read(topic, 0)).length, (await f.read(topic, 1)).length], [1, 1])
        assert.equal(await f.value(namespace, 'k'), 1)
      },
    },
    {
      name: 'producers: several batches of one producer in one commit',
      async run(f) {
        const { topic, write } = await producing(f)
        await f.commit({ publish: [write(0, 2), write(2, 1), write(0, 1, { partition: 1 })] })
        await refuses(() => f.engine.commit({ publish: [write(3, 1), write(5, 1)] }), 'OUT_OF_SEQUENCE')
        await f.commit({ publish: [write(3, 1), write(4, 1)] })
        assert.deepEqual(await f.data(topic), [0, 1, 2, 3, 4])
      },
    },
  ] satisfies readonly ConformanceCase[]
).map((one: ConformanceCase) => ({ ...one, requires: all(idempotentProducers, one.requires ?? (() => true)) }))
