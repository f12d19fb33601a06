import { copyFileSync } from 'node:fs'
import { join } from 'node:path'
import { beforeAll, describe, expect, it } from 'vitest'
import type { EmbeddedEngine } from './embedded-engine.ts'
import {
  alter,
  codeOf,
  commit,
  dataOf,
  message,
  numbered,
  openEngine,
  temporaryFolder,
  unnoticedBy,
} from './file.test-support.ts'
import { verifyFile } from './verify-file.ts'

const folder = temporaryFolder()
const intact = join(folder, 'intact.db')
const nothing = { onAssigned: () => undefined, onRevoked: async () => undefined, onLost: () => undefined }
const lasting = { retentionMs: null, retentionBytes: null } as const

beforeAll(async () => {
  await using engine = await openEngine(intact)
  await engine.topics.create('orders', { partitions: 2, ...lasting })
  await engine.topics.registerProducer('importer')
  const producer = { producerId: 1, epoch: 0, sequence: 0 }
  await commit(engine, {
    publish: [
      { topic: 'orders', partition: 0, messages: numbered(2), producer },
      { topic: 'orders', partition: 1, messages: numbered(2, 10) },
    ],
    state: [
      { kind: 'set', namespace: 'm', key: 'k', value: 1 },
      { kind: 'set', namespace: 'n', key: 'k', value: 2 },
      { kind: 'set', namespace: 'n', key: 'l', value: 3 },
    ],
    timers: [{ kind: 'schedule', owner: 'saga', id: 'a', dueMs: 5_000, payload: { step: 1 } }],
    append: ['one', 'two'].map((stream) => ({
      stream,
      events: [1, 2].map((n) => ({ message: message(`Happened${n}`, n), tags: [`to:${stream}`] })),
    })),
  })
  await commit(engine, {
    publish: [0, 1].map((partition) => ({ topic: 'orders', partition, messages: numbered(1, 20) })),
  })
  const member = await engine.groups.join({ group: 'group', topics: ['orders'], ...nothing })
  for (const claim of member.claims) await engine.commit({ progress: [{ claim, done: [{ from: 0, to: 1 }] }] })
  await member.leave()
  await engine.events.truncateStream('two', 2)
})

type Read = (engine: EmbeddedEngine) => Promise<unknown>

const get =
  (namespace: string, key: string): Read =>
  (engine) =>
    engine.state.get(namespace, key)
const watch: Read = async (engine) => {
  const changes = engine.state.watch('n', { signal: AbortSignal.timeout(5_000) })
  const first = changes.next()
  await engine.commit({ state: [{ kind: 'set', namespace: 'n', key: 'x', value: 0 }] })
  return first
}
const range: Read = (engine) => engine.state.range('n')
const describeGroup: Read = (engine) => engine.groups.describe('group')
const readStream = (stream: string, direction: 'forward' | 'backward' = 'forward'): Read => {
  return (engine) => Array.fromAsync(engine.events.readStream(stream, { direction }))
}
const readAll: Read = (engine) => Array.fromAsync(engine.events.readAll())
const query: Read = (engine) => Array.fromAsync(engine.events.readAll({ query: { items: [{ tags: ['to:one'] }] } }))
const timers: Read = (engine) => engine.timers.list()
const due: Read = (engine) => engine.timers.due('saga', 10_000)
const nextDue: Read = (engine) => engine.timers.nextDueMs('saga')
const listStreams: Read = (engine) => engine.events.listStreams()
const read = (partition: number): Read => {
  return (engine) => engine.topics.read({ topic: 'orders', partition, offset: 0 })
}

/** A copy of the file, and what somebody did to it. */
function altered(name: string, sql: string): string {
  const path = join(folder, `${name.replace(/\W+/g, '-')}.db`)
  copyFileSync(intact, path)
  alter(path, sql)
  return path
}

