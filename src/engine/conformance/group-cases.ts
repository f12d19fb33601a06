import assert from 'node:assert/strict'
import type { Assignment, Claim, JoinOptions, Member } from '../groups.ts'
import { type ConformanceCase, movableTime, survivesClose } from './conformance-case.ts'
import { type Fixture, refuses } from './fixture.ts'

/** A member that only keeps note of what it was told. */
export interface Listener {
  readonly member: Member
  readonly assigned: Assignment[]
  readonly revoked: Claim[]
  readonly lost: Claim[]
  /** Its partitions as it knows them: assigned, and neither revoked nor lost since. */
  held(): string[]
}

export async function listen(
  f: Fixture,
  options: Pick<JoinOptions, 'group' | 'topics'> & Partial<JoinOptions>,
): Promise<Listener> {
  const assigned: Assignment[] = []
  const revoked: Claim[] = []
  const lost: Claim[] = []
  const held = new Map<string, Claim>()
  const place = (claim: Claim): string => `${claim.topic}/${claim.partition}`
  const member = await f.engine.groups.join({
    ...options,
    onAssigned: (assignments) => {
      assigned.push(...assignments)
      for (const { claim } of assignments) held.set(place(claim), claim)
      options.onAssigned?.(assignments)
    },
    onRevoked: async (claims) => {
      await options.onRevoked?.(claims)
      revoked.push(...claims)
      for (const claim of claims) held.delete(place(claim))
    },
    onLost: (claims) => {
      lost.push(...claims)
      for (const claim of claims) held.delete(place(claim))
      options.onLost?.(claims)
    },
  })
  return { member, assigned, revoked, lost, held: () => [...held.keys()].sort() }
}

export const holds = (listener: Listener, count: number): boolean => listener.held().length === count

/** The one claim of a member of a topic with one partition, once it has it. */
export async function onlyAssignment(f: Fixture, listener: Listener): Promise<Assignment> {
  await f.eventually('a claim on the partition', () => listener.assigned.length > 0)
  return listener.assigned.at(-1) as Assignment
}

