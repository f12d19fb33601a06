import assert from 'node:assert/strict'
import type { RecordOutcome } from '../../record/index.ts'
import type { EventQuery } from '../events.ts'
import type { Fixture } from './fixture.ts'
import type { EngineModel, ModelRecord } from './model.ts'
import { type ModelEvent, matches } from './model-events.ts'
import { modelNames, modelTopics } from './model-operations.ts'

function asModel(record: RecordOutcome): ModelRecord {
  const key = record.key === null ? null : Buffer.from(record.key).toString()
  if (record.kind === 'message') return { offset: record.offset, key, body: record.message.id }
  return { offset: record.offset, key, body: record.kind === 'tombstone' ? null : Buffer.from(record.value).toString() }
}

const asText = ({ offset, key, body }: ModelRecord): string => `${offset} ${key ?? '(none)'} ${body ?? '(tombstone)'}`

/** Holds everything that can be read from the engine against the model. */
export async function checkAgainst(f: Fixture, model: EngineModel): Promise<void> {
  await checkTopics(f, model)
  await checkEvents(f, model)
  await checkState(f, model)
  await checkTimers(f, model)
  await checkProgress(f, model)
}

async function checkTopics(f: Fixture, model: EngineModel): Promise<void> {
  for (const { name } of modelTopics) {
    const description = await f.engine.topics.describe(name)
    for (const [number, partition] of (model.data.topics.get(name) ?? []).entries()) {
      const described = description?.partitions[number]
      const bounds = { earliest: described?.earliest, latest: described?.latest }
      assert.deepEqual(
        bounds,
        { earliest: partition.earliest, latest: partition.latest },
        `bounds of ${name}/${number}`,
      )
      const records = (await f.read(name, number)).map(asModel)
      assert.deepEqual(records.map(asText), partition.records.map(asText), `records of ${name}/${number}`)
    }
  }
}

async function checkEvents(f: Fixture, model: EngineModel): Promise<void> {
  const { data } = model
  const image = (event: ModelEvent): string =>
    `${event.stream} ${event.version} ${event.id} ${event.type} ${event.tags.join()}`
  const read = async (query: EventQuery, direction: 'forward' | 'backward'): Promise<string[]> => {
    let last = direction === 'forward' ? 0 : Number.POSITIVE_INFINITY
    const events: string[] = []
    for await (const { position, stream, version, message, tags } of f.engine.events.readAll({ query, direction })) {
      assert.ok(direction === 'forward' ? position > last : position < last, 'positions out of order')
      last = position
      events.push(image({ stream, version, id: message.id, type: message.type, tags, ordinal: 0 }))
    }
    return events
  }
  const [t, t1, u] = modelNames.tags
  const queries: readonly EventQuery[] = [
    { items: [] },
    { items: [{ tags: [t] }] },
    { items: [{ tags: [t1, u] }] },
    { items: [{ types: ['A'] }] },
    { items: [{ types: ['A'], tags: [t1] }, { types: ['B'], tags: [u] }, { tags: [t, t1, u] }] },
  ]
  for (const query of queries) {
    const expected = data.events.filter((event) => matches(event, query)).map(image)
    assert.deepEqual(await read(query, 'forward'), expected, JSON.stringify(query))
    assert.deepEqual(await read(query, 'backward'), expected.toReversed(), JSON.stringify(query))
  }
  for (const name of modelNames.streams) {
    const stream = data.streams.get(name)
    const described = await f.engine.events.describeStream(name)
    assert.equal(described?.version, stream?.version, `version of ${name}`)
    assert.equal(described?.deletedAt, stream?.deletedAt, `deletion of ${name}`)
    assert.equal(described?.tombstoned, stream?.tombstoned)
    const expected = data.events.filter((event) => event.stream === name).map(({ version, id }) => [version, id])
    const events = (await f.stream(name)).map(({ version, message }) => [version, message.id])
    assert.deepEqual(events, expected, `events of ${name}`)
  }
}

