import assert from 'node:assert/strict'
import type { EventQuery } from '../events.ts'
import type { ConformanceCase } from './conformance-case.ts'
import { type Fixture, refuses } from './fixture.ts'

interface Following {
  /** Positions of the events, and `caught-up`, in the order in which they came. */
  readonly seen: (number | 'caught-up')[]
  positions(): number[]
  /** Stops and waits for the end; rejects when the subscription failed. */
  stop(): Promise<void>
}

function follow(f: Fixture, options: { after?: number; query?: EventQuery }): Following {
  const controller = new AbortController()
  const seen: (number | 'caught-up')[] = []
  const ended = (async () => {
    for await (const item of f.engine.events.subscribe({ ...options, signal: controller.signal })) {
      seen.push(item.kind === 'event' ? item.position : 'caught-up')
    }
  })()
  ended.catch(() => undefined)
  return {
    seen,
    positions: () => seen.filter((item) => item !== 'caught-up'),
    stop: () => {
      controller.abort(new Error('stopped'))
      return ended
    },
  }
}

async function put(f: Fixture, tag: string, count = 1): Promise<number[]> {
  const positions: number[] = []
  for (let n = 0; n < count; n++) {
    const { appended } = await f.commit({
      append: [{ stream: f.name('stream'), events: [{ message: f.message('T', n), tags: [tag] }] }],
    })
    positions.push(appended[0]?.lastPosition as number)
  }
  return positions
}

const tagged = (tag: string): EventQuery => ({ items: [{ tags: [tag] }] })

/** Following the event store live. */
export const subscriptionCases: readonly ConformanceCase[] = [
  {
    name: 'subscriptions: what stands there comes first, then the word that it is all, then what is new',
    async run(f) {
      const tag = f.name('tag')
      const old = await put(f, tag, 3)
      const following = follow(f, { query: tagged(tag) })
      await f.eventually('caught up', () => following.seen.includes('caught-up'))
      assert.deepEqual(following.seen.slice(0, 4), [...old, 'caught-up'])
      const fresh = await put(f, tag, 2)
      await f.eventually('the new events', () => following.positions().length === 5)
      await following.stop()
      assert.deepEqual(following.positions(), [...old, ...fresh])
    },
  },
  {
    name: 'subscriptions: an empty store, or nothing that matches, is caught up with at once',
    async run(f) {
      const following = follow(f, { query: tagged(f.name('tag')) })
      await f.eventually('caught up', () => following.seen.length > 0)
      await following.stop()
      assert.deepEqual(following.seen, ['caught-up'])
    },
  },
  {
    name: 'subscriptions: the word that it is all names a position that can be gone on from',
    async run(f) {
      const tag = f.name('tag')
      await put(f, tag, 2)
      await f.append(f.name('stream'), 'Other')
      const controller = new AbortController()
      let after = -1
      for await (const item of f.engine.events.subscribe({ query: tagged(tag), signal: controller.signal })) {
        if (item.kind === 'caught-up') {
          after = item.position
          controller.abort()
        }
      }
      assert.ok(after >= 1 && after <= (await f.engine.events.lastPosition()))
      const fresh = await put(f, tag, 1)
      const following = follow(f, { after, query: tagged(tag) })
      await f.eventually('the new event', () => following.positions().length > 0)
      await following.stop()
      assert.deepEqual(following.positions(), fresh)
    },
  },
  {
    name: 'subscriptions: after a position, only what stands behind it',
    async run(f) {
      const tag = f.name('tag')
      const [first, second, third] = await put(f, tag, 3)
      const following = follow(f, { after: first as number, query: tagged(tag) })
      await f.eventually('caught up', () => following.seen.includes('caught-up'))
      await following.stop()
      assert.deepEqual(following.positions(), [second, third])
    },
  },
  {
    name: 'subscriptions: without a query every event comes',
    async run(f) {
      const after = await f.engine.events.lastPosition()
      const following = follow(f, { after })
      await f.append(f.name('stream'), 'A', 'B')
      await f.append(f.name('stream'), 'C')
      await f.eventually('three events', () => following.positions().length === 3)
      await following.stop()
    },
  },
  {
    name: 'subscriptions: no gap and no repetition between what stood there and what comes, under load',
    async run(f) {
      const tag = f.name('tag')
      await put(f, tag, 50)
      const writers = Array.from({ length: 5 }, () => put(f, tag, 40))
      const followings = Array.from({ length: 4 }, () => follow(f, { query: tagged(tag) }))
      await Promise.all(writers)
      await f.eventually('everything arrived', () =>
        followings.every((following) => following.positions().length >= 250),
      )
      const expected = (await Array.fromAsync(f.engine.events.readAll({ query: tagged(tag) }))).map(
        ({ position }) => position,
      )
      for (const following of followings) {
        await following.stop()
        assert.deepEqual(following.positions(), expected)
      }
    },
  },
  {
    name: 'subscriptions: who takes its time loses nothing, and is told again when it has caught up',
    async run(f) {
      const tag = f.name('tag')
      const controller = new AbortController()
      const seen: (number | 'caught-up')[] = []
      let expected: number[] = []
      for await (const item of f.engine.events.subscribe({ query: tagged(tag), signal: controller.signal })) {
        seen.push(item.kind === 'event' ? item.position : 'caught-up')
        if (seen.length === 1) expected = await put(f, tag, 300)
        if (item.kind === 'caught-up' && seen.length > 300) controller.abort()
      }
      assert.deepEqual(
        seen.filter((item) => item !== 'caught-up'),
        expected,
      )
      assert.equal(seen[0], 'caught-up')
      assert.equal(seen.at(-1), 'caught-up')
    },
  },
  {
    name: 'subscriptions: an abort ends them without an error, also one from before',
    async run(f) {
      const following = follow(f, { query: tagged(f.name('tag')) })
      await f.eventually('caught up', () => following.seen.length > 0)
      await following.stop()
      const items = await Array.fromAsync(f.engine.events.subscribe({ signal: AbortSignal.abort() }))
      assert.deepEqual(items, [])
    },
  },
  {
    name: 'subscriptions: a subscriber may simply stop reading',
    async run(f) {
      const tag = f.name('tag')
      await put(f, tag, 5)
      for await (const item of f.engine.events.subscribe({
        query: tagged(tag),
        signal: new AbortController().signal,
      })) {
        if (item.kind === 'event') break
      }
      await put(f, tag, 1)
    },
  },
  {
    name: 'subscriptions: a position that is none, and no signal to end them, are errors',
    async run(f) {
      for (const after of [Number.NaN, -1, 0.5, '0' as unknown as number]) {
        await refuses(async () => {
          for await (const _item of f.engine.events.subscribe({ after, signal: AbortSignal.timeout(5000) })) break
        })
      }
      await refuses(async () => {
        for await (const _item of f.engine.events.subscribe({} as never)) break
      })
      await refuses(async () => {
        for await (const _item of f.engine.state.watch(f.name('namespace'), {} as never)) break
      })
    },
  },
]
