import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { expect, it } from 'vitest'
import type { EmbeddedEngine } from './embedded-engine.ts'
import { codeOf, commit, message, numbered, openEngine, temporaryFolder } from './file.test-support.ts'

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
  const intruder = new DatabaseSync(path)
  for (const table of ['batch', 'progress', 'stream', 'event', 'state', 'namespace', 'timer']) {
    intruder.exec(`DROP TABLE ${table}`)
  }
  intruder.close()
  expect(await codeOf(read(engine))).toBe('FILE_UNUSABLE')
})

it('names the group whose progress cannot be read', async () => {
  const path = join(folder, 'progress.db')
  await using engine = await openEngine(path)
  await engine.topics.create('orders', { partitions: 1 })
  const intruder = new DatabaseSync(path)
  intruder.exec(`INSERT INTO progress (group_name, partition_id, next_offset, done)
    SELECT 'group', id, 0, '[[' FROM partition`)
  intruder.close()
  await expect(engine.groups.describe('group')).rejects.toMatchObject({
    code: 'FILE_DAMAGED',
    details: { place: 'the progress of group group' },
  })
})
