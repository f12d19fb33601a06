import assert from 'node:assert/strict'
import type { Assignment, Claim, Member } from '../groups.ts'
import type { StateChange } from '../state.ts'
import type { StateWrite } from '../write-batch.ts'
import { all, atomic, type ConformanceCase, keeps } from './conformance-case.ts'
import { type Fixture, refuses } from './fixture.ts'
import { GroupConsumer } from './group-consumer.ts'

interface Owner {
  readonly member: Member
  readonly claims: readonly Claim[]
}

/** A member that owns all partitions of a topic. */
async function ownerOf(f: Fixture, group: string, topic: string, partitions: number): Promise<Owner> {
  const assigned: Assignment[] = []
  const member = await f.engine.groups.join({
    group,
    topics: [topic],
    onAssigned: (assignments) => assigned.push(...assignments),
    onRevoked: async () => undefined,
    onLost: () => undefined,
  })
  await f.eventually('all partitions assigned', () => assigned.length === partitions)
  const claims = assigned.map(({ claim }) => claim).toSorted((a, b) => a.partition - b.partition)
  return { member, claims }
}

const set = (namespace: string, key: string, value: number, owner: Claim, expectedRevision?: number): StateWrite => ({
  kind: 'set',
  namespace,
  key,
  value,
  owner,
  ...(expectedRevision !== undefined && { expectedRevision }),
})

const isOwned = (f: Fixture): boolean => f.engine.capabilities.ownedState === true

