import assert from 'node:assert/strict'
import type { EventQuery, ReadAllOptions } from '../events.ts'
import { all, type ConformanceCase, conditions, multiStream } from './conformance-case.ts'
import type { Fixture } from './fixture.ts'

async function stand(f: Fixture, type: string, tags: readonly string[]): Promise<number> {
  const events = [{ message: f.message(type), tags }]
  const { appended } = await f.commit({ append: [{ stream: f.name('stream'), events }] })
  return appended[0]?.lastPosition as number
}

async function found(f: Fixture, items: EventQuery['items'], rest: ReadAllOptions = {}): Promise<number[]> {
  const events = await Array.fromAsync(f.engine.events.readAll({ query: { items }, ...rest }))
  return events.map(({ position }) => position)
}

/** Whether an append is refused because of an event that matches and stands after `after`. */
async function isRefused(f: Fixture, items: EventQuery['items'], after: number): Promise<boolean> {
  const condition = { query: { items }, after }
  const outcome = await f.engine.commit({
    append: [{ stream: f.name('stream'), events: [{ message: f.message('Probe') }], condition }],
  })
  assert.ok(outcome.ok || outcome.conflict.kind === 'condition')
  return !outcome.ok
}

/** What a query means (dcb.events, query): the same for who reads and for who appends under a condition. */
export const queryCases: readonly ConformanceCase[] = [
  {
    name: 'queries: a tag given twice is there once, and is found once',
    async run(f) {
      const [tag, other] = [f.name('tag'), f.name('tag')]
      const stream = f.name('stream')
      const events = [{ message: f.message('A'), tags: [tag, other, tag] }]
      const outcome = await f.commit({ append: [{ stream, events }] })
      const position = outcome.appended[0]?.lastPosition as number
      assert.deepEqual((await f.stream(stream))[0]?.tags.toSorted(), [tag, other].toSorted())
      assert.deepEqual(await found(f, [{ tags: [tag] }]), [position])
      assert.deepEqual(await found(f, [{ tags: [tag, other] }, { tags: [other] }]), [position])
    },
  },
  {
    name: 'queries: types and tags named twice, and items that say the same, change nothing',
    requires: conditions,
    async run(f) {
      const [type, tag, more] = [f.name('Type'), f.name('tag'), f.name('tag')]
      const position = await stand(f, type, [tag])
      const twice: readonly EventQuery['items'][] = [
        [{ types: [type, type] }],
        [{ tags: [tag, tag] }],
        [{ types: [type, type], tags: [tag, tag] }],
        [{ tags: [tag] }, { tags: [tag] }],
        [{ tags: [tag] }, { types: [type] }, { types: [type], tags: [tag] }],
      ]
      for (const items of twice) {
        assert.deepEqual(await found(f, items), [position])
        assert.deepEqual([await isRefused(f, items, 0), await isRefused(f, items, position)], [true, false])
      }
      // One of two tags is not both of them, however often it is named.
      const both = [{ tags: [tag, more, tag, more] }]
      assert.deepEqual([await found(f, both), await isRefused(f, both, 0)], [[], false])
    },
  },
  {
    name: 'queries: an empty list of types or tags asks for nothing in particular',
    requires: conditions,
    async run(f) {
      const [type, tag] = [f.name('Type'), f.name('tag')]
      const position = await stand(f, type, [tag])
      for (const items of [[{ types: [], tags: [tag] }], [{ types: [type], tags: [] }], [{ types: [], tags: [] }]]) {
        assert.deepEqual(await found(f, items, { fromPosition: position }), [position])
        assert.equal(await isRefused(f, items, position - 1), true)
      }
      await stand(f, type, [])
      assert.deepEqual(await found(f, [{ tags: [tag] }]), [position])
    },
  },
  {
    name: 'queries: a type is no tag, and a tag is no type',
    requires: conditions,
    async run(f) {
      const name = f.name('both')
      const asType = await stand(f, name, [])
      const asTag = await stand(f, 'Other', [name])
      assert.deepEqual([await found(f, [{ types: [name] }]), await found(f, [{ tags: [name] }])], [[asType], [asTag]])
      assert.deepEqual(await found(f, [{ types: [name], tags: [name] }]), [])
      assert.equal(await isRefused(f, [{ types: [name], tags: [name] }], 0), false)
      assert.equal(await isRefused(f, [{ types: [name] }], asType), false)
      assert.equal(await isRefused(f, [{ tags: [name] }], asType), true)
    },
  },
  {
    name: 'queries: from where and how many does not change what matches',
    async run(f) {
      const [x, y, z] = [f.name('tag'), f.name('tag'), f.name('tag')]
      const types = ['One', 'Two', 'Three']
      const tags = [[x], [x, y], [y, x], [y], [z], [x, z], [y, x, z], [z, y]]
      const positions: number[] = []
      for (const [index, own] of tags.entries()) positions.push(await stand(f, types[index % 3] as string, own))
      const items = [{ tags: [x], types: ['Three', 'Two'] }, { tags: [y, z] }]
      const expected = [1, 2, 5, 6, 7].map((index) => positions[index] as number)
      assert.deepEqual(await found(f, items), expected)
      assert.deepEqual(await found(f, items, { direction: 'backward' }), expected.toReversed())
      for (const [index, fromPosition] of positions.entries()) {
        const before = expected.filter((position) => position <= fromPosition).toReversed()
        const behind = expected.filter((position) => position >= fromPosition)
        const limit = (index % 3) + 1
        assert.deepEqual(await found(f, items, { fromPosition }), behind)
        assert.deepEqual(await found(f, items, { fromPosition, direction: 'backward' }), before)
        assert.deepEqual(await found(f, items, { fromPosition, limit }), behind.slice(0, limit))
        assert.deepEqual(await found(f, items, { fromPosition, limit, direction: 'backward' }), before.slice(0, limit))
      }
    },
  },
  {
    name: 'queries: behind the end of the store there is nothing, and before it everything',
    async run(f) {
      const tag = f.name('tag')
      const positions = [await stand(f, 'A', [tag]), await stand(f, 'B', [tag])]
      const fromPosition = (await f.engine.events.lastPosition()) + 123
      assert.deepEqual(await found(f, [{ tags: [tag] }], { fromPosition }), [])
      assert.deepEqual(await found(f, [], { fromPosition }), [])
      const direction = 'backward'
      assert.deepEqual(await found(f, [{ tags: [tag] }], { fromPosition, direction }), positions.toReversed())
      const [first] = positions
      assert.deepEqual(await found(f, [{ tags: [tag] }], { fromPosition: first as number, direction }), [first])
      assert.deepEqual(await found(f, [{ tags: [tag] }], { fromPosition: 0, direction }), [])
    },
  },
  {
    name: 'queries: a condition may name a position that is not there yet',
    requires: conditions,
    async run(f) {
      const tag = f.name('tag')
      const last = await f.engine.events.lastPosition()
      assert.equal(await isRefused(f, [{ tags: [tag] }], last + 1000), false)
      await stand(f, 'A', [tag])
      assert.equal(await isRefused(f, [{ tags: [tag] }], last + 1000), false)
      assert.equal(await isRefused(f, [{ tags: [tag] }], last), true)
    },
  },
  {
    name: 'queries: the last position is that of the last event, in however many streams',
    async run(f) {
      const events = f.engine.events
      const [end] = await Array.fromAsync(events.readAll({ direction: 'backward', limit: 1 }))
      assert.ok((await events.lastPosition()) >= (end?.position ?? 0))
      for (const stream of [f.name('stream'), f.name('stream'), f.name('stream')]) {
        const { appended } = await f.commit({ append: [{ stream, events: [{ message: f.message('T') }] }] })
        assert.equal(await events.lastPosition(), appended[0]?.lastPosition)
      }
      const last = await events.lastPosition()
      const refused = { stream: f.name('stream'), expected: 'exists', events: [{ message: f.message('T') }] } as const
      await f.conflict({ append: [refused] }, 'stream-version')
      // What was refused may have used positions up, but no event stands there, and the next one stands behind.
      assert.deepEqual(await found(f, [], { fromPosition: last + 1 }), [])
      assert.ok((await stand(f, 'T', [])) > last)
    },
  },
  {
    name: 'queries: pages that end within a commit lead on to the rest of it',
    requires: all(multiStream),
    async run(f) {
      const tag = f.name('tag')
      const expected: number[] = []
      for (let turn = 0; turn < 4; turn++) {
        const append = [0, 1].map(() => ({
          stream: f.name('stream'),
          events: f.numbered(2).map((message) => ({ message, tags: [tag] })),
        }))
        await f.commit({ append })
      }
      expected.push(...(await found(f, [{ tags: [tag] }])))
      assert.equal(expected.length, 16)
      for (const limit of [1, 3, 5, 7]) {
        const paged: number[] = []
        for (let count = limit; count === limit; ) {
          const page = await found(f, [{ tags: [tag] }], { fromPosition: (paged.at(-1) ?? 0) + 1, limit })
          count = page.length
          paged.push(...page)
        }
        assert.deepEqual(paged, expected)
      }
    },
  },
]
