import assert from 'node:assert/strict'
import type { EventQuery } from '../events.ts'
import { all, type ConformanceCase, conditions, survivesClose } from './conformance-case.ts'
import { refuses } from './fixture.ts'

/** Truncating and deleting streams. */
export const streamEndCases: readonly ConformanceCase[] = [
  {
    name: 'stream ends: truncation removes the beginning; versions and positions of the rest stay',
    async run(f) {
      const stream = f.name('stream')
      await f.append(stream, 'A', 'B', 'C', 'D')
      const before = await f.stream(stream)
      await f.engine.events.truncateStream(stream, 3)
      assert.deepEqual(await f.stream(stream), before.slice(2))
      const description = await f.engine.events.describeStream(stream)
      assert.deepEqual([description?.version, description?.truncatedBefore, description?.tombstoned], [4, 3, false])
      const backward = await Array.fromAsync(f.engine.events.readStream(stream, { direction: 'backward' }))
      assert.deepEqual(
        backward.map(({ version }) => version),
        [4, 3],
      )
    },
  },
  {
    name: 'stream ends: what was truncated is gone from the whole store',
    async run(f) {
      const [stream, tag] = [f.name('stream'), f.name('tag')]
      await f.commit({ append: [{ stream, events: f.numbered(4).map((message) => ({ message, tags: [tag] })) }] })
      await f.engine.events.truncateStream(stream, 4)
      const events = await Array.fromAsync(f.engine.events.readAll({ query: { items: [{ tags: [tag] }] } }))
      assert.deepEqual(
        events.map(({ version }) => version),
        [4],
      )
    },
  },
  {
    name: 'stream ends: a reader is told when what it comes to next is truncated or deleted, and passes over nothing',
    async run(f) {
      const count = 3000
      const endings: readonly ((stream: string) => Promise<void>)[] = [
        (stream) => f.engine.events.truncateStream(stream, count),
        (stream) => f.engine.events.deleteStream(stream),
      ]
      const queries: readonly (EventQuery | undefined)[] = [undefined, { items: [{ types: ['Numbered'] }] }]
      for (const end of endings) {
        for (const query of queries) {
          const stream = f.name('stream')
          for (let version = 0; version < count; version += 500) {
            await f.commit({ append: [{ stream, events: f.numbered(500).map((message) => ({ message })) }] })
          }
          const read: number[] = []
          const reading = async (): Promise<void> => {
            for await (const { version } of f.engine.events.readStream(stream, query && { query })) {
              read.push(version)
              if (version === 1) await end(stream)
            }
          }
          await refuses(reading, 'STREAM_TRUNCATED')
          assert.deepEqual(
            read,
            read.map((_, i) => i + 1),
          )
        }
      }
    },
  },
  {
    name: 'stream ends: a truncated stream goes on with its versions',
    async run(f) {
      const stream = f.name('stream')
      await f.append(stream, 'A', 'B')
      await f.engine.events.truncateStream(stream, 3)
      assert.deepEqual(await f.stream(stream), [])
      await f.conflict({ append: [{ stream, expected: 0, events: [{ message: f.message('X') }] }] }, 'stream-version')
      await f.commit({ append: [{ stream, expected: 2, events: [{ message: f.message('C') }] }] })
      assert.deepEqual(
        (await f.stream(stream)).map(({ version }) => version),
        [3],
      )
    },
  },
  {
    name: 'stream ends: truncation never goes back and takes only versions',
    async run(f) {
      const stream = f.name('stream')
      await f.append(stream, 'A', 'B', 'C')
      await f.engine.events.truncateStream(stream, 3)
      await f.engine.events.truncateStream(stream, 2)
      assert.equal((await f.engine.events.describeStream(stream))?.truncatedBefore, 3)
      for (const bad of [Number.NaN, 1.5, -1, '1' as unknown as number])
        await refuses(() => f.engine.events.truncateStream(stream, bad))
      assert.deepEqual(
        (await f.stream(stream)).map(({ version }) => version),
        [3],
      )
    },
  },
  {
    name: 'stream ends: truncation far beyond the end does not swallow what comes',
    async run(f) {
      const stream = f.name('stream')
      await f.append(stream, 'A')
      await f.engine.events.truncateStream(stream, 1000).catch((error: unknown) => refuses(() => Promise.reject(error)))
      await f.append(stream, 'B')
      assert.deepEqual((await f.stream(stream)).at(-1)?.version, 2)
    },
  },
  {
    name: 'stream ends: unknown streams cannot be truncated or deleted',
    async run(f) {
      await refuses(() => f.engine.events.truncateStream(f.name('stream'), 2), 'STREAM_UNKNOWN')
      await refuses(() => f.engine.events.deleteStream(f.name('stream')), 'STREAM_UNKNOWN')
      await refuses(() => f.engine.events.deleteStream(f.name('stream'), { tombstone: true }), 'STREAM_UNKNOWN')
    },
  },
  {
    name: 'stream ends: a deleted stream is empty, and goes on with its versions when it is written again',
    async run(f) {
      const stream = f.name('stream')
      await f.append(stream, 'A', 'B')
      await f.engine.events.deleteStream(stream)
      assert.deepEqual(await f.stream(stream), [])
      await f.append(stream, 'C')
      assert.deepEqual(
        (await f.stream(stream)).map(({ version, message }) => [version, message.type]),
        [[4, 'C']],
      )
    },
  },
  {
    name: 'stream ends: a deletion takes a version, so that what was known before it is refused',
    async run(f) {
      const stream = f.name('stream')
      const deletion = async (): Promise<unknown> => {
        const { version, truncatedBefore, deletedAt } = (await f.engine.events.describeStream(stream)) ?? {}
        return { version, truncatedBefore, deletedAt }
      }
      await f.append(stream, 'A', 'B')
      assert.deepEqual(await deletion(), { version: 2, truncatedBefore: 1, deletedAt: 0 })
      await f.engine.events.truncateStream(stream, 3)
      assert.deepEqual(await deletion(), { version: 2, truncatedBefore: 3, deletedAt: 0 })
      for (let n = 0; n < 2; n++) {
        await f.engine.events.deleteStream(stream)
        assert.deepEqual(await deletion(), { version: 3, truncatedBefore: 4, deletedAt: 3 })
      }
      const append = { stream, events: [{ message: f.message('C') }] }
      const conflict = await f.conflict({ append: [{ ...append, expected: 2 }] }, 'stream-version')
      assert.equal(conflict.actual, 3)
      await f.commit({ append: [{ ...append, expected: 3 }] })
      await f.engine.events.truncateStream(stream, 4)
      assert.deepEqual(await deletion(), { version: 4, truncatedBefore: 4, deletedAt: 3 })
      await f.engine.events.deleteStream(stream, { tombstone: true })
      assert.deepEqual(await deletion(), { version: 5, truncatedBefore: 6, deletedAt: 5 })
    },
  },
  {
    name: 'stream ends: a tombstone refuses every later append, and everything beside it',
    async run(f) {
      const [stream, tag] = [f.name('stream'), f.name('tag')]
      await f.commit({ append: [{ stream, events: [{ message: f.message('A'), tags: [tag] }] }] })
      await f.engine.events.deleteStream(stream, { tombstone: true })
      assert.equal((await f.engine.events.describeStream(stream))?.tombstoned, true)
      for (const expected of ['any', 'none', 'exists', 1] as const) {
        const conflict = await f.conflict(
          { append: [{ stream, expected, events: [{ message: f.message('B') }] }] },
          'stream-deleted',
        )
        assert.equal(conflict.stream, stream)
      }
      assert.deepEqual(await f.stream(stream), [])
      assert.deepEqual(await Array.fromAsync(f.engine.events.readAll({ query: { items: [{ tags: [tag] }] } })), [])
    },
  },
  {
    name: 'stream ends: truncation, deletion and tombstones survive a restart',
    requires: survivesClose,
    async run(f) {
      const [cut, gone, dead] = [f.name('stream'), f.name('stream'), f.name('stream')]
      for (const stream of [cut, gone, dead]) await f.append(stream, 'A', 'B', 'C')
      await f.engine.events.truncateStream(cut, 2)
      await f.engine.events.deleteStream(gone)
      await f.engine.events.deleteStream(dead, { tombstone: true })
      await f.reopen()
      assert.deepEqual(
        (await f.stream(cut)).map(({ version }) => version),
        [2, 3],
      )
      assert.deepEqual([await f.stream(gone), await f.stream(dead)], [[], []])
      await f.conflict({ append: [{ stream: dead, events: [{ message: f.message('D') }] }] }, 'stream-deleted')
      await f.append(gone, 'D')
      assert.deepEqual(
        (await f.stream(gone)).map(({ version }) => version),
        [5],
      )
    },
  },
  {
    name: 'stream ends: an event that was deleted no longer refuses a condition',
    requires: all(conditions),
    async run(f) {
      const [stream, tag] = [f.name('stream'), f.name('tag')]
      const { appended } = await f.commit({ append: [{ stream, events: [{ message: f.message('A'), tags: [tag] }] }] })
      const after = (appended[0]?.lastPosition ?? 0) - 1
      await f.engine.events.deleteStream(stream)
      for (const items of [[{ tags: [tag] }], [], [{}]]) {
        const condition = { query: { items }, after }
        const { appended: next } = await f.commit({
          append: [{ stream: f.name('stream'), events: [{ message: f.message('B') }], condition }],
        })
        await f.engine.events.deleteStream(next[0]?.stream ?? '')
      }
    },
  },
]
