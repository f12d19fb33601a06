import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import type { Assignment, Claim, JoinOptions, Member } from '../engine/index.ts'
import { type MillraceError, sleep, systemClock } from '../kernel/index.ts'
import { type PostgresEngine, postgres } from './index.ts'
import { PushedClock } from './pushed-clock.test-support.ts'
import { dropSchema, runSql, serversWanted, serverUrl } from './real-server.test-support.ts'

const schema = `groups_${process.pid}`

/** A member that notes what it is told. */
class Listener {
  readonly log: string[] = []
  readonly assigned: Assignment[] = []
  readonly lost: Claim[] = []
  member: Member | undefined
  onRevoked: (claims: readonly Claim[]) => Promise<void> = () => Promise.resolve()
  onAssigned: () => void = () => undefined

  async join(engine: PostgresEngine, topic: string, more: Partial<JoinOptions> = {}): Promise<this> {
    this.member = await engine.groups.join({
      group: `${topic} group`,
      topics: [topic],
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
    })
    return this
  }

  get partitions(): number[] {
    return (this.member?.claims ?? []).map(({ partition }) => partition).toSorted((a, b) => a - b)
  }
}

const until = async (holds: () => boolean | Promise<boolean>): Promise<void> => {
  while (!(await holds())) await sleep(5, systemClock)
}

const isShared = (count: number, ...members: readonly Listener[]): boolean => {
  const all = members.flatMap(({ partitions }) => partitions).toSorted((a, b) => a - b)
  const sizes = members.map(({ partitions }) => partitions.length)
  return all.join() === [...Array(count).keys()].join() && Math.max(...sizes) - Math.min(...sizes) <= 1
}

const commitUnder = (engine: PostgresEngine, claim: Claim, to: number): Promise<unknown> =>
  engine
    .commit({ progress: [{ claim, done: [{ from: 0, to }] }] })
    .then((outcome) => outcome.ok || outcome.conflict.kind)

const codeOf = (call: Promise<unknown>): Promise<unknown> =>
  call.then(
    () => 'none',
    (error: MillraceError) => error.code,
  )