/** State that is written under a claim: its owner reads it as it stands, and others by the name of the group. */
export const ownedStateCases: readonly ConformanceCase[] = (
  [
    {
      name: 'owned state: what is written under a claim is read under it at once, and by the name of the group soon',
      async run(f) {
        const [topic, group, namespace] = [await f.topic({ partitions: 2 }), f.name('group'), f.name('state')]
        const { member, claims } = await ownerOf(f, group, topic, 2)
        const [one, two] = claims as [Claim, Claim]
        assert.equal(await f.engine.state.get(namespace, 'a', one), undefined)
        assert.deepEqual(await f.engine.state.range(namespace, {}, { group }), [])
        await f.commit({ state: [set(namespace, 'a', 1, one, 0), set(namespace, 'b', 2, two, 0)] })
        await f.commit({ state: [set(namespace, 'a', 3, one, 1)] })
        const a = { key: 'a', value: 3, revision: 2 }
        const b = { key: 'b', value: 2, revision: 1 }
        const { state } = f.engine
        assert.deepEqual(await state.get(namespace, 'a', one), a)
        assert.deepEqual(await state.getMany(namespace, ['b', 'c'], two), [b, undefined])
        if (isOwned(f)) {
          assert.deepEqual(await state.range(namespace, {}, one), [a])
          assert.equal(await state.count(namespace, two), 1)
          assert.equal(await state.get(namespace, 'a'), undefined, 'it belongs to nobody')
        }
        await f.eventually('all is read', async () => (await state.count(namespace, { group })) === 2)
        assert.deepEqual(await state.range(namespace, { reverse: true }, { group }), [b, a])
        assert.deepEqual(await state.namespaces(namespace, { group }), [namespace])
        await f.conflict({ state: [set(namespace, 'a', 9, one, 1)] }, 'revision')
        await f.commit({ state: [{ kind: 'delete', namespace, key: 'a', owner: one, expectedRevision: 2 }] })
        assert.equal(await state.get(namespace, 'a', one), undefined)
        await member.leave()
      },
    },
    {
      name: 'owned state: it moves with the claim, and a commit under the old claim changes nothing',
      requires: atomic('state', 'progress'),
      async run(f) {
        const [topic, group, namespace] = [await f.topic(), f.name('group'), f.name('state')]
        await f.publish(topic, f.numbered(3))
        const old = await ownerOf(f, group, topic, 1)
        const [before] = old.claims as [Claim]
        await f.commit({
          state: [set(namespace, 'k', 1, before)],
          progress: [{ claim: before, done: [{ from: 0, to: 1 }] }],
        })
        await old.member.leave()
        const { member, claims } = await ownerOf(f, group, topic, 1)
        const [now] = claims as [Claim]
        assert.deepEqual(await f.engine.state.get(namespace, 'k', now), { key: 'k', value: 1, revision: 1 })
        await f.conflict(
          { state: [set(namespace, 'k', 7, before)], progress: [{ claim: before, done: [{ from: 1, to: 2 }] }] },
          'fenced',
        )
        if (isOwned(f)) await f.conflict({ state: [set(namespace, 'k', 7, before)] }, 'fenced')
        await f.commit({ state: [set(namespace, 'k', 2, now, 1)] })
        assert.equal((await f.engine.state.get(namespace, 'k', now))?.value, 2)
        await member.leave()
      },
    },
    {
      name: 'owned state: a count by partition agrees with the log, whoever comes and goes',
      requires: atomic('state', 'progress', 'topics'),
      async run(f) {
        const [topic, group, namespace] = [await f.topic({ partitions: 4 }), f.name('group'), f.name('counts')]
        const known = new Map<string, number>()
        const join = (): Promise<GroupConsumer> =>
          GroupConsumer.join(f.engine, { group, topics: [topic] }, (_record, claim) => {
            const key = `p${claim.partition}`
            const value = (known.get(key) ?? 0) + 1
            known.set(key, value)
            return { state: [set(namespace, key, value, claim, value - 1)] }
          })
        const members = [await join()]
        const total = 80
        for (let n = 0; n < total; n++) {
          await f.publish(topic, f.numbered(1, n), { partition: n % 4 })
          if (n % 20 === 10) members.push(await join())
          if (n % 20 === 19) await members.shift()?.leave()
        }
        await f.eventually('all counted', async () => {
          const entries = await f.engine.state.range(namespace, {}, { group })
          return entries.reduce((sum, { value }) => sum + Number(value), 0) >= total
        })
        const entries = await f.engine.state.range(namespace, {}, { group })
        assert.deepEqual(
          entries.map(({ key, value, revision }) => [key, value, revision]),
          [0, 1, 2, 3].map((partition) => [`p${partition}`, 20, 20]),
        )
        for (const one of members) await one.leave()
      },
    },
    {
      name: 'owned state: who watches a group sees what its owners change',
      async run(f) {
        const [topic, group, namespace] = [await f.topic(), f.name('group'), f.name('state')]
        const end = new AbortController()
        const seen: StateChange[] = []
        const watching = (async () => {
          for await (const change of f.engine.state.watch(namespace, { owner: { group }, signal: end.signal })) {
            seen.push(change)
          }
        })()
        const { member, claims } = await ownerOf(f, group, topic, 1)
        const [claim] = claims as [Claim]
        await f.commit({ state: [set(namespace, 'k', 1, claim)] })
        await f.eventually('the first change', () => seen.length === 1)
        await f.commit({ state: [set(namespace, 'k', 2, claim)] })
        await f.eventually('the second change', () => seen.length === 2)
        assert.deepEqual(
          seen.map(({ value }) => value),
          [1, 2],
        )
        end.abort()
        await watching
        await member.leave()
      },
    },
    {
      name: 'owned state: that of a group is cleared while nobody works, and refused while somebody does',
      async run(f) {
        const [topic, group, namespace] = [await f.topic({ partitions: 3 }), f.name('group'), f.name('state')]
        const other = f.name('state')
        const first = await ownerOf(f, group, topic, 3)
        await f.commit({ state: first.claims.map((claim, n) => set(namespace, `k${n}`, n, claim)) })
        await f.commit({ state: [set(other, 'stays', 1, first.claims[0] as Claim)] })
        const clear = { state: [{ kind: 'clear', namespace, owner: { group } }] } as const
        if (isOwned(f)) await refuses(() => f.engine.commit(clear), 'GROUP_ACTIVE')
        await first.member.leave()
        await f.eventually('nobody works', async () => {
          const description = await f.engine.groups.describe(group)
          return (description?.members.length ?? 0) === 0
        })
        await f.commit(clear)
        assert.equal(await f.engine.state.count(namespace, { group }), 0)
        assert.equal(await f.engine.state.count(other, { group }), 1)
        const { member, claims } = await ownerOf(f, group, topic, 3)
        await f.commit({ state: [set(namespace, 'k0', 5, claims[0] as Claim, 0)] })
        await member.leave()
      },
    },
  ] satisfies readonly ConformanceCase[]
).map((one: ConformanceCase) => ({
  ...one,
  requires: all(keeps('state', 'progress'), one.requires ?? (() => true)),
}))
