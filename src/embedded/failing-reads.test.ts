import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import type { EmbeddedEngine } from './embedded-engine.ts'
import {
  alter,
  codeOf,
  commit,
  dataOf,
  emptied,
  message,
  numbered,
  openEngine,
  temporaryFolder,
} from './file.test-support.ts'

const folder = temporaryFolder()

/** Everything that reads the file when it is asked. */
const reads: Readonly<Record<string, (engine: EmbeddedEngine) => Promise<unknown>>> = {
  'a topic is described': (engine) => engine.topics.describe('orders'),
  'topics are listed': (engine) => engine.topics.list(),
  'records are read': (engine) => engine.topics.read({ topic: 'orders', partition: 0, offset: 0 }),
  'a time is looked up': (engine) => engine.topics.locate('orders', 0, { timestampMs: 1 }),
  'a group is described': (engine) => engine.groups.describe('group'),
  'groups are listed': (engine) => engine.groups.list(),
  'a stream is described': (engine) => engine.events.describeStream('stream'),
  'streams are listed': (engine) => engine.events.listStreams(),
  'a stream is read': (engine) => Array.fromAsync(engine.events.readStream('stream')),
  'a stream is read from a time': (engine) => Array.fromAsync(engine.events.readStream('stream', { fromTimeMs: 1 })),
  'all events are read': (engine) => Array.fromAsync(engine.events.readAll()),
  'all events are read from a time': (engine) => Array.fromAsync(engine.events.readAll({ fromTimeMs: 1 })),
  'state is read': (engine) => engine.state.get('n', 'k'),
  'state is counted': (engine) => engine.state.count('n'),
  'namespaces are listed': (engine) => engine.state.namespaces(),
  'timers are listed': (engine) => engine.timers.list(),
}

it.each(Object.entries(reads))('when %s and the file does not answer, the error has a code', async (name, read) => {
  const path = join(folder, `${name.replaceAll(' ', '-')}.db`)
  await using engine = await openEngine(path, { recentBytesMax: 0 })
  await engine.topics.create('orders', { partitions: 1 })
  await commit(engine, {
    publish: [{ topic: 'orders', messages: numbered(1) }],
    append: [{ stream: 'stream', events: [{ message: message('Tested'), tags: [] }] }],
  })
  expect(await codeOf(read(engine))).toHaveProperty('resolved')
  // Behind its back: to SQLite this is as good an error as that of a disk.
  const tables = ['batch', 'progress', 'stream', 'event', 'state', 'namespace', 'timer']
  alter(path, tables.map((table) => `DROP TABLE ${table};`).join(' '))
  expect(await codeOf(read(engine))).toBe('FILE_UNUSABLE')
})

it('names the group whose progress cannot be read', async () => {
  const path = join(folder, 'progress.db')
  await using engine = await openEngine(path)
  await engine.topics.create('orders', { partitions: 1 })
  alter(
    path,
    `INSERT INTO progress (group_name, partition_id, next_offset, done) SELECT 'group', id, 0, '[[' FROM partition`,
  )
  await expect(engine.groups.describe('group')).rejects.toMatchObject({
    code: 'FILE_DAMAGED',
    details: { place: 'the progress of group group on partition id 1 (checksum)' },
  })
})

it.each([
  ['state', "UPDATE state SET value = '{'", (engine: EmbeddedEngine) => engine.state.get('n', 'k')],
  ['state in a range', "UPDATE state SET value = '{'", (engine: EmbeddedEngine) => engine.state.range('n')],
  ['a timer', "UPDATE timer SET payload = '{'", (engine: EmbeddedEngine) => engine.timers.list()],
  ['tags', "UPDATE event SET tags = '{'", (engine: EmbeddedEngine) => Array.fromAsync(engine.events.readAll())],
] as const)('says so of %s that is no JSON', async (name, sql, read) => {
  const path = join(folder, `json-${name.replaceAll(' ', '-')}.db`)
  await using engine = await openEngine(path)
  await commit(engine, {
    state: [{ kind: 'set', namespace: 'n', key: 'k', value: 1 }],
    timers: [{ kind: 'schedule', owner: 'o', id: 't', dueMs: 1, payload: null }],
    append: [{ stream: 'stream', events: [{ message: message('Tested'), tags: ['t'] }] }],
  })
  alter(path, sql)
  expect(await codeOf(read(engine))).toBe('FILE_DAMAGED')
})

it('says so of a stream that misses a version', async () => {
  const path = join(folder, 'version.db')
  await using engine = await openEngine(path)
  const events = [1, 2, 3].map((n) => ({ message: message('Tested', n), tags: [] }))
  await commit(engine, { append: [{ stream: 'stream', events }] })
  alter(path, 'DELETE FROM event WHERE version = 2')
  expect(await codeOf(Array.fromAsync(engine.events.readStream('stream')))).toBe('FILE_DAMAGED')
  const backward = engine.events.readStream('stream', { direction: 'backward' })
  expect(await codeOf(Array.fromAsync(backward))).toBe('FILE_DAMAGED')
})

/** The schema allows none; a page that was damaged may hold one all the same. */
const without = emptied('batch', 'bytes', 'BLOB')

describe('records that are not all there', () => {
  /** Six batches of one record each, and what somebody did to the file. */
  async function altered(name: string, sql: string, rewritten?: 'partition'): Promise<EmbeddedEngine> {
    const path = join(folder, `${name}.db`)
    const engine = await openEngine(path, { recentBytesMax: 0 })
    await engine.topics.create('orders', { partitions: 1 })
    for (let n = 0; n < 6; n++) await commit(engine, { publish: [{ topic: 'orders', messages: numbered(1, n) }] })
    alter(path, sql, rewritten)
    return engine
  }

  it.each([
    ['the first', 'DELETE FROM batch WHERE base_offset = 0'],
    ['one in between', 'DELETE FROM batch WHERE base_offset = 3'],
    ['records without bytes', without],
    ['one that ends before it begins', 'UPDATE batch SET last_offset = 0 WHERE base_offset = 3'],
    ['one that ends within another', 'UPDATE batch SET last_offset = 4 WHERE base_offset = 2'],
  ])('are damage: %s', async (name, sql) => {
    await using engine = await altered(name.replaceAll(' ', '-'), sql)
    expect(await codeOf(engine.topics.read({ topic: 'orders', partition: 0, offset: 0 }))).toBe('FILE_DAMAGED')
    expect((await engine.verify()).damages.length).toBeGreaterThan(0)
  })

  it.each([
    ['the last', 'DELETE FROM batch WHERE base_offset = 5'],
    ['all', 'DELETE FROM batch'],
  ])('are damage to who knows the end: %s', async (name, sql) => {
    await using engine = await altered(name.replaceAll(' ', '-'), sql)
    expect(await codeOf(engine.topics.read({ topic: 'orders', partition: 0, offset: 0 }))).toBe('FILE_DAMAGED')
  })

  it('are none where retention or compaction took them', async () => {
    await using engine = await altered(
      'taken',
      'DELETE FROM batch WHERE base_offset < 4; UPDATE partition SET gaps_to = 4',
      'partition',
    )
    expect(await dataOf(engine, 'orders')).toEqual([4, 5])
    expect((await engine.verify()).damages).toEqual([])
  })
})
