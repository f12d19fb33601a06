import assert from 'node:assert/strict'
import { type Json, systemClock } from '../../kernel/index.ts'
import type { StateChange } from '../state.ts'
import type { ConformanceCase } from './conformance-case.ts'
import type { Fixture } from './fixture.ts'

interface Watching {
  readonly changes: StateChange[]
  stop(): Promise<void>
}

function watch(f: Fixture, namespace: string, options: { key?: string; prefix?: string } = {}): Watching {
  const controller = new AbortController()
  const changes: StateChange[] = []
  // The iterable is made here and not in the loop: changes count from the call.
  const iterable = f.engine.state.watch(namespace, { ...options, signal: controller.signal })
  const ended = (async () => {
    for await (const change of iterable) changes.push(change)
  })()
  ended.catch(() => undefined)
  return {
    changes,
    stop: () => {
      controller.abort()
      return ended
    },
  }
}

const set = (f: Fixture, namespace: string, key: string, value: Json) =>
  f.commit({ state: [{ kind: 'set', namespace, key, value }] })

/** Watching state change. */
export const watchCases: readonly ConformanceCase[] = [
  {
    name: 'watch: changes after the call come, with values and revisions; what was before does not',
    async run(f) {
      const namespace = f.name('state')
      await set(f, namespace, 'k', 'before')
      const watching = watch(f, namespace)
      await set(f, namespace, 'k', 'after')
      await f.eventually('the change', () => watching.changes.length === 1)
      await set(f, namespace, 'l', 1)
      await f.eventually('the second change', () => watching.changes.length === 2)
      await watching.stop()
      assert.deepEqual(watching.changes, [
        { key: 'k', value: 'after', revision: 2 },
        { key: 'l', value: 1, revision: 1 },
      ])
    },
  },
  {
    name: 'watch: changes count from the call, not from the first look',
    async run(f) {
      const namespace = f.name('state')
      const controller = new AbortController()
      const iterable = f.engine.state.watch(namespace, { signal: controller.signal })
      await set(f, namespace, 'k', 1)
      const giveUp = systemClock.setTimer(() => controller.abort(), 2000)
      const seen: StateChange[] = []
      for await (const change of iterable) {
        seen.push(change)
        controller.abort()
      }
      giveUp.cancel()
      assert.deepEqual(seen, [{ key: 'k', value: 1, revision: 1 }])
    },
  },
  {
    name: 'watch: a deletion is a change without a value',
    async run(f) {
      const namespace = f.name('state')
      await set(f, namespace, 'k', 1)
      const watching = watch(f, namespace, { key: 'k' })
      await f.commit({ state: [{ kind: 'delete', namespace, key: 'k' }] })
      await f.eventually('the deletion', () => watching.changes.length === 1)
      await watching.stop()
      assert.deepEqual([watching.changes[0]?.key, watching.changes[0]?.value], ['k', undefined])
    },
  },
  {
    name: 'watch: a clear deletes every key that it meets',
    async run(f) {
      const namespace = f.name('state')
      await set(f, namespace, 'a', 1)
      await set(f, namespace, 'b', 1)
      const watching = watch(f, namespace)
      await f.commit({ state: [{ kind: 'clear', namespace }] })
      await f.eventually('both deletions', () => watching.changes.length >= 2)
      await watching.stop()
      assert.deepEqual(
        new Map(watching.changes.map(({ key, value }) => [key, value])),
        new Map([
          ['a', undefined],
          ['b', undefined],
        ]),
      )
    },
  },
  {
    name: 'watch: one key, or the keys with a prefix, and nothing else',
    async run(f) {
      const namespace = f.name('state')
      const one = watch(f, namespace, { key: 'a1' })
      const some = watch(f, namespace, { prefix: 'a' })
      const elsewhere = watch(f, f.name('state'))
      for (const key of ['b', 'a1', 'a2', 'a10', 'A1']) await set(f, namespace, key, 1)
      await f.eventually('the changes', () => some.changes.length === 3 && one.changes.length === 1)
      await Promise.all([one.stop(), some.stop(), elsewhere.stop()])
      assert.deepEqual(
        one.changes.map(({ key }) => key),
        ['a1'],
      )
      // In what order the changes of different keys come is the engine's choice.
      assert.deepEqual(some.changes.map(({ key }) => key).toSorted(), ['a1', 'a10', 'a2'])
      assert.deepEqual(elsewhere.changes, [])
    },
  },
  {
    name: 'watch: a commit that was refused changes nothing for a watcher',
    async run(f) {
      const namespace = f.name('state')
      const watching = watch(f, namespace)
      const refused = { kind: 'set', namespace, key: 'b', value: 1, expectedRevision: 9 } as const
      await f.conflict({ state: [{ kind: 'set', namespace, key: 'a', value: 1 }, refused] }, 'revision')
      await set(f, namespace, 'c', 1)
      await f.eventually('the change', () => watching.changes.length >= 1)
      await watching.stop()
      assert.deepEqual(
        watching.changes.map(({ key }) => key),
        ['c'],
      )
    },
  },
  {
    name: 'watch: who is slow misses values in between, never the last one',
    async run(f) {
      const namespace = f.name('state')
      const controller = new AbortController()
      const iterable = f.engine.state.watch(namespace, { signal: controller.signal })
      const latest = new Map<string, number>()
      const reading = (async () => {
        for await (const { key, revision } of iterable) {
          assert.ok(revision > (latest.get(key) ?? 0), 'a revision came again, or went back')
          latest.set(key, revision)
          if (latest.size === 1)
            await Promise.all(Array.from({ length: 100 }, (_, n) => set(f, namespace, `k${n % 5}`, n)))
          if ([0, 1, 2, 3, 4].every((n) => latest.get(`k${n}`) === 20)) controller.abort()
        }
      })()
      await set(f, namespace, 'first', 0)
      await reading
      assert.equal(latest.size, 6)
    },
  },
  {
    name: 'watch: an abort ends it without an error, also one from before',
    async run(f) {
      const watching = watch(f, f.name('state'))
      await watching.stop()
      assert.deepEqual(
        await Array.fromAsync(f.engine.state.watch(f.name('state'), { signal: AbortSignal.abort() })),
        [],
      )
    },
  },
]