describe('a row that is not as it was written', () => {
  it.each<readonly [what: string, sql: string, place: RegExp, read: Read]>([
    ['a value, got by its key', "UPDATE state SET value = '9' WHERE key = 'l'", /state n, key l/, get('n', 'l')],
    ['a value among others', "UPDATE state SET value = '9' WHERE key = 'l'", /state n, key l/, range],
    ['a revision', 'UPDATE state SET revision = 9', /state [mn], key [kl]/, get('n', 'k')],
    ['a revision that is watched', "UPDATE state SET revision = 9 WHERE key = 'l'", /state n, key l/, watch],
    ['a key', "UPDATE state SET key = 'j' WHERE key = 'l'", /state n, key j/, range],
    ['a key that is asked for', "UPDATE state SET key = 'j' WHERE key = 'l'", /state n, key j/, get('n', 'j')],
    ['the namespace of a value', "UPDATE state SET namespace_id = 1 WHERE key = 'l'", /state m, key l/, get('m', 'l')],
    [
      'the name of a namespace, as its state is read',
      "UPDATE namespace SET name = 'o' WHERE name = 'n'",
      /(namespace|state) o/,
      get('o', 'k'),
    ],
    [
      'the name of a namespace',
      "UPDATE namespace SET name = 'o' WHERE name = 'n'",
      /namespace o/,
      (engine) => engine.state.namespaces(),
    ],
    ['when a timer is due', 'UPDATE timer SET due_ms = 4000', /timer/, due],
    ['when the next timer is due', 'UPDATE timer SET due_ms = 4000', /timer/, nextDue],
    ['the owner of a timer', "UPDATE timer SET owner = 'sagb'", /timer/, timers],
    ['the id of a timer', "UPDATE timer SET id = 'b'", /timer/, timers],
    ['the revision of a timer', 'UPDATE timer SET revision = 7', /timer/, timers],
    ['what a timer carries', 'UPDATE timer SET payload = \'{"step":3}\'', /timer/, timers],
    ['how far a group is', 'UPDATE progress SET next_offset = 0', /progress of group group/, describeGroup],
    ['what a group has done', "UPDATE progress SET done = '[[1,2]]'", /progress of group group/, describeGroup],
    [
      'the name of a group',
      "UPDATE progress SET group_name = 'grouq'",
      /progress of group grouq/,
      (engine) => engine.groups.list(),
    ],
    ['the version of an event', 'UPDATE event SET version = 3 WHERE position = 2', /stream one|position 2/, readAll],
    ['the last version of a stream', 'UPDATE event SET version = 3 WHERE position = 2', /one|position 2/, listStreams],
    [
      'the stream of an event',
      'UPDATE event SET stream_id = 2, version = 3 WHERE position = 2',
      /position 2/,
      readStream('two'),
    ],
    [
      'the stream of an event, read backward',
      'UPDATE event SET stream_id = 2, version = 3 WHERE position = 2',
      /position 2/,
      readStream('two', 'backward'),
    ],
    ['the time of an event', 'UPDATE event SET time_ms = time_ms + 1 WHERE position = 4', /position 4/, readAll],
    ['the tags of an event', `UPDATE event SET tags = '["to:onf"]' WHERE position = 2`, /position 2/, readAll],
    [
      'the time of an event before the last',
      'UPDATE event SET time_ms = 5 WHERE position = 1',
      /position [12]/,
      readAll,
    ],
    [
      'the tags of an event before the last',
      `UPDATE event SET tags = '["to:onf"]' WHERE position = 1`,
      /position 1/,
      readAll,
    ],
    [
      'the tags of an event before the last, read from its stream',
      `UPDATE event SET tags = '["to:onf"]' WHERE position = 1`,
      /position 1/,
      readStream('one'),
    ],
    ['the place of an event', 'UPDATE event SET position = 40 WHERE position = 4', /position 40/, readAll],
    [
      'the last position',
      'UPDATE event SET position = 40 WHERE position = 4',
      /position 40/,
      (engine) => engine.events.lastPosition(),
    ],
    [
      'the last position that was given, though its event may be gone',
      "UPDATE counter SET value = 40 WHERE name = 'position'",
      /counter position/,
      (engine) => engine.events.lastPosition(),
    ],
    [
      'what is found by a label',
      `UPDATE event_label SET position = 4 WHERE position = 2 AND label_id = (SELECT id FROM label WHERE name = 'g:to:one')`,
      /position 2|position 4/,
      query,
    ],
    ['the name of a stream', "UPDATE stream SET name = 'onf' WHERE name = 'one'", /stream onf/, listStreams],
    [
      'the name of a stream, as it is read',
      "UPDATE stream SET name = 'onf' WHERE name = 'one'",
      /stream onf/,
      readStream('onf'),
    ],
    [
      'all events of a stream, as it is described',
      'DELETE FROM event WHERE stream_id = 1',
      /position [12]/,
      (engine) => engine.events.describeStream('one'),
    ],
    [
      'an event of which the index goes on to tell',
      unnoticedBy('event_by_stream', 'DELETE FROM event WHERE position = 2'),
      /position 2|pages and indexes/,
      listStreams,
    ],
    [
      'whether a stream is deleted',
      "UPDATE stream SET tombstoned = 1 WHERE name = 'one'",
      /stream one/,
      (engine) => engine.events.describeStream('one'),
    ],
    [
      'the partition of a batch',
      unnoticedBy('batch_by_offset', 'UPDATE batch SET partition_id = 3 - partition_id WHERE base_offset = 0'),
      /partition [01]|pages and indexes/,
      read(0),
    ],
    ['a number beyond all', 'UPDATE state SET revision = 9007199254740993', /state [mn], key [kl]/, get('n', 'k')],
  ])('is damage to who reads it, and to verify(): %s', async (what, sql, place, ask) => {
    const path = altered(what, sql)
    const { damages } = await verifyFile(path)
    expect(damages.map((damage) => damage.place).join('\n')).toMatch(place)
    const refused = (async () => {
      await using engine = await openEngine(path, { readOnly: what !== 'a revision that is watched' })
      return await ask(engine)
    })()
    expect(await codeOf(refused)).toBe('FILE_DAMAGED')
  })

  it.each([
    ['the name of a topic', "UPDATE topic SET name = 'ordert'", /topic ordert/],
    ['the settings of a topic', "UPDATE topic SET config = replace(config, '2', '3')", /topic orders/],
    ['the number of a partition', 'UPDATE partition SET number = 5 WHERE number = 1', /partition 5/],
    ['where a partition begins', 'UPDATE partition SET start_offset = 1', /partition [01]/],
    ['where a partition ends', 'UPDATE partition SET end_floor = 9 WHERE number = 1', /partition 1/],
    [
      'where the last batch ends',
      unnoticedBy('batch_by_offset', 'UPDATE batch SET last_offset = 9 WHERE partition_id = 2'),
      /topic orders, partition 1|pages and indexes/,
    ],
    [
      'how often the file was opened',
      "UPDATE counter SET value = 1 WHERE name = 'opening'; UPDATE counter SET value = 0 WHERE name = 'opening'",
      /counter opening/,
    ],
  ] as const)('keeps the file from being opened: %s', async (what, sql, place) => {
    const path = altered(what, sql)
    const { damages } = await verifyFile(path)
    expect(damages.map((damage) => damage.place).join('\n')).toMatch(place)
    expect(await codeOf(openEngine(path))).toBe('FILE_DAMAGED')
  })

  const unguarded = { kind: 'set', namespace: 'n', key: 'l', value: 4 } as const
  it.each([
    ['a value that is written over', "UPDATE state SET revision = 9 WHERE key = 'l'", { state: [unguarded] }],
    [
      'a timer that fires',
      "UPDATE timer SET payload = '1'",
      { timers: [{ kind: 'fire', owner: 'saga', id: 'a', revision: 1 }] },
    ],
    [
      'the revision that was given last',
      "UPDATE counter SET value = 0 WHERE name = 'timer'",
      { timers: [{ kind: 'schedule', owner: 'saga', id: 'b', dueMs: 1, payload: null }] },
    ],
    [
      'the epoch of a producer',
      'UPDATE producer SET epoch = 1',
      {
        publish: [
          { topic: 'orders', partition: 0, messages: numbered(1), producer: { producerId: 1, epoch: 1, sequence: 0 } },
        ],
      },
    ],
    [
      'the numbering of a producer',
      `UPDATE producer_partition SET recent = replace(recent, '"sequence":0', '"sequence":7')`,
      {
        publish: [
          { topic: 'orders', partition: 0, messages: numbered(1), producer: { producerId: 1, epoch: 0, sequence: 9 } },
        ],
      },
    ],
    [
      'the stream that is written',
      "UPDATE stream SET version_floor = 7 WHERE name = 'one'",
      { append: [{ stream: 'one', events: [{ message: message('More'), tags: [] }] }] },
    ],
  ] as const)('stops an engine that writes by it: %s', async (what, sql, batch) => {
    await using engine = await openEngine(altered(what, sql))
    await expect(engine.commit(batch)).rejects.toMatchObject({
      code: 'ENGINE_FAILED',
      message: expect.stringContaining('the file is damaged: '),
    })
    await engine.close()
    await using again = await openEngine(join(folder, `${what.replace(/\W+/g, '-')}.db`), { readOnly: true })
    expect(await codeOf(again.events.lastPosition())).toEqual({ resolved: 4 })
  })

  it('takes nothing from those around it', async () => {
    await using engine = await openEngine(altered('others', "UPDATE state SET value = '9' WHERE key = 'l'"))
    expect(await engine.state.get('n', 'k')).toEqual({ key: 'k', value: 2, revision: 1 })
    expect(await codeOf(engine.state.getMany('n', ['k', 'l']))).toBe('FILE_DAMAGED')
    expect((await engine.verify()).damages).toEqual([
      { place: 'state n, key l', problem: 'has another checksum than is noted' },
    ])
  })

  it('is deleted by no retention that the index alone speaks for', async () => {
    const old = 'UPDATE batch SET time_max_ms = 5'
    const path = altered(
      'kept',
      `${old}; ${unnoticedBy('batch_by_offset', 'UPDATE batch SET time_max_ms = 4102444800000')}`,
    )
    await using engine = await openEngine(path)
    await engine.topics.alter('orders', { retentionMs: 1_000 })
    expect(await codeOf(engine.topics.maintain())).toBe('FILE_DAMAGED')
    expect(await dataOf(engine, 'orders')).toEqual([0, 1, 20])
  })

  it('is deleted by retention where both say so', async () => {
    await using engine = await openEngine(altered('old', 'UPDATE batch SET time_max_ms = 5'))
    await engine.topics.alter('orders', { retentionMs: 1_000 })
    expect((await engine.topics.maintain()).batchesDeleted).toBe(4)
  })
})
