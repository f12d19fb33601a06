import { describe, expect, it } from 'vitest'
import type { Assignment, Claim, JoinOptions, Member } from '../engine/index.ts'
import { VirtualClock } from '../kernel/index.ts'
import type { EmbeddedEngine } from './embedded-engine.ts'
import { codeOf, commit, numbered, openEngine } from './file.test-support.ts'

/** A member that notes what it is told. */
class Listener {
  readonly log: string[] = []
  readonly assigned: Assignment[] = []
  readonly lost: Claim[] = []
  member: Member | undefined
  onRevoked: (claims: readonly Claim[]) => Promise<void> = () => Promise.resolve()
  onAssigned: () => void = () => undefined

  options(group: string, topics: readonly string[], more: Partial<JoinOptions> = {}): JoinOptions {
    return {
      group,
      topics,
      ...more,
      onAssigned: (assignments) => {
        this.log.push(`+${assignments.length}`)
        this.assigned.push(...assignments)
        this.onAssigned()
      },
      onRevoked: (claims) => {
        this.log.push(`-${claims.length}`)
        return this.onRevoked(claims)
      },
      onLost: (claims) => {
        this.log.push(`!${claims.length}`)
        this.lost.push(...claims)
      },
    }
  }

  async join(
    engine: EmbeddedEngine,
    more: Partial<JoinOptions> = {},
    topics: readonly string[] = ['t'],
  ): Promise<this> {
    this.member = await engine.groups.join(this.options('g', topics, more))
    return this
  }

  get partitions(): number[] {
    return (this.member?.claims ?? []).map(({ partition }) => partition).toSorted((a, b) => a - b)
  }
}

async function setUp(partitions: number): Promise<{ engine: EmbeddedEngine; clock: VirtualClock }> {
  const clock = new VirtualClock()
  const engine = await openEngine(':memory:', {}, clock)
  await engine.topics.create('t', { partitions })
  return { engine, clock }
}

/** Every partition has exactly one owner. */
function expectShared(partitionCount: number, ...members: readonly Listener[]): void {
  const all = members.flatMap(({ partitions }) => partitions).toSorted((a, b) => a - b)
  expect(all).toEqual(Array.from({ length: partitionCount }, (_, i) => i))
}

const commitUnder = (engine: EmbeddedEngine, claim: Claim, to: number): Promise<unknown> =>
  engine
    .commit({ progress: [{ claim, done: [{ from: 0, to }] }] })
    .then((outcome) => outcome.ok || outcome.conflict.kind)

