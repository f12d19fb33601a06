import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { describe, expect, it } from 'vitest'
import { VirtualClock } from '../kernel/index.ts'
import { BatchReader } from './batch-reader.ts'
import { codeOf, commit, dataOf, message, numbered, openEngine, temporaryFolder } from './file.test-support.ts'
import { FileReads } from './file-reads.ts'

const folder = temporaryFolder()

describe('reading from the file', () => {
  it('finds the batch that holds an offset, wherever in it that is', async () => {
    await using engine = await openEngine(':memory:', { recentBytesMax: 0 })
    await engine.topics.create('t', { partitions: 1 })
    for (const [first, count] of [
      [0, 3],
      [3, 1],
      [4, 5],
    ] as const) {
      await commit(engine, { publish: [{ topic: 't', messages: numbered(count, first) }] })
    }
    for (let offset = 0; offset <= 9; offset++) {
      for (const bytesMax of [1, 400, 1_000_000]) {
        const { records, nextOffset, latest } = await engine.topics.read({ topic: 't', partition: 0, offset, bytesMax })
        expect(records.map((record) => record.offset)).toEqual(records.map((_, i) => offset + i))
        expect(nextOffset).toBe(offset + records.length)
        expect(latest).toBe(9)
        expect(records.length > 0).toBe(offset < 9)
      }
    }
    expect(await codeOf(engine.topics.read({ topic: 't', partition: 0, offset: 10 }))).toBe('OFFSET_OUT_OF_RANGE')
  })

  it('knows nothing of what is committed but not acknowledged', async () => {
    const path = join(folder, 'ahead.db')
    await using engine = await openEngine(path)
    await engine.topics.create('t', { partitions: 1 })
    for (const first of [0, 2, 4]) await commit(engine, { publish: [{ topic: 't', messages: numbered(2, first) }] })
    const db = new DatabaseSync(path, { readOnly: true })
    const reader = new BatchReader(db, new FileReads(path))
    expect(reader.read(1, 0, 1_000_000, 4)).toMatchObject({ records: { length: 4 }, nextOffset: 4 })
    expect(reader.read(1, 4, 1_000_000, 4)).toMatchObject({ records: { length: 0 }, nextOffset: 4 })
    db.close()
  })

  it('finds the first record of a time, also where times go back', async () => {
    const clock = new VirtualClock()
    await using engine = await openEngine(':memory:', {}, clock)
    await engine.topics.create('t', { partitions: 1 })
    const times = [100, 200, 150, 300, 250, 400]
    for (const timestampMs of times) {
      await commit(engine, { publish: [{ topic: 't', records: [{ key: null, value: 'v', timestampMs }] }] })
    }
    for (const timestampMs of [0, 100, 101, 199, 200, 201, 300, 301, 400]) {
      const expected = times.findIndex((time) => time >= timestampMs)
      expect(await engine.topics.locate('t', 0, { timestampMs })).toBe(expected)
    }
    expect(await engine.topics.locate('t', 0, { timestampMs: 401 })).toBe(6)
    await engine.topics.truncate('t', 0, 2)
    expect(await engine.topics.locate('t', 0, { timestampMs: 0 })).toBe(2)
  })
})

describe('records at the bounds', () => {
  it('of 60 MiB are kept, where they are allowed', async () => {
    const path = join(folder, 'huge.db')
    const value = Buffer.alloc(60 * 1024 * 1024, 7)
    const small = { key: null, value: 'small' }
    {
      await using engine = await openEngine(path)
      await engine.topics.create('t', { partitions: 1, recordBytesMax: 64 * 1024 * 1024 })
      await commit(engine, { publish: [{ topic: 't', records: [small, { key: null, value }, small] }] })
    }
    await using engine = await openEngine(path)
    const { records } = await engine.topics.read({ topic: 't', partition: 0, offset: 0, bytesMax: 100_000_000 })
    expect(records.length).toBe(3)
    expect(Buffer.from((records[1] as unknown as { value: Uint8Array }).value).equals(value)).toBe(true)
  })

  it('that are too large are refused alone', async () => {
    await using engine = await openEngine(join(folder, 'too-large.db'))
    await engine.topics.create('t', { partitions: 1 })
    const huge = message('Huge', 'x'.repeat(1_048_577))
    const outcomes = await Promise.all([
      codeOf(engine.commit({ publish: [{ topic: 't', messages: numbered(1, 0) }] })),
      codeOf(engine.commit({ publish: [{ topic: 't', messages: [...numbered(2, 90), huge] }] })),
      codeOf(engine.commit({ publish: [{ topic: 't', messages: numbered(1, 1) }] })),
    ])
    expect(outcomes[1]).toBe('RECORD_TOO_LARGE')
    expect(await dataOf(engine, 't')).toEqual([0, 1])
  })
})
