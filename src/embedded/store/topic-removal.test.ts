import { join } from 'node:path'
import type { DatabaseSync } from 'node:sqlite'
import { describe, expect, it } from 'vitest'
import { VirtualClock } from '../../kernel/index.ts'
import { openForReading, openForWriting } from '../connection.ts'
import type { EmbeddedEngine } from '../embedded-engine.ts'
import { codeOf, commit, openEngine, temporaryFolder } from '../file.test-support.ts'
import { fillChecksums } from './schema.ts'
import { removeDeletedTopics } from './topic-removal.ts'

const folder = temporaryFolder()

/** Publishes `count` batches to each of two partitions, some of them numbered by a producer. */
async function fill(engine: EmbeddedEngine, topic: string, count: number): Promise<void> {
  await engine.topics.create(topic, { partitions: 2 })
  const producer = await engine.topics.registerProducer('p')
  for (let n = 0; n < count; n++) {
    const records = [{ key: 'k', value: `v${n}` }]
    await commit(engine, {
      publish: [
        { topic, partition: 0, records, producer: { ...producer, sequence: n } },
        { topic, partition: 1, records },
      ],
    })
  }
}

function countsOf(db: DatabaseSync): Record<string, number> {
  const tables = ['topic', 'partition', 'batch', 'producer_partition', 'progress']
  return Object.fromEntries(
    tables.map((table) => [table, Number(db.prepare(`SELECT count(*) AS n FROM ${table}`).get()?.['n'])]),
  )
}

const nothing = { topic: 0, partition: 0, batch: 0, producer_partition: 0, progress: 0 }

describe('a topic that was deleted', () => {
  it('is gone at once, its name is free, and its records go in small steps', async () => {
    const path = join(folder, 'steps.db')
    const engine = await openEngine(path, {}, new VirtualClock())
    await fill(engine, 't', 600)
    const member = await engine.groups.join({
      group: 'g',
      topics: ['t'],
      onAssigned: () => undefined,
      onRevoked: () => Promise.resolve(),
      onLost: () => undefined,
    })
    await member.leave()
    await engine.topics.delete('t')
    expect(await engine.topics.list()).toEqual([])
    expect(await engine.topics.describe('t')).toBeUndefined()
    expect(await codeOf(engine.topics.read({ topic: 't', partition: 0, offset: 0 }))).toBe('TOPIC_UNKNOWN')
    expect(await engine.groups.list()).toEqual([])
    expect((await engine.verify()).damages).toEqual([])
    // What is written under the name now has nothing to do with what was.
    await engine.topics.create('t', { partitions: 1 })
    await commit(engine, { publish: [{ topic: 't', records: [{ key: 'k', value: 'new' }] }] })
    await using beside = await openEngine(path, { readOnly: true }, new VirtualClock())
    expect((await beside.topics.list()).map(({ name }) => name)).toEqual(['t'])
    const report = await engine.topics.maintain()
    expect(report).toMatchObject({ batchesDeleted: 1200 })
    expect(report.bytesDeleted).toBeGreaterThan(1200 * 60)
    await engine.close()
    const db = openForReading(path)
    expect(countsOf(db)).toEqual({ ...nothing, topic: 1, partition: 1, batch: 1 })
    db.close()
  })

  it('is removed by the next opening after a crash in between', async () => {
    const path = join(folder, 'crash.db')
    const engine = await openEngine(path, {}, new VirtualClock())
    await fill(engine, 't', 600)
    await engine.topics.delete('t')
    await engine.close()
    // Some steps, then nothing more, as when the process ends here.
    const db = openForWriting(path)
    const totals = { batchesDeleted: 0, bytesDeleted: 0 }
    const transaction = <T>(work: () => T): T => {
      db.exec('BEGIN')
      const result = work()
      db.exec('COMMIT')
      return result
    }
    const steps = removeDeletedTopics(db, transaction, totals)
    const seen: number[] = []
    for (let step = 0; step < 4; step++) {
      expect(steps.next().done).toBe(false)
      seen.push(totals.batchesDeleted)
    }
    // No step holds others up for more than its share.
    expect(seen).toEqual([256, 512, 600, 856])
    db.close()
    await using again = await openEngine(path, {}, new VirtualClock())
    expect(await again.topics.list()).toEqual([])
    expect((await again.verify()).damages).toEqual([])
    await again.topics.create('t')
    expect((await again.topics.maintain()).batchesDeleted).toBe(344)
    expect((await again.topics.maintain()).batchesDeleted).toBe(0)
  })

  it('takes few large batches in one step', () => {
    const db = openForWriting(':memory:')
    db.exec(`INSERT INTO topic (id, name, config) VALUES (1, 'deleted/1', '{}');
      INSERT INTO partition (id, topic_id, number, start_offset, end_floor, compacted_to, gaps_to) VALUES (1, 1, 0, 0, 0, 0, 0)`)
    fillChecksums(db, 'topic')
    fillChecksums(db, 'partition')
    const insert = db.prepare(`INSERT INTO batch
      (partition_id, base_offset, last_offset, time_max_ms, byte_count, checksum, bytes) VALUES (1, ?, ?, 0, ?, 0, x'')`)
    for (let n = 0; n < 10; n++) insert.run(n, n, 5_000_000)
    const totals = { batchesDeleted: 0, bytesDeleted: 0 }
    const seen: number[] = []
    for (const _step of removeDeletedTopics(db, (work) => work(), totals)) seen.push(totals.batchesDeleted)
    expect(seen).toEqual([2, 4, 6, 8, 10, 10])
    expect(countsOf(db)).toEqual(nothing)
    db.close()
  })

  it('leaves the numbering of producers on other topics alone', async () => {
    const path = join(folder, 'producers.db')
    {
      await using engine = await openEngine(path, {}, new VirtualClock())
      await fill(engine, 't', 1)
      await engine.topics.create('u', { partitions: 1 })
      // More than a page of them, on both topics.
      for (let n = 0; n < 300; n++) {
        const producer = { ...(await engine.topics.registerProducer(`p${n}`)), sequence: 0 }
        const records = [{ key: null, value: 'v' }]
        await commit(engine, {
          publish: [
            { topic: 't', partition: n % 2, records, producer },
            { topic: 'u', partition: 0, records, producer },
          ],
        })
      }
      await engine.topics.delete('t')
      await engine.topics.maintain()
    }
    const db = openForReading(path)
    expect(countsOf(db)).toMatchObject({ topic: 1, partition: 1, producer_partition: 300 })
    db.close()
  })
})