// Skipped because these need a server, which only a run that asks for servers starts.
describe.skipIf(!serversWanted)('groups whose members live in two engines', () => {
  let url = ''
  const engines: PostgresEngine[] = []
  let topicCount = 0

  beforeAll(async () => {
    url = await serverUrl()
  }, 600_000)
  afterEach(async () => {
    await Promise.all(engines.splice(0).map((engine) => engine.close()))
  })
  afterAll(() => dropSchema(url, schema))

  async function open(clock = systemClock): Promise<PostgresEngine> {
    const engine = await postgres({ connection: url, schema, pollMs: 30, maintenanceIntervalMs: 0 }).open({ clock })
    engines.push(engine)
    return engine
  }

  async function setUp(partitions: number) {
    const [one, two] = [await open(), await open()]
    const topic = `topic-${++topicCount}`
    await one.topics.create(topic, { partitions })
    return { one, two, topic }
  }

  it('share evenly and move no more than they must, whoever comes and goes', async () => {
    const { one, two, topic } = await setUp(12)
    const members: Listener[] = []
    for (let count = 1; count <= 5; count++) {
      const before = members.map(({ partitions }) => partitions)
      members.push(await new Listener().join(count % 2 === 0 ? one : two, topic))
      await until(() => isShared(12, ...members))
      // Who was there keeps a part of what it had, and gets nothing new.
      for (const [i, owned] of before.entries())
        expect(owned).toEqual(expect.arrayContaining(members[i]?.partitions ?? []))
    }
    while (members.length > 1) {
      const [left] = members.splice(1, 1)
      const before = members.map(({ partitions }) => partitions)
      await left?.member?.leave()
      expect(left?.partitions).toEqual([])
      await until(() => isShared(12, ...members))
      for (const [i, owned] of before.entries()) expect(members[i]?.partitions).toEqual(expect.arrayContaining(owned))
    }
  })

  it('give a partition on only when its owner in the other process let go, and fence the old claim then', async () => {
    const { one, two, topic } = await setUp(2)
    await one.commit({
      publish: [0, 1].map((partition) => ({
        topic,
        partition,
        records: [0, 1, 2].map((n) => ({ key: null, value: `${n}` })),
      })),
    })
    const first = await new Listener().join(one, topic)
    const release = Promise.withResolvers<void>()
    first.onRevoked = () => release.promise
    const second = await new Listener().join(two, topic)
    await until(() => first.log.length === 2)
    expect([first.log, second.log]).toEqual([['+2', '-1'], []])
    const { topics } = two
    await topics.describe(topic)
    const moving = first.assigned.map(({ claim }) => claim).find(({ partition }) => partition === 1) as Claim
    // What was in flight may still be finished.
    expect(await commitUnder(one, moving, 2)).toBe(true)
    expect(second.log).toEqual([])
    release.resolve()
    await until(() => second.assigned.length > 0)
    expect(await commitUnder(one, moving, 3)).toBe('fenced')
    const [taken] = second.assigned
    expect(taken?.progress).toEqual({ next: 2, done: [] })
    expect(taken?.claim.epoch).toBeGreaterThan(moving.epoch)
    expect(await commitUnder(two, (taken as Assignment).claim, 3)).toBe(true)
    // A claim is good wherever it is used: it is the server that knows it.
    expect(await commitUnder(one, (taken as Assignment).claim, 3)).toBe(true)
  })

  it('take from a member that does not answer what it was asked for, and tell it once', async () => {
    const { one, two, topic } = await setUp(2)
    const silent = await new Listener().join(one, topic, { sessionTimeoutMs: 600 })
    silent.onRevoked = () => new Promise(() => undefined)
    const other = await new Listener().join(two, topic)
    await until(() => {
      silent.member?.heartbeat()
      return isShared(2, silent, other)
    })
    await until(() => silent.lost.length > 0)
    expect(silent.log).toEqual(['+2', '-1', '!1'])
    expect(await commitUnder(one, silent.lost[0] as Claim, 0)).toBe('fenced')
  })

  it('take the answer "no" for the loss of the claims', async () => {
    const { one, two, topic } = await setUp(2)
    const first = await new Listener().join(one, topic)
    first.onRevoked = () => Promise.reject(new TypeError('no'))
    const second = await new Listener().join(two, topic)
    await until(() => isShared(2, first, second))
    await until(() => first.lost.length > 0)
    expect(first.log).toEqual(['+2', '-1', '!1'])
  })

  it('put out who says nothing for a session, and let it in again when it does', async () => {
    const { two, topic } = await setUp(4)
    const clock = new PushedClock()
    const asleep = await new Listener().join(await open(clock), topic, { sessionTimeoutMs: 2_000 })
    const awake = await new Listener().join(two, topic)
    await until(() => isShared(4, asleep, awake))
    const [claim] = asleep.member?.claims ?? []
    await clock.advance(2_100)
    await until(() => isShared(4, awake))
    expect(asleep.lost.length).toBe(2)
    expect(await commitUnder(two, claim as Claim, 0)).toBe('fenced')
    expect((await two.groups.describe(`${topic} group`))?.members.length).toBe(1)
    asleep.member?.heartbeat()
    await until(() => isShared(4, asleep, awake))
    await asleep.member?.leave()
    await until(() => isShared(4, awake))
  })

  it('ask a member that leaves while it is asked for a part for all of it', async () => {
    const { one, two, topic } = await setUp(6)
    const leaver = await new Listener().join(one, topic)
    const release = Promise.withResolvers<void>()
    leaver.onRevoked = () => release.promise
    const other = await new Listener().join(two, topic)
    await until(() => leaver.log.includes('-3'))
    let hasLeft = false
    const leaving = leaver.member?.leave().then(() => {
      hasLeft = true
    })
    await sleep(100, systemClock)
    expect([hasLeft, leaver.partitions.length]).toEqual([false, 6])
    release.resolve()
    await leaving
    expect([leaver.partitions, leaver.log]).toEqual([[], ['+6', '-3', '-3']])
    await until(() => isShared(6, other))
  })

  it('are closed during a rebalance: who hangs is told, who stays takes over, nobody waits for ever', async () => {
    const { one, two, topic } = await setUp(4)
    const hanging = await new Listener().join(one, topic)
    hanging.onRevoked = () => new Promise(() => undefined)
    const other = await new Listener().join(two, topic)
    await until(() => hanging.log.includes('-2'))
    const leaving = hanging.member?.leave()
    await one.close()
    await leaving
    expect([hanging.lost.length, hanging.partitions]).toEqual([4, []])
    expect(await codeOf(new Listener().join(one, topic))).toBe('CLOSED')
    await until(() => isShared(4, other))
  })

  it('leave nobody behind when engines close while members join', async () => {
    const { one, two, topic } = await setUp(4)
    const joining = Array.from({ length: 8 }, (_, i) => new Listener().join(i % 2 === 0 ? one : two, topic))
    const settled = Promise.allSettled(joining)
    await Promise.all([one.close(), two.close()])
    await settled
    const third = await open()
    expect((await third.groups.describe(`${topic} group`))?.members ?? []).toEqual([])
    await until(async () => isShared(4, await new Listener().join(third, topic)))
  })

  it('do not stop for a listener that throws', async () => {
    const { one, two, topic } = await setUp(2)
    const thrown: unknown[] = []
    const note = (error: unknown): void => void thrown.push(error)
    const others = process.listeners('uncaughtException')
    process.removeAllListeners('uncaughtException')
    process.on('uncaughtException', note)
    try {
      const first = new Listener()
      first.onAssigned = () => {
        throw new TypeError('mine')
      }
      await first.join(one, topic)
      const second = await new Listener().join(two, topic)
      await until(() => isShared(2, first, second))
      expect(thrown.map(String)).toEqual(['TypeError: mine'])
    } finally {
      process.off('uncaughtException', note)
      for (const other of others) process.on('uncaughtException', other)
    }
  })

  it('hand out partitions that another process adds, and take back those of a topic that it deletes', async () => {
    const { one, two, topic } = await setUp(1)
    const also = `${topic}-also`
    await two.topics.create(also, { partitions: 2 })
    const member = await new Listener().join(one, topic, { topics: [topic, also] })
    await two.topics.alter(topic, { partitions: 3 })
    await until(() => member.member?.claims.length === 5)
    const gone = member.member?.claims.find((claim) => claim.topic === also) as Claim
    await two.topics.delete(also)
    await until(() => member.member?.claims.length === 3)
    // Created anew it is another topic: the old claim is none on it, neither before nor after there are new ones.
    await two.topics.create(also, { partitions: 2 })
    expect(await commitUnder(two, gone, 0)).toBe('fenced')
    await until(() => member.member?.claims.length === 5)
    expect(await commitUnder(two, gone, 0)).toBe('fenced')
  })

  it('never give a claim an epoch that was there before, not even after the group was deleted', async () => {
    const { one, two, topic } = await setUp(2)
    const epochs = new Set<string>()
    for (let round = 0; round < 4; round++) {
      const member = await new Listener().join(round % 2 === 0 ? one : two, topic)
      for (const { claim } of member.assigned) epochs.add(`${claim.partition}/${claim.epoch}`)
      await member.member?.leave()
      await one.groups.delete(`${topic} group`)
      expect(await two.groups.list()).not.toContain(`${topic} group`)
    }
    expect(epochs.size).toBe(8)
  })

  it('are reset only when nobody is in them, wherever; who was killed is in them no longer than its session', async () => {
    const { one, two, topic } = await setUp(1)
    const group = `${topic} group`
    await one.commit({ publish: [{ topic, records: [{ key: null, value: 'x' }] }] })
    const member = await new Listener().join(one, topic)
    expect(await codeOf(two.groups.reset(group, topic, 'latest'))).toBe('GROUP_ACTIVE')
    expect(await codeOf(two.groups.delete(group))).toBe('GROUP_ACTIVE')
    const [claim] = member.member?.claims ?? []
    // As it is when the process is gone without a word.
    await runSql(url, `UPDATE ${schema}.member SET lease_until = now() - interval '1 s' WHERE group_name = $1`, [group])
    await two.groups.reset(group, topic, 'latest')
    expect(await commitUnder(two, claim as Claim, 1)).toBe('fenced')
    expect((await two.groups.describe(group))?.lag).toMatchObject([{ next: 1, lagMessages: 0 }])
  })
})
