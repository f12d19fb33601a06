import assert from 'node:assert/strict'
import type { ReadAllOptions, ReadStreamOptions, StoredEvent } from '../events.ts'
import { type ConformanceCase, movableTime, survivesClose } from './conformance-case.ts'
import { type Fixture, refuses } from './fixture.ts'

const numbers = (events: readonly StoredEvent[]): unknown[] => events.map(({ message }) => message.data)

/** `count` events in one stream, each with the tag, and their positions. */
async function filled(f: Fixture, count: number): Promise<{ stream: string; tag: string; positions: number[] }> {
  const [stream, tag] = [f.name('stream'), f.name('tag')]
  for (const message of f.numbered(count)) {
    const type = Number(message.data) % 2 === 0 ? 'Even' : 'Odd'
    await f.commit({
      append: [
        { stream, events: [{ message: { ...message, type }, tags: [tag, `${tag}:${Number(message.data) % 3}`] }] },
      ],
    })
  }
  return { stream, tag, positions: (await f.stream(stream)).map(({ position }) => position) }
}

async function readAll(f: Fixture, options: ReadAllOptions): Promise<StoredEvent[]> {
  return Array.fromAsync(f.engine.events.readAll(options))
}

/** Reading one stream and the whole store, forward and backward, and finding streams. */
export const eventReadingCases: readonly ConformanceCase[] = [
  {
    name: 'event reading: an unknown stream is empty',
    async run(f) {
      assert.deepEqual(await f.stream(f.name('stream')), [])
      assert.equal(await f.engine.events.describeStream(f.name('stream')), undefined)
    },
  },
  {
    name: 'event reading: one stream forward and backward, from a version, with a limit',
    async run(f) {
      const { stream } = await filled(f, 6)
      const read = async (options: ReadStreamOptions) =>
        numbers(await Array.fromAsync(f.engine.events.readStream(stream, options)))
      assert.deepEqual(await read({}), [0, 1, 2, 3, 4, 5])
      assert.deepEqual(await read({ fromVersion: 3 }), [2, 3, 4, 5])
      assert.deepEqual(await read({ fromVersion: 3, limit: 2 }), [2, 3])
      assert.deepEqual(await read({ fromVersion: 7 }), [])
      assert.deepEqual(await read({ direction: 'backward' }), [5, 4, 3, 2, 1, 0])
      assert.deepEqual(await read({ direction: 'backward', fromVersion: 3 }), [2, 1, 0])
      assert.deepEqual(await read({ direction: 'backward', fromVersion: 3, limit: 1 }), [2])
      assert.deepEqual(await read({ direction: 'backward', fromVersion: 100, limit: 2 }), [5, 4])
      assert.deepEqual(await read({ limit: 100 }), [0, 1, 2, 3, 4, 5])
    },
  },
  {
    name: 'event reading: one stream by query',
    async run(f) {
      const { stream, tag } = await filled(f, 9)
      const read = async (options: ReadStreamOptions) =>
        numbers(await Array.fromAsync(f.engine.events.readStream(stream, options)))
      assert.deepEqual(await read({ query: { items: [] } }), [0, 1, 2, 3, 4, 5, 6, 7, 8])
      assert.deepEqual(await read({ query: { items: [{ types: ['Odd'] }] } }), [1, 3, 5, 7])
      assert.deepEqual(
        await read({ query: { items: [{ types: ['Odd', 'Even'], tags: [`${tag}:0`, tag] }] } }),
        [0, 3, 6],
      )
      const items = [
        { types: ['Odd'], tags: [`${tag}:0`] },
        { types: ['Even'], tags: [`${tag}:1`] },
      ]
      assert.deepEqual(await read({ query: { items } }), [3, 4])
      const odd = { items: [{ types: ['Odd'] }] }
      assert.deepEqual(await read({ query: odd, fromVersion: 5, limit: 1 }), [5])
      assert.deepEqual(await read({ query: odd, direction: 'backward', limit: 2 }), [7, 5])
      assert.deepEqual(await read({ query: { items: [{ types: ['Never'] }] } }), [])
      await refuses(() => read({ query: {} as never }))
    },
  },
  {
    name: 'event reading: the store forward and backward, from a position, by query, with a limit',
    async run(f) {
      const { tag, positions } = await filled(f, 9)
      const query = { items: [{ tags: [tag] }] }
      const read = async (options: ReadAllOptions) => numbers(await readAll(f, { query, ...options }))
      const at = (index: number): number => positions[index] as number
      assert.deepEqual(await read({}), [0, 1, 2, 3, 4, 5, 6, 7, 8])
      assert.deepEqual(await read({ fromPosition: at(6) }), [6, 7, 8])
      assert.deepEqual(await read({ fromPosition: at(2), limit: 2 }), [2, 3])
      assert.deepEqual(await read({ direction: 'backward', limit: 3 }), [8, 7, 6])
      assert.deepEqual(await read({ direction: 'backward', fromPosition: at(1) }), [1, 0])
      assert.deepEqual(await read({ query: { items: [{ types: ['Odd'], tags: [tag] }] } }), [1, 3, 5, 7])
      assert.deepEqual(
        await read({
          query: {
            items: [
              { types: ['Odd'], tags: [`${tag}:0`] },
              { types: ['Even'], tags: [`${tag}:1`] },
            ],
          },
        }),
        [3, 4],
      )
      assert.deepEqual(
        await read({ query: { items: [{ tags: [`${tag}:0`] }, { tags: [`${tag}:0`] }, { tags: [`${tag}:2`, tag] }] } }),
        [0, 2, 3, 5, 6, 8],
      )
      assert.deepEqual(
        await read({ direction: 'backward', query: { items: [{ tags: [`${tag}:1`] }] }, limit: 2 }),
        [7, 4],
      )
    },
  },
  {
    name: 'event reading: without a query every event comes, in the order of positions',
    async run(f) {
      const from = (await f.engine.events.lastPosition()) + 1
      const streams = [f.name('stream'), f.name('stream')]
      for (let n = 0; n < 10; n++) await f.append(streams[n % 2] as string, `T${n}`)
      const forward = await readAll(f, { fromPosition: from })
      assert.deepEqual(
        forward.map(({ message }) => message.type),
        Array.from({ length: 10 }, (_, n) => `T${n}`),
      )
      assert.ok(forward.every(({ position }, index) => index === 0 || position > (forward[index - 1]?.position ?? 0)))
      const backward = await readAll(f, { direction: 'backward', limit: 10 })
      assert.deepEqual(
        backward.map(({ position }) => position),
        forward.map(({ position }) => position).reverse(),
      )
      assert.equal(await f.engine.events.lastPosition(), forward.at(-1)?.position)
    },
  },
  {
    name: 'event reading: from a time',
    requires: movableTime,
    async run(f) {
      const [stream, tag] = [f.name('stream'), f.name('tag')]
      const times: number[] = []
      for (let n = 0; n < 4; n++) {
        times.push(f.nowMs())
        await f.commit({
          append: [
            { stream, events: [{ message: f.message('T', n), tags: [tag] }] },
            { stream: f.name('other'), events: [{ message: f.message('T', -1) }] },
          ],
        })
        await f.clock.advance(1000)
      }
      const third = times[2] as number
      const inStore = async (options: ReadAllOptions) =>
        numbers(await readAll(f, { query: { items: [{ tags: [tag] }] }, ...options }))
      const inStream = async (options: ReadStreamOptions) =>
        numbers(await Array.fromAsync(f.engine.events.readStream(stream, options)))
      for (const from of [inStore, inStream]) {
        assert.deepEqual(await from({ fromTimeMs: third }), [2, 3])
        assert.deepEqual(await from({ fromTimeMs: third + 1 }), [3])
        assert.deepEqual(await from({ fromTimeMs: 0 }), [0, 1, 2, 3])
        assert.deepEqual(await from({ fromTimeMs: f.nowMs() + 1000 }), [])
        assert.deepEqual(await from({ fromTimeMs: third, direction: 'backward' }), [2, 1, 0])
        assert.deepEqual(await from({ fromTimeMs: third - 1, direction: 'backward', limit: 1 }), [1])
        assert.deepEqual(await from({ fromTimeMs: f.nowMs() + 1000, direction: 'backward' }), [3, 2, 1, 0])
        assert.deepEqual(await from({ fromTimeMs: (times[0] as number) - 1, direction: 'backward' }), [])
      }
      assert.deepEqual(await inStream({ fromTimeMs: third, fromVersion: 4 }), [3])
      assert.deepEqual(await inStream({ fromTimeMs: third, fromVersion: 2, direction: 'backward' }), [1, 0])
    },
  },
  {
    name: 'event reading: times never fall, also when the clock does',
    requires: movableTime,
    async run(f) {
      const stream = f.name('stream')
      const nowMs = f.nowMs()
      await f.append(stream, 'A')
      f.clock.setWallClock(nowMs - 3_600_000)
      await f.append(stream, 'B')
      await f.append(stream, 'C')
      f.clock.setWallClock(nowMs + 1000)
      await f.append(stream, 'D')
      const times = (await f.stream(stream)).map(({ timestampMs }) => timestampMs)
      assert.deepEqual(
        times,
        times.toSorted((a, b) => a - b),
      )
      assert.ok((times[0] ?? 0) >= nowMs)
    },
  },
  {
    name: 'event reading: thousands of events, forward and backward, without loss',
    async run(f) {
      const [stream, tag] = [f.name('stream'), f.name('tag')]
      for (let first = 0; first < 4000; first += 1000) {
        await f.commit({
          append: [{ stream, events: f.numbered(1000, first).map((message) => ({ message, tags: [tag] })) }],
        })
      }
      const expected = Array.from({ length: 4000 }, (_, n) => n)
      assert.deepEqual(numbers(await f.stream(stream)), expected)
      assert.deepEqual(
        numbers(await readAll(f, { query: { items: [{ tags: [tag] }] }, direction: 'backward' })),
        expected.toReversed(),
      )
    },
  },
  {
    name: 'event reading: a reader may stop in the middle, or be stopped',
    async run(f) {
      const { stream } = await filled(f, 5)
      for (let turn = 0; turn < 20; turn++) {
        for await (const event of f.engine.events.readStream(stream)) {
          if (event.version === 2) break
        }
      }
      const controller = new AbortController()
      const reason = new Error('enough')
      let seen = 0
      await assert.rejects(async () => {
        for await (const _event of f.engine.events.readStream(stream, { signal: controller.signal })) {
          seen++
          controller.abort(reason)
        }
      }, reason)
      assert.ok(seen >= 1)
      await assert.rejects(
        () => Array.fromAsync(f.engine.events.readAll({ signal: AbortSignal.abort(reason) })),
        reason,
      )
    },
  },
  {
    name: 'event reading: a reader who follows writers never sees a position appear behind it',
    async run(f) {
      const tag = f.name('tag')
      const query = { items: [{ tags: [tag] }] }
      let writing = true
      const writers = Array.from({ length: 6 }, async (_, id) => {
        for (let n = 0; n < 25; n++) {
          await f.commit({ append: [{ stream: `${tag}-${id}`, events: [{ message: f.message('T'), tags: [tag] }] }] })
        }
      })
      const followed: number[] = []
      const follow = async (): Promise<void> => {
        for (let last = false; !last; ) {
          await f.turn()
          last = !writing
          const fromPosition = (followed.at(-1) ?? 0) + 1
          followed.push(...(await readAll(f, { query, fromPosition })).map(({ position }) => position))
        }
      }
      const following = follow()
      await Promise.all(writers)
      writing = false
      await following
      assert.equal(followed.length, 150)
      assert.deepEqual(
        followed,
        (await readAll(f, { query })).map(({ position }) => position),
      )
    },
  },
  {
    name: 'event reading: streams are told apart by every character of their names',
    async run(f) {
      const base = f.name('stream')
      const names = [
        base,
        `${base} `,
        `${base}%`,
        `${base}_`,
        `${base}A`,
        `${base}a`,
        `${base}ä`,
        `${base}a\u0308`,
        `${base}/1`,
        `${base}'`,
        '__proto__',
        'constructor',
      ]
      for (const [index, name] of names.entries()) await f.append(name, `T${index}`)
      for (const [index, name] of names.entries()) {
        assert.equal((await f.stream(name)).at(-1)?.message.type, `T${index}`)
        assert.ok(name.startsWith(base) === false || (await f.stream(name)).length === 1)
      }
    },
  },
  {
    name: 'event reading: streams are listed by prefix, in the order of their names, page by page',
    async run(f) {
      const base = f.name('list')
      const names = ['%x', '_x', 'a', 'a\uffff', 'b', 'ä', '\uff5e', '😀'].map((end) => `${base}/${end}`)
      for (const name of names.toReversed()) await f.append(name, 'T')
      await f.append(`${base}x`, 'T')
      const listed = await f.engine.events.listStreams({ prefix: `${base}/` })
      const byBytes = names.toSorted((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)))
      assert.deepEqual(
        listed.map(({ stream }) => stream),
        byBytes,
      )
      assert.deepEqual(listed[0], {
        stream: byBytes[0],
        version: 1,
        truncatedBefore: listed[0]?.truncatedBefore,
        deletedAt: 0,
        tombstoned: false,
      })
      const paged: string[] = []
      for (;;) {
        const page = await f.engine.events.listStreams({
          prefix: `${base}/`,
          limit: 3,
          ...(paged.length > 0 ? { after: paged.at(-1) as string } : {}),
        })
        if (page.length === 0) break
        assert.ok(page.length <= 3)
        paged.push(...page.map(({ stream }) => stream))
      }
      assert.deepEqual(paged, byBytes)
      assert.deepEqual((await f.engine.events.listStreams({ prefix: `${base}/a` })).length, 2)
      assert.deepEqual(await f.engine.events.listStreams({ prefix: `${base}/%%` }), [])
    },
  },
  {
    name: 'event reading: places that are none are errors',
    async run(f) {
      const { stream } = await filled(f, 2)
      for (const bad of [Number.NaN, 0.5, -1, '1' as unknown as number]) {
        await refuses(() => Array.fromAsync(f.engine.events.readStream(stream, { fromVersion: bad })))
        await refuses(() => Array.fromAsync(f.engine.events.readStream(stream, { limit: bad })))
        await refuses(() => readAll(f, { fromPosition: bad }))
        await refuses(() => readAll(f, { limit: bad }))
        await refuses(() => f.engine.events.listStreams({ limit: bad }))
      }
      await refuses(() => readAll(f, { direction: 'sideways' as 'forward' }))
      await refuses(() => readAll(f, { query: { items: 'all' as never } }))
      await refuses(() => readAll(f, { fromTimeMs: Number.NaN }))
    },
  },
  {
    name: 'event reading: everything is the same after a restart',
    requires: survivesClose,
    async run(f) {
      const { stream, tag } = await filled(f, 7)
      const image = async () => [
        await f.stream(stream),
        await readAll(f, { query: { items: [{ tags: [`${tag}:1`] }] } }),
        await f.engine.events.lastPosition(),
      ]
      const before = await image()
      await f.reopen()
      assert.deepEqual(await image(), before)
      await f.append(stream, 'Next')
      assert.equal((await f.stream(stream)).at(-1)?.version, 8)
      assert.ok(((await f.stream(stream)).at(-1)?.position ?? 0) > (before[2] as number))
    },
  },
]