async function checkState(f: Fixture, model: EngineModel): Promise<void> {
  for (const namespace of modelNames.namespaces) {
    const entries = [...(model.data.state.get(namespace) ?? [])].map(([key, entry]) => ({ key, ...entry }))
    entries.sort((a, b) => Buffer.compare(Buffer.from(a.key), Buffer.from(b.key)))
    const range = await f.engine.state.range(namespace, { limit: 1000 })
    assert.deepEqual(range, entries, `state of ${namespace}`)
    assert.equal(await f.engine.state.count(namespace), entries.length)
    const keys = modelNames.keys.slice(0, -1)
    const many = await f.engine.state.getMany(namespace, keys)
    assert.deepEqual(
      many,
      keys.map((key) => entries.find((entry) => entry.key === key)),
    )
  }
}

async function checkTimers(f: Fixture, model: EngineModel): Promise<void> {
  for (const owner of modelNames.owners) {
    const expected = modelNames.ids.flatMap((id) => {
      const timer = model.data.timers.get(`${owner} ${id}`)
      return timer === undefined ? [] : [{ id, dueMs: timer.dueMs, payload: timer.payload }]
    })
    const listed = (await f.engine.timers.list({ owner })).map(({ id, dueMs, payload }) => ({ id, dueMs, payload }))
    const byId = (a: { id: string }, b: { id: string }): number => (a.id < b.id ? -1 : 1)
    assert.deepEqual(listed.toSorted(byId), expected.toSorted(byId), `timers of ${owner}`)
    const dueMs = expected.map((timer) => timer.dueMs).toSorted((a, b) => a - b)
    assert.equal(await f.engine.timers.nextDueMs(owner), dueMs[0])
    const middleMs = dueMs[Math.floor(dueMs.length / 2)] ?? 0
    const due = (await f.engine.timers.due(owner, middleMs)).map((timer) => timer.dueMs)
    assert.deepEqual(
      due,
      dueMs.filter((one) => one <= middleMs),
    )
  }
}

async function checkProgress(f: Fixture, model: EngineModel): Promise<void> {
  const [{ name }] = modelTopics
  const description = await f.engine.groups.describe(modelNames.group)
  for (const lag of description?.lag ?? []) {
    const { next, done } = model.progressOf(modelNames.group, name, lag.partition)
    const { earliest, latest } = model.partition(name, lag.partition)
    // What truncation took away counts as done.
    const from = Math.max(next, earliest)
    let first = from
    while (done.has(first)) first++
    const waiting = latest - from - [...done].filter((offset) => offset >= from && offset < latest).length
    assert.equal(lag.lagMessages, waiting, `lag of partition ${lag.partition}`)
    assert.ok(lag.next === from || lag.next === first, `next of partition ${lag.partition} is ${lag.next}, not ${from}`)
  }
}

/**
 * Takes over what maintenance left of topics with retention or compaction, after checking that it took nothing that had
 * to stay: how much goes at once is the engine's choice.
 */
export async function followMaintenance(f: Fixture, model: EngineModel): Promise<void> {
  for (const { name, config } of modelTopics) {
    for (const [number, partition] of (model.data.topics.get(name) ?? []).entries()) {
      const before = new Set(partition.records.map(asText))
      const records = await f.read(name, number)
      const left = records.map(asModel)
      for (const record of left) assert.ok(before.has(asText(record)), `maintenance made up ${asText(record)}`)
      const offsets = new Set(left.map(({ offset }) => offset))
      if ('cleanup' in config) {
        const lastOf = new Map(partition.records.map((record) => [record.key, record]))
        for (const record of partition.records) {
          const mustStay = record.key === null || (lastOf.get(record.key) === record && record.body !== null)
          assert.ok(offsets.has(record.offset) || !mustStay, `compaction took ${asText(record)} away`)
        }
      } else if ('retentionMs' in config) {
        const first = left[0]?.offset ?? partition.latest
        const gone = partition.records.filter(({ offset }) => offset >= first && !offsets.has(offset))
        assert.deepEqual(gone, [], 'retention left a gap')
      } else assert.equal(left.length, before.size, 'maintenance took records that are kept for ever')
      partition.records = left
      partition.earliest = (await f.engine.topics.describe(name))?.partitions[number]?.earliest ?? Number.NaN
    }
  }
}