describe('the coordinator of a group', () => {
  it('shares evenly and moves no more than it must, whoever comes and goes', async () => {
    const { engine } = await setUp(12)
    const members: Listener[] = []
    for (let count = 1; count <= 5; count++) {
      const before = members.map(({ partitions }) => partitions)
      members.push(await new Listener().join(engine))
      expectShared(12, ...members)
      const sizes = members.map(({ partitions }) => partitions.length)
      expect(Math.max(...sizes) - Math.min(...sizes)).toBeLessThanOrEqual(1)
      // Who was there keeps a part of what it had, and gets nothing new.
      for (const [i, owned] of before.entries())
        expect(owned).toEqual(expect.arrayContaining(members[i]?.partitions ?? []))
    }
    while (members.length > 1) {
      const [left] = members.splice(1, 1)
      const before = members.map(({ partitions }) => partitions)
      await left?.member?.leave()
      expect(left?.partitions).toEqual([])
      expectShared(12, ...members)
      for (const [i, owned] of before.entries()) expect(members[i]?.partitions).toEqual(expect.arrayContaining(owned))
    }
    await engine.close()
  })

  it('gives a partition on only when its owner let go, and fences the old claim then', async () => {
    const { engine } = await setUp(2)
    await commit(engine, { publish: [0, 1].map((partition) => ({ topic: 't', partition, messages: numbered(3) })) })
    const one = await new Listener().join(engine)
    const release = Promise.withResolvers<void>()
    one.onRevoked = () => release.promise
    const two = new Listener()
    const joining = two.join(engine)
    await new Promise((resolve) => setImmediate(resolve))
    expect([one.log, two.log]).toEqual([['+2', '-1'], []])
    const moving = one.assigned.map(({ claim }) => claim).find(({ partition }) => partition === 1) as Claim
    // What was in flight may still be finished.
    expect(await commitUnder(engine, moving, 2)).toBe(true)
    release.resolve()
    await joining
    expect(await commitUnder(engine, moving, 3)).toBe('fenced')
    const [taken] = two.assigned
    expect(taken?.progress).toEqual({ next: 2, done: [] })
    expect(taken?.claim.epoch).toBeGreaterThan(moving.epoch)
    expect(await commitUnder(engine, (taken as Assignment).claim, 3)).toBe(true)
    await engine.close()
  })

  it('takes from a member that does not answer within its session what it was asked for, and tells it once', async () => {
    const { engine, clock } = await setUp(2)
    const one = await new Listener().join(engine, { sessionTimeoutMs: 1_000 })
    one.onRevoked = () => new Promise(() => undefined)
    const two = new Listener()
    const joining = two.join(engine)
    for (let i = 0; i < 4; i++) {
      one.member?.heartbeat()
      await clock.advance(300)
    }
    await joining
    expectShared(2, one, two)
    expect(one.log).toEqual(['+2', '-1', '!1'])
    expect(await commitUnder(engine, one.lost[0] as Claim, 0)).toBe('fenced')
    await engine.close()
  })

  it('takes the answer "no" for the loss of the claims', async () => {
    const { engine } = await setUp(2)
    const one = await new Listener().join(engine)
    one.onRevoked = () => Promise.reject(new TypeError('no'))
    const two = await new Listener().join(engine)
    expectShared(2, one, two)
    expect(one.log).toEqual(['+2', '-1', '!1'])
    await engine.close()
  })

  it('puts out who says nothing for a session, and nobody who does', async () => {
    const { engine, clock } = await setUp(4)
    const one = await new Listener().join(engine, { sessionTimeoutMs: 3_000 })
    const two = await new Listener().join(engine, { sessionTimeoutMs: 6_000 })
    for (let i = 0; i < 10; i++) {
      await clock.advance(1_000)
      two.member?.heartbeat()
    }
    expect(one.partitions).toEqual([])
    expect(one.lost.length).toBe(2)
    expectShared(4, two)
    expect((await engine.groups.describe('g'))?.members.length).toBe(1)
    one.member?.heartbeat()
    await one.member?.leave()
    expectShared(4, two)
    await engine.close()
  })

  it('asks a member that leaves while others are asked for its own claims too', async () => {
    const { engine } = await setUp(6)
    const one = await new Listener().join(engine)
    const two = await new Listener().join(engine)
    const release = Promise.withResolvers<void>()
    one.onRevoked = () => release.promise
    const three = new Listener()
    const joining = three.join(engine)
    await new Promise((resolve) => setImmediate(resolve))
    const leaving = two.member?.leave()
    expect(two.partitions.length).toBeGreaterThan(0)
    release.resolve()
    await joining
    await leaving
    expect(two.partitions).toEqual([])
    expect(two.log.filter((line) => line.startsWith('!'))).toEqual([])
    expectShared(6, one, three)
    await engine.close()
  })

  it('is closed during a rebalance: who joins is refused, who hangs is told, nobody waits for ever', async () => {
    const { engine } = await setUp(4)
    const one = await new Listener().join(engine)
    one.onRevoked = () => new Promise(() => undefined)
    const two = new Listener()
    const joining = codeOf(two.join(engine))
    await new Promise((resolve) => setImmediate(resolve))
    const leaving = one.member?.leave()
    await engine.close()
    await leaving
    expect(await joining).toBe('CLOSED')
    expect(one.lost.length).toBe(4)
    expect(one.partitions).toEqual([])
    expect(await codeOf(new Listener().join(engine))).toBe('CLOSED')
  })

  it('does not stop for a listener that throws', async () => {
    const { engine } = await setUp(2)
    const thrown: unknown[] = []
    const note = (error: unknown): void => void thrown.push(error)
    const others = process.listeners('uncaughtException')
    process.removeAllListeners('uncaughtException')
    process.on('uncaughtException', note)
    try {
      const one = new Listener()
      one.onAssigned = () => {
        throw new TypeError('mine')
      }
      await one.join(engine)
      const two = await new Listener().join(engine)
      expectShared(2, one, two)
      await new Promise((resolve) => setImmediate(resolve))
      expect(thrown.map(String)).toEqual(['TypeError: mine'])
    } finally {
      process.off('uncaughtException', note)
      for (const other of others) process.on('uncaughtException', other)
    }
    await engine.close()
  })

  it('hands out new partitions and takes back those of a deleted topic', async () => {
    const { engine } = await setUp(1)
    await engine.topics.create('u', { partitions: 2 })
    const one = await new Listener().join(engine, {}, ['t', 'u'])
    await engine.topics.alter('t', { partitions: 3 })
    expect(one.member?.claims.length).toBe(5)
    const gone = one.member?.claims.find(({ topic }) => topic === 'u') as Claim
    await engine.topics.delete('u')
    expect(one.member?.claims.map(({ topic }) => topic)).toEqual(['t', 't', 't'])
    // Created anew it is another topic: the old claim is none on it.
    await engine.topics.create('u', { partitions: 2 })
    expect(await commitUnder(engine, gone, 0)).toBe('fenced')
    await engine.close()
  })

  it('never gives a claim an epoch that was there before, not even after the file was closed', async () => {
    const { engine } = await setUp(2)
    const epochs = new Set<number>()
    for (let round = 0; round < 4; round++) {
      const one = await new Listener().join(engine)
      for (const { claim } of one.assigned) epochs.add(claim.epoch)
      await one.member?.leave()
      await engine.groups.delete('g')
    }
    expect(epochs.size).toBe(8)
    await engine.close()
  })
})
