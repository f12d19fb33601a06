import assert from 'node:assert/strict'
import type { StoredEvent } from '../events.ts'
import { type ConformanceCase, conditions, survivesClose } from './conformance-case.ts'
import type { Fixture } from './fixture.ts'
import { refuses } from './fixture.ts'

const withTags = (f: Fixture, ...tags: readonly string[]): Promise<StoredEvent[]> =>
  Array.fromAsync(f.engine.events.readAll({ query: { items: [{ tags }] } }))

/** Tags for events that stand there already. */
export const eventTagCases: readonly ConformanceCase[] = [
  {
    name: 'event tags: events that stand there take further tags, and are found by them',
    async run(f) {
      const [stream, before, added] = [f.name('stream'), f.name('tag'), f.name('tag')]
      await f.commit({
        append: [{ stream, events: f.numbered(3).map((message, n) => ({ message, tags: n === 0 ? [] : [before] })) }],
      })
      const events = await f.stream(stream)
      const [first, second] = events.map(({ position }) => position) as [number, number]
      const given = [second, first, second].map((position) => ({ position, tags: [added, before] }))
      assert.equal(await f.engine.events.addTags(given), 2)
      const expected = [
        { ...(events[0] as StoredEvent), tags: [added, before] },
        { ...(events[1] as StoredEvent), tags: [before, added] },
      ]
      assert.deepEqual(await withTags(f, added), expected)
      assert.deepEqual(await withTags(f, added, before), expected)
      assert.deepEqual(await f.stream(stream), [...expected, events[2]])
      const types = { items: [{ types: [(events[0] as StoredEvent).message.type], tags: [added] }] }
      assert.deepEqual(await Array.fromAsync(f.engine.events.readStream(stream, { query: types })), expected)
      assert.equal(await f.engine.events.addTags(given), 0)
      assert.equal(await f.engine.events.addTags([]), 0)
      assert.deepEqual(await f.stream(stream), [...expected, events[2]])
    },
  },
  {
    name: 'event tags: conditions of appends look at what came after their position, whenever it got the tag',
    requires: conditions,
    async run(f) {
      const [stream, tag] = [f.name('stream'), f.name('tag')]
      await f.append(stream, 'A', 'B')
      const [first, second] = (await f.stream(stream)).map(({ position }) => position) as [number, number]
      await f.engine.events.addTags([{ position: second, tags: [tag] }])
      const append = (after: number) => ({
        append: [
          {
            stream: f.name('stream'),
            condition: { query: { items: [{ tags: [tag] }] }, after },
            events: [{ message: f.message('C') }],
          },
        ],
      })
      const refused = await f.engine.commit(append(first))
      assert.deepEqual(refused.ok ? undefined : refused.conflict.kind, 'condition')
      assert.equal((await f.engine.commit(append(second))).ok, true)
      // An older event gets it: the later one is what counts.
      await f.engine.events.addTags([{ position: first, tags: [tag] }])
      assert.equal((await f.engine.commit(append(first))).ok, false)
      assert.equal((await f.engine.commit(append(second))).ok, true)
    },
  },
  {
    name: 'event tags: what was removed takes none, and takes its added tags with it',
    async run(f) {
      const [stream, tag] = [f.name('stream'), f.name('tag')]
      await f.append(stream, 'A', 'B')
      const positions = (await f.stream(stream)).map(({ position }) => position)
      const given = positions.map((position) => ({ position, tags: [tag] }))
      await f.engine.events.addTags(given)
      await f.engine.events.truncateStream(stream, 2)
      assert.deepEqual(
        (await withTags(f, tag)).map(({ version }) => version),
        [2],
      )
      assert.equal(await f.engine.events.addTags(given.map(({ position }) => ({ position, tags: [f.name('tag')] }))), 1)
      await f.engine.events.deleteStream(stream)
      assert.deepEqual(await withTags(f, tag), [])
      assert.equal(await f.engine.events.addTags(given), 0)
      const beyond = (await f.engine.events.lastPosition()) + 1000
      assert.equal(await f.engine.events.addTags([{ position: beyond, tags: [tag] }]), 0)
      assert.deepEqual(await withTags(f, tag), [])
    },
  },
  {
    name: 'event tags: stay when the engine is opened again',
    requires: survivesClose,
    async run(f) {
      const [stream, tag] = [f.name('stream'), f.name('tag')]
      await f.append(stream, 'A')
      const [event] = (await f.stream(stream)) as [StoredEvent]
      await f.engine.events.addTags([{ position: event.position, tags: [tag] }])
      await f.reopen()
      assert.deepEqual(await withTags(f, tag), [{ ...event, tags: [tag] }])
    },
  },
  {
    name: 'event tags: a bad argument is refused, and changes nothing',
    async run(f) {
      const [stream, tag] = [f.name('stream'), f.name('tag')]
      await f.append(stream, 'A')
      const [{ position }] = (await f.stream(stream)) as [StoredEvent]
      const bad: readonly unknown[] = [
        undefined,
        {},
        [null],
        [{ position, tags: tag }],
        [{ position, tags: [''] }],
        [{ position, tags: [tag, 'x'.repeat(1025)] }],
        [{ position: 0, tags: [tag] }],
        [{ position: '1', tags: [tag] }],
        [
          { position, tags: [tag] },
          { position: 1.5, tags: [tag] },
        ],
        Array.from({ length: 1001 }, () => ({ position, tags: [tag] })),
      ]
      for (const given of bad) await refuses(() => f.engine.events.addTags(given as never), 'ARGUMENT_INVALID')
      assert.deepEqual(await withTags(f, tag), [])
    },
  },
]
