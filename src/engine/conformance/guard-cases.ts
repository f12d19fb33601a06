import assert from 'node:assert/strict'
import { all, atomic, type ConformanceCase, keeps } from './conformance-case.ts'

/** Deletes that expect a key not to be there: they change nothing, and hold their commit to it. */
export const guardCases: readonly ConformanceCase[] = [
  {
    name: 'guards: a delete that expects no key goes through where there is none, and leaves nothing',
    requires: keeps('state'),
    async run(f) {
      const [namespace, other] = [f.name('state'), f.name('state')]
      await f.commit({
        state: [
          { kind: 'delete', namespace, key: 'k', expectedRevision: 0 },
          { kind: 'set', namespace: other, key: 'k', value: 1 },
        ],
      })
      assert.equal(await f.engine.state.get(namespace, 'k'), undefined)
      assert.deepEqual(await f.engine.state.namespaces(namespace), [])
      await f.commit({ state: [{ kind: 'set', namespace, key: 'k', value: 1, expectedRevision: 0 }] })
      await f.commit({ state: [{ kind: 'delete', namespace, key: 'k', expectedRevision: 1 }] })
      await f.commit({ state: [{ kind: 'delete', namespace, key: 'k', expectedRevision: 0 }] })
      assert.equal(await f.engine.state.count(namespace), 0)
    },
  },
  {
    name: 'guards: a delete that expects no key refuses its commit where there is one, also one set in the same commit',
    requires: all(keeps('state', 'topics'), atomic('state', 'topics')),
    async run(f) {
      const [topic, namespace] = [await f.topic(), f.name('state')]
      await f.commit({ state: [{ kind: 'set', namespace, key: 'k', value: 1 }] })
      const guard = { kind: 'delete', namespace, key: 'k', expectedRevision: 0 } as const
      const conflict = await f.conflict({ publish: [{ topic, messages: f.numbered(1) }], state: [guard] }, 'revision')
      assert.deepEqual([conflict.namespace, conflict.key, conflict.expected], [namespace, 'k', 0])
      assert.equal(await f.value(namespace, 'k'), 1)
      await f.conflict(
        {
          state: [
            { kind: 'set', namespace, key: 'new', value: 1 },
            { ...guard, key: 'new' },
          ],
        },
        'revision',
      )
      assert.deepEqual([await f.recordCount(topic), await f.engine.state.count(namespace)], [0, 1])
    },
  },
  {
    name: 'guards: of two commits that each set a key and guard the other’s, one goes through',
    requires: keeps('state'),
    async run(f) {
      const namespace = f.name('state')
      for (let round = 0; round < 20; round++) {
        const [a, b] = [`a${round}`, `b${round}`]
        const outcomes = await Promise.all(
          [
            [a, b],
            [b, a],
          ].map(([mine, other]) =>
            f.engine.commit({
              state: [
                { kind: 'set', namespace, key: mine as string, value: null, expectedRevision: 0 },
                { kind: 'delete', namespace, key: other as string, expectedRevision: 0 },
              ],
            }),
          ),
        )
        assert.equal(outcomes.filter(({ ok }) => ok).length, 1)
      }
      assert.equal(await f.engine.state.count(namespace), 20)
    },
  },
]
