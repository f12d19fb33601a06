import { describe, expect, it } from 'vitest'
import { type BatchCommand, topicConfigDefaults } from '../../committing/index.ts'
import { VirtualClock } from '../../kernel/index.ts'
import { BatchBufferPool, RecordBatchBuilder } from '../../record/index.ts'
import { openForWriting } from '../connection.ts'
import { openEngine } from '../file.test-support.ts'
import { fillChecksums } from './schema.ts'
import { producerEpochMax, TopicWriter } from './topic-writer.ts'

const pool = new BatchBufferPool()

function batchOf(partitionId: number, producerId: number, epoch: number, sequence: number): BatchCommand {
  const builder = new RecordBatchBuilder({ pool })
  builder.appendRaw({ key: null, value: 'v', timestampMs: 0 })
  const bytes = builder.seal({ crc: false })
  return { partitionId, bytes, recordCount: 1, timeMaxMs: 0, producer: { producerId, epoch, sequence } }
}

describe('a producer whose epochs are used up', () => {
  it('gets a new id, from epoch 0 and sequence 0 on, and its old id is unknown for ever', () => {
    const db = openForWriting(':memory:')
    const topics = new TopicWriter(db)
    const partitionId = topics.createTopic('t', { ...topicConfigDefaults, partitions: 1 }).partitions[0]?.id as number
    const other = topics.registerProducer('other')
    const first = topics.registerProducer('p')
    expect(first.epoch).toBe(0)
    db.prepare('UPDATE producer SET epoch = ? WHERE name = ?').run(producerEpochMax - 1, 'p')
    fillChecksums(db, 'producer')
    const last = topics.registerProducer('p')
    expect(last).toEqual({ producerId: first.producerId, epoch: 32_766 })
    const check = (producerId: number, epoch: number, sequence: number): string =>
      topics.check(batchOf(partitionId, producerId, epoch, sequence), new Map()).kind
    expect(check(last.producerId, last.epoch, 0)).toBe('write')
    topics.write(batchOf(partitionId, last.producerId, last.epoch, 0))
    expect(check(last.producerId, last.epoch, 0)).toBe('duplicate')

    const next = topics.registerProducer('p')
    expect(next.epoch).toBe(0)
    expect(next.producerId).not.toBe(first.producerId)
    for (const epoch of [0, last.epoch, last.epoch + 1]) {
      expect(check(last.producerId, epoch, 1)).toBe('producer-unknown')
    }
    expect(check(next.producerId, 0, 0)).toBe('write')
    expect(check(other.producerId, other.epoch, 0)).toBe('write')
    // Nor is the old id given to anybody else.
    expect(topics.registerProducer('third').producerId).toBeGreaterThan(next.producerId)
    // After a restart it is the same.
    const again = new TopicWriter(db)
    expect(again.check(batchOf(partitionId, last.producerId, last.epoch, 1), new Map()).kind).toBe('producer-unknown')
    expect(again.registerProducer('p')).toEqual({ producerId: next.producerId, epoch: 1 })
    expect(db.prepare('SELECT count(*) AS n FROM producer_partition').get()?.['n']).toBe(0)
    db.close()
  })
})

describe('a producer that is not registered', () => {
  it('is told so, in other words than one whose epoch is over', async () => {
    await using engine = await openEngine(':memory:', {}, new VirtualClock())
    await engine.topics.create('t', { partitions: 1 })
    const old = await engine.topics.registerProducer('p')
    await engine.topics.registerProducer('p')
    const send = (producerId: number, epoch: number): Promise<unknown> => {
      const producer = { producerId, epoch, sequence: 0 }
      return engine.commit({ publish: [{ topic: 't', partition: 0, records: [{ key: null, value: 'v' }], producer }] })
    }
    await expect(send(4711, 0)).rejects.toMatchObject({
      code: 'PRODUCER_UNKNOWN',
      details: { producerId: 4711 },
      problem: expect.stringMatching(/^Producer 4711 is not registered here/),
    })
    await expect(send(old.producerId, old.epoch)).rejects.toMatchObject({
      code: 'PRODUCER_FENCED',
      problem: `Producer ${old.producerId} writes with epoch 0, but its epoch is 1.`,
    })
  })
})