/** How members share partitions: joining, leaving, failing. */
export const groupCases: readonly ConformanceCase[] = [
  {
    name: 'groups: a member alone has every partition of its topics, from the start',
    async run(f) {
      const topics = [await f.topic({ partitions: 3 }), await f.topic({ partitions: 2 })]
      await f.publish(topics[0] as string, f.numbered(3), { partition: 0 })
      const one = await listen(f, { group: f.name('group'), topics })
      await f.eventually('all five partitions', () => holds(one, 5))
      for (const { progress } of one.assigned) assert.deepEqual(progress, { next: 0, done: [] })
      assert.deepEqual(one.member.claims.map((claim) => `${claim.topic}/${claim.partition}`).sort(), one.held())
      await one.member.leave()
      assert.deepEqual(one.held(), [])
    },
  },
  {
    name: 'groups: a group that starts at the latest record sees what comes, not what was',
    async run(f) {
      const topic = await f.topic()
      await f.publish(topic, f.numbered(5))
      const group = f.name('group')
      const one = await listen(f, { group, topics: [topic], from: 'latest' })
      assert.equal((await onlyAssignment(f, one)).progress.next, 5)
      await one.member.leave()
    },
  },
  {
    name: 'groups: where a group starts is decided once; later records wait for it',
    async run(f) {
      const topic = await f.topic()
      await f.publish(topic, f.numbered(3))
      const options = { group: f.name('group'), topics: [topic], from: 'latest' as const }
      const one = await listen(f, options)
      const { claim } = await onlyAssignment(f, one)
      await f.publish(topic, f.numbered(2))
      await f.commit({ progress: [{ claim, done: [{ from: 3, to: 4 }] }] })
      await one.member.leave()
      await f.publish(topic, f.numbered(1))
      const again = await listen(f, options)
      assert.equal((await onlyAssignment(f, again)).progress.next, 4)
      await again.member.leave()
    },
  },
  {
    name: 'groups: two members share the partitions evenly',
    async run(f) {
      const topic = await f.topic({ partitions: 6 })
      const options = { group: f.name('group'), topics: [topic] }
      const [one, two] = [await listen(f, options), await listen(f, options)]
      await f.eventually('three partitions each', () => holds(one, 3) && holds(two, 3))
      assert.equal(new Set([...one.held(), ...two.held()]).size, 6)
      const described = await f.engine.groups.describe(options.group)
      assert.deepEqual(
        described?.members.map(({ claims }) => claims.length),
        [3, 3],
      )
      await Promise.all([one.member.leave(), two.member.leave()])
    },
  },
  {
    name: 'groups: members beyond the number of partitions wait for their turn',
    async run(f) {
      const topic = await f.topic({ partitions: 2 })
      const options = { group: f.name('group'), topics: [topic] }
      const members = [await listen(f, options), await listen(f, options), await listen(f, options)]
      const total = (): number => members.reduce((sum, listener) => sum + listener.held().length, 0)
      await f.eventually(
        'two members with one partition each',
        () => total() === 2 && members.every((m) => m.held().length <= 1),
      )
      const [busy] = members.filter((listener) => listener.held().length === 1)
      await busy?.member.leave()
      await f.eventually('the third takes over', () => total() === 2)
      await Promise.all(members.map(({ member }) => member.leave()))
    },
  },
  {
    name: 'groups: who leaves hands its partitions to who stays, with a new epoch',
    async run(f) {
      const topic = await f.topic({ partitions: 4 })
      const options = { group: f.name('group'), topics: [topic] }
      const [one, two] = [await listen(f, options), await listen(f, options)]
      await f.eventually('two partitions each', () => holds(one, 2) && holds(two, 2))
      const before = one.member.claims
      await one.member.leave()
      await f.eventually('all four partitions', () => holds(two, 4))
      for (const claim of before) {
        const taken = two.member.claims.find(({ partition }) => partition === claim.partition)
        assert.ok(taken && taken.epoch > claim.epoch)
      }
      await two.member.leave()
    },
  },
  {
    name: 'groups: a partition has its next owner only when the last one let go',
    async run(f) {
      const topic = await f.topic()
      const options = { group: f.name('group'), topics: [topic] }
      const { promise: letGo, resolve } = Promise.withResolvers<void>()
      const one = await listen(f, { ...options, onRevoked: () => letGo })
      await onlyAssignment(f, one)
      const leaving = one.member.leave()
      const joining = listen(f, options)
      await f.publish(topic, f.numbered(1))
      await f.publish(topic, f.numbered(1))
      assert.equal(one.revoked.length, 0)
      const claimed = (await f.engine.groups.describe(options.group))?.members.flatMap(({ claims }) => claims) ?? []
      assert.ok(claimed.length <= 1)
      const { claim } = await onlyAssignment(f, one)
      await f.commit({ progress: [{ claim, done: [{ from: 0, to: 1 }] }] })
      resolve()
      await leaving
      const two = await joining
      const next = await onlyAssignment(f, two)
      assert.equal(next.progress.next, 1)
      await two.member.leave()
    },
  },
  {
    name: 'groups: who does not say that it lives loses its partitions, its commits are refused, and it is let in again',
    requires: movableTime,
    async run(f) {
      const topic = await f.topic()
      await f.publish(topic, f.numbered(3))
      const options = { group: f.name('group'), topics: [topic], sessionTimeoutMs: 10_000 }
      const silent = await listen(f, options)
      const { claim } = await onlyAssignment(f, silent)
      const alive = await listen(f, options)
      for (let step = 0; step < 15 && alive.assigned.length === 0; step++) {
        alive.member.heartbeat()
        await f.clock.advance(1000)
      }
      const taken = await onlyAssignment(f, alive)
      assert.ok(taken.claim.epoch > claim.epoch)
      assert.equal(silent.lost.length, 1)
      await f.conflict({ progress: [{ claim, done: [{ from: 0, to: 1 }] }] }, 'fenced')
      await f.commit({ progress: [{ claim: taken.claim, done: [{ from: 0, to: 1 }] }] })
      silent.member.heartbeat()
      const isInAgain = async (): Promise<boolean> =>
        (await f.engine.groups.describe(options.group))?.members.length === 2
      await f.eventually('it is a member again', isInAgain)
      await alive.member.leave()
      await f.eventually('it has the partition again', () => silent.held().length === 1)
      await silent.member.leave()
    },
  },
  {
    name: 'groups: a heartbeat keeps the claims for another session',
    requires: movableTime,
    async run(f) {
      const topic = await f.topic({ partitions: 2 })
      const one = await listen(f, { group: f.name('group'), topics: [topic], sessionTimeoutMs: 10_000 })
      await f.eventually('both partitions', () => holds(one, 2))
      for (let step = 0; step < 10; step++) {
        await f.clock.advance(6000)
        one.member.heartbeat()
      }
      assert.deepEqual([one.lost.length, one.held().length], [0, 2])
      await one.member.leave()
    },
  },
  {
    name: 'groups: members with different topics get partitions of their own topics only',
    async run(f) {
      const [a, b] = [await f.topic({ partitions: 2 }), await f.topic({ partitions: 2 })]
      const group = f.name('group')
      const one = await listen(f, { group, topics: [a] })
      const two = await listen(f, { group, topics: [b] })
      await f.eventually('two partitions each', () => holds(one, 2) && holds(two, 2))
      assert.ok(one.held().every((place) => place.startsWith(`${a}/`)))
      assert.ok(two.held().every((place) => place.startsWith(`${b}/`)))
      await Promise.all([one.member.leave(), two.member.leave()])
    },
  },
  {
    name: 'groups: groups do not see each other',
    async run(f) {
      const topic = await f.topic()
      await f.publish(topic, f.numbered(4))
      const one = await listen(f, { group: f.name('group'), topics: [topic] })
      const two = await listen(f, { group: f.name('group'), topics: [topic] })
      const { claim } = await onlyAssignment(f, one)
      await f.commit({ progress: [{ claim, done: [{ from: 0, to: 4 }] }] })
      assert.equal((await onlyAssignment(f, two)).progress.next, 0)
      await Promise.all([one.member.leave(), two.member.leave()])
    },
  },
  {
    name: 'groups: a partition that was added finds an owner',
    requires: movableTime,
    async run(f) {
      const topic = await f.topic({ partitions: 1 })
      const one = await listen(f, { group: f.name('group'), topics: [topic] })
      await f.eventually('the partition', () => holds(one, 1))
      await f.engine.topics.alter(topic, { partitions: 3 })
      await f.eventually('all three partitions', () => holds(one, 3))
      assert.deepEqual(new Set(one.assigned.map(({ claim }) => claim.partition)), new Set([0, 1, 2]))
      await one.member.leave()
    },
  },
  {
    name: 'groups: leaving twice, and with others, is fine',
    async run(f) {
      const topic = await f.topic({ partitions: 3 })
      const options = { group: f.name('group'), topics: [topic] }
      const members = await Promise.all([listen(f, options), listen(f, options), listen(f, options)])
      await Promise.all(members.flatMap(({ member }) => [member.leave(), member.leave()]))
      await members[0]?.member.leave()
      assert.deepEqual((await f.engine.groups.describe(options.group))?.members ?? [], [])
      for (const listener of members) assert.deepEqual(listener.member.claims, [])
    },
  },
  {
    name: 'groups: joining with nothing, or an unknown topic, is an error',
    async run(f) {
      const topic = await f.topic()
      await refuses(() => listen(f, { group: f.name('group'), topics: [topic, f.name('unknown')] }), 'TOPIC_UNKNOWN')
      await refuses(() => listen(f, { group: '', topics: [topic] }))
      await refuses(() => listen(f, { group: 7 as unknown as string, topics: [topic] }))
      for (const sessionTimeoutMs of [0, -1, Number.NaN]) {
        await refuses(() => listen(f, { group: f.name('group'), topics: [topic], sessionTimeoutMs }))
      }
      await refuses(() => listen(f, { group: f.name('group'), topics: [topic], from: 'middle' as 'latest' }))
      await refuses(() => f.engine.groups.join({ group: f.name('group'), topics: [topic] } as never))
      await refuses(() => f.engine.groups.join(undefined as never))
    },
  },
  {
    name: 'groups: a restart ends all memberships and keeps the group',
    requires: survivesClose,
    async run(f) {
      const topic = await f.topic()
      const group = f.name('group')
      const one = await listen(f, { group, topics: [topic] })
      const { claim } = await onlyAssignment(f, one)
      await f.publish(topic, f.numbered(2))
      await f.commit({ progress: [{ claim, done: [{ from: 0, to: 1 }] }] })
      await f.reopen()
      assert.deepEqual((await f.engine.groups.describe(group))?.members, [])
      assert.ok((await f.engine.groups.list()).includes(group))
      await f.conflict({ progress: [{ claim, done: [{ from: 1, to: 2 }] }] }, 'fenced')
      const two = await listen(f, { group, topics: [topic] })
      const next = await onlyAssignment(f, two)
      assert.equal(next.progress.next, 1)
      assert.ok(next.claim.epoch > claim.epoch)
      await two.member.leave()
    },
  },
]
