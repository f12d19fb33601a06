import assert from 'node:assert/strict'
import type { StateEntry } from '../state.ts'
import { beside, type Choices, choosing } from './choices.ts'
import { type ConformanceCase, keeps } from './conformance-case.ts'
import type { Fixture } from './fixture.ts'

const accounts = ['a', 'b', 'c', 'd', 'e']
const openingBalance = 100

const sumOf = (entries: readonly (StateEntry | undefined)[]): number =>
  entries.reduce((sum, entry) => sum + Number(entry?.value), 0)

/** Moves money between two accounts, as long as both are as they were read. Answers how often that succeeded. */
async function transfer(f: Fixture, namespace: string, choices: Choices): Promise<number> {
  let done = 0
  for (let turn = 0; turn < 20; turn++) {
    const keys = choices.some(accounts, 2, 2)
    const [from, to] = (await f.engine.state.getMany(namespace, keys)) as [StateEntry, StateEntry]
    for (let pause = choices.between(0, 1); pause > 0; pause--) await f.turn()
    const amount = choices.between(1, 50)
    if (Number(from.value) < amount) continue
    const change = (entry: StateEntry, by: number) =>
      ({
        kind: 'set',
        namespace,
        key: entry.key,
        value: Number(entry.value) + by,
        expectedRevision: entry.revision,
      }) as const
    const outcome = await f.engine.commit({ state: [change(from, -amount), change(to, amount)] })
    if (outcome.ok) done++
    else assert.equal(outcome.conflict.kind, 'revision')
  }
  return done
}

/** Keyed state under parallel writers. */
export const parallelStateCases: readonly ConformanceCase[] = [
  choosing({
    name: 'parallel: transfers between keys neither make nor lose anything, and no reader sees one by half',
    requires: keeps('state'),
    async run(f, choices) {
      const namespace = f.name('accounts')
      await f.commit({ state: accounts.map((key) => ({ kind: 'set', namespace, key, value: openingBalance })) })
      const total = accounts.length * openingBalance
      let isWritten = true
      const audit = async (read: () => Promise<readonly (StateEntry | undefined)[]>): Promise<void> => {
        const revisions = new Map<string, number>()
        while (isWritten) {
          await f.turn()
          const entries = await read()
          assert.equal(sumOf(entries), total, 'a reader saw half a transfer')
          for (const entry of entries) {
            assert.ok(entry !== undefined && Number(entry.value) >= 0)
            assert.ok(entry.revision >= (revisions.get(entry.key) ?? 0), 'a revision went back')
            revisions.set(entry.key, entry.revision)
          }
        }
      }
      const audits = Promise.all([
        audit(() => f.engine.state.range(namespace)),
        audit(() => f.engine.state.range(namespace, { reverse: true, limit: 5 })),
        audit(() => f.engine.state.getMany(namespace, accounts)),
      ])
      let done = 0
      const writing = async (): Promise<void> => {
        const counts = await Promise.all(Array.from({ length: 8 }, () => transfer(f, namespace, choices.fork())))
        done = counts.reduce((sum, count) => sum + count, 0)
      }
      await beside(audits, writing, () => {
        isWritten = false
      })
      const entries = await f.engine.state.range(namespace)
      assert.equal(sumOf(entries), total)
      const setCount = entries.reduce((sum, { revision }) => sum + revision, 0)
      assert.equal(setCount, accounts.length + 2 * done, 'revisions count what went through')
      assert.ok(done > 0)
    },
  }),
]
