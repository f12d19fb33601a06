import { Connection, consumerGroupHeartbeatV1, leaveGroupV5 } from '@platformatic/kafka'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { Claim, Engine, WriteBatch } from '../engine/index.ts'
import { kafka } from './index.ts'
import { addressOf } from './options.ts'
import {
  eventually,
  firstAssignment,
  freshName,
  joining,
  type NotingMember,
  serversWanted,
  sharedServer,
  texts,
  valuesOf,
} from './real-server.test-support.ts'

// Skipped because it needs a real server: `npm run test:engines` runs it.
describe.skipIf(!serversWanted).each(['consumer', 'classic'] as const)(
  'fencing in the %s group protocol',
  (protocol) => {
    let brokers: readonly string[] = []
    let connection: Connection
    const engines: Engine[] = []
    beforeAll(async () => {
      brokers = (await sharedServer()).bootstrapBrokers
      const { host, port } = addressOf(brokers[0] as string) as { host: string; port: number }
      connection = new Connection('meddler')
      await connection.connect(host, port)
    }, 600_000)
    afterAll(async () => {
      await Promise.all(engines.map((engine) => engine.close()))
      await connection?.close()
    })

    const opened = async (heartbeatIntervalMs: number, rest = {}): Promise<Engine> => {
      const engine = await kafka({ brokers, groupProtocol: protocol, heartbeatIntervalMs, ...rest }).open()
      engines.push(engine)
      return engine
    }
    const done = (claim: Claim, from: number, to = from + 1): WriteBatch => ({
      progress: [{ claim, done: [{ from, to }] }],
    })

    /** Takes a member out of its group behind its back, as a coordinator does that has not heard of it for long. */
    async function expel(engine: Engine, group: string): Promise<void> {
      const members = (await engine.groups.describe(group))?.members ?? []
      for (const { id } of members) {
        if (protocol === 'classic') await leaveGroupV5.api.async(connection, group, [{ memberId: id }])
        else await consumerGroupHeartbeatV1.api.async(connection, group, id, -1, null, null, -1, null, null, null, null)
      }
    }

    /** An engine with a member that does not notice for a while that it was put out. */
    async function unaware(
      topic: string,
      group: string,
    ): Promise<{ engine: Engine; noting: NotingMember; claim: Claim }> {
      const engine = await opened(60_000)
      const noting = await joining(engine, { group, topics: [topic] })
      const { claim } = await firstAssignment(noting)
      // After a change members ask often; then they fall silent.
      await new Promise((resolve) => setTimeout(resolve, 3500))
      return { engine, noting, claim }
    }

    it('refuses the commit of a zombie as a whole, and not those beside it', async () => {
      const meddler = await opened(100)
      const [topic, out, group] = [freshName('in'), freshName('out'), freshName('group')]
      await meddler.topics.create(topic, { partitions: 1 })
      await meddler.topics.create(out, { partitions: 1 })
      await meddler.commit({ publish: [{ topic, records: texts('a', 'b', 'c') }] })
      const { engine, noting, claim } = await unaware(topic, group)
      expect(
        await engine.commit({ ...done(claim, 0), publish: [{ topic: out, records: texts('first') }] }),
      ).toMatchObject({ ok: true })
      await expel(meddler, group)
      const outcomes = await Promise.all([
        engine.commit({ publish: [{ topic: out, records: texts('before') }] }),
        engine.commit({ ...done(claim, 1), publish: [{ topic: out, records: texts('zombie') }] }),
        engine.commit({ publish: [{ topic: out, records: texts('after') }] }),
      ])
      expect(outcomes.map((outcome) => (outcome.ok ? 'ok' : outcome.conflict))).toEqual([
        'ok',
        { kind: 'fenced', claim },
        'ok',
      ])
      // Another engine sees what was committed a moment later.
      await eventually('all that was committed', async () => (await valuesOf(meddler, out)).length === 3)
      expect(await valuesOf(meddler, out)).toEqual(['first', 'before', 'after'])
      // Having been told, it came back, and its heartbeats are rare.
      await noting.member.leave()
      const next = await joining(meddler, { group, topics: [topic] })
      const heir = await firstAssignment(next)
      expect(heir.progress).toEqual({ next: 1, done: [] })
      expect(heir.claim.epoch).toBeGreaterThan(claim.epoch)
      await next.member.leave()
    })

    it('tells a member that it lost its claims, and gives it others', async () => {
      const engine = await opened(100)
      const [topic, group] = [freshName('in'), freshName('group')]
      await engine.topics.create(topic, { partitions: 1 })
      await engine.commit({ publish: [{ topic, records: texts('a', 'b') }] })
      const noting = await joining(engine, { group, topics: [topic] })
      const { claim } = await firstAssignment(noting)
      await engine.commit(done(claim, 0))
      await expel(engine, group)
      await eventually('a new claim', () => noting.assigned.length === 2)
      expect(noting.lost).toEqual([claim])
      expect(noting.assigned[1]?.progress).toEqual({ next: 1, done: [] })
      expect(await engine.commit(done(claim, 1))).toMatchObject({ ok: false, conflict: { kind: 'fenced' } })
      await noting.member.leave()
    })

    it('puts out who says nothing for a session, and lets it in again when it does, under a claim of its own', async () => {
      const engine = await opened(100)
      const [topic, group] = [freshName('in'), freshName('group')]
      await engine.topics.create(topic, { partitions: 1 })
      await engine.commit({ publish: [{ topic, records: texts('a', 'b') }] })
      const silent = await joining(engine, { group, topics: [topic], sessionTimeoutMs: 500 })
      const { claim } = await firstAssignment(silent)
      await eventually('it is put out', () => silent.lost.length === 1)
      expect(await engine.commit(done(claim, 0))).toMatchObject({ ok: false, conflict: { kind: 'fenced' } })
      await eventually('nobody is in', async () => ((await engine.groups.describe(group))?.members ?? []).length === 0)
      const beat = setInterval(() => silent.member.heartbeat(), 50)
      try {
        await eventually('it has the partition again', () => silent.assigned.length === 2)
        expect(await engine.commit(done(claim, 0))).toMatchObject({ ok: false, conflict: { kind: 'fenced' } })
        const again = silent.assigned[1]?.claim as Claim
        expect(again.epoch).not.toBe(claim.epoch)
        expect((await engine.commit(done(again, 0))).ok).toBe(true)
      } finally {
        clearInterval(beat)
      }
      await silent.member.leave()
    })

    it('loses nothing and doubles nothing while members of two processes come and go', async () => {
      const [one, two] = [await opened(100), await opened(100)]
      const [topic, out, group] = [freshName('in'), freshName('out'), freshName('group')]
      await one.topics.create(topic, { partitions: 4 })
      await one.topics.create(out, { partitions: 1 })
      const values = Array.from({ length: 200 }, (_, n) => `${n}`)
      for (const value of values) {
        await one.commit({ publish: [{ topic, partition: Number(value) % 4, records: texts(value) }] })
      }
      const work = (engine: Engine) => {
        const stops = new Map<number, { stop: AbortController; ended: Promise<void> }>()
        const handle = async (claim: Claim, next: number, signal: AbortSignal): Promise<void> => {
          let offset = next
          while (!signal.aborted) {
            const page = await engine.topics.read({ topic, partition: claim.partition, offset, waitMs: 60_000, signal })
            for (const record of page.records) {
              if (signal.aborted || record.kind !== 'undecodable') return
              const value = Buffer.from(record.value).toString()
              const outcome = await engine.commit({
                ...done(claim, record.offset),
                publish: [{ topic: out, records: texts(value) }],
              })
              if (!outcome.ok) return
            }
            offset = page.nextOffset
          }
        }
        const stopAll = async (claims: readonly Claim[]): Promise<void> => {
          for (const { partition } of claims) {
            stops.get(partition)?.stop.abort()
            await stops.get(partition)?.ended
          }
        }
        return joining(engine, {
          group,
          topics: [topic],
          onRevoked: stopAll,
          onAssigned: (assignments) => {
            for (const { claim, progress } of assignments) {
              const stop = new AbortController()
              const ended = handle(claim, progress.next, stop.signal).catch((error: unknown) => {
                if (!stop.signal.aborted) throw error
              })
              stops.set(claim.partition, { stop, ended })
            }
          },
        })
      }
      const { member: first } = await work(one)
      for (let round = 0; round < 3; round++) {
        const { member: second } = await work(two)
        await new Promise((resolve) => setTimeout(resolve, 300))
        await second.leave()
      }
      await eventually('everything handled', async () => (await valuesOf(one, out)).length >= values.length)
      await first.leave()
      expect((await valuesOf(one, out)).toSorted()).toEqual(values.toSorted())
      expect((await one.groups.describe(group))?.lag.every(({ lagMessages }) => lagMessages === 0)).toBe(true)
    })

    it.each(['leaves to return', 'closes its engine'])(
      'keeps the place of a static member that %s for the process that comes back',
      async (ending) => {
        const [topic, group, instanceId] = [freshName('in'), freshName('group'), freshName('worker')]
        const other = await opened(100)
        await other.topics.create(topic, { partitions: 2 })
        const first = await opened(100, { instanceId })
        const firstNoting = await joining(first, { group, topics: [topic] })
        await firstAssignment(firstNoting)
        const otherNoting = await joining(other, { group, topics: [topic] })
        await eventually('one partition each', () => {
          return firstNoting.member.claims.length === 1 && otherNoting.member.claims.length === 1
        })
        const held = otherNoting.member.claims
        const place = firstNoting.member.claims[0]?.partition
        if (ending === 'leaves to return') await firstNoting.member.leave({ isReturning: true })
        await first.close()
        const back = await opened(100, { instanceId })
        const backNoting = await joining(back, { group, topics: [topic] })
        expect((await firstAssignment(backNoting)).claim.partition).toBe(place)
        expect(otherNoting.member.claims).toEqual(held)
        await Promise.all([backNoting.member.leave(), otherNoting.member.leave()])
        expect((await other.groups.describe(group))?.members).toEqual([])
      },
    )

    it('refuses progress with more gaps than an offset commit can tell, and takes it once gaps are closed', async () => {
      const engine = await opened(100, { offsetMetadataBytesMax: 64 })
      const [topic, group] = [freshName('in'), freshName('group')]
      await engine.topics.create(topic, { partitions: 1 })
      await engine.commit({ publish: [{ topic, records: texts(...Array.from({ length: 400 }, (_, n) => `${n}`)) }] })
      const noting = await joining(engine, { group, topics: [topic] })
      const { claim } = await firstAssignment(noting)
      const commits: number[] = []
      let refusedAt: number | undefined
      // Gaps of ever other lengths, which nothing makes shorter.
      for (let from = 1, step = 2; refusedAt === undefined && from < 400; from += step, step = (step * 7) % 11) {
        const outcome = await engine.commit(done(claim, from)).catch((error: { code?: string }) => error.code)
        if (outcome === 'KAFKA_PROGRESS_SCATTERED') refusedAt = from
        else commits.push(from)
        if (step === 0) step = 3
      }
      expect(refusedAt).toBeDefined()
      await engine.commit(done(claim, 0, refusedAt))
      await engine.commit(done(claim, refusedAt as number))
      await noting.member.leave()
      const again = await joining(engine, { group, topics: [topic] })
      expect((await firstAssignment(again)).progress).toEqual({ next: (refusedAt as number) + 1, done: [] })
      await again.member.leave()
    })
  },
)
