import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { KafkaConnection } from '../../scripts/servers/index.ts'
import type { Engine } from '../engine/index.ts'
import { SeededRandom, sleep, systemClock } from '../kernel/index.ts'
import { TcpProxy } from '../kernel/tcp-proxy.test-support.ts'
import { type KafkaOptions, kafka } from './index.ts'
import {
  eventually,
  freshName,
  joining,
  serversWanted,
  sharedServer,
  texts,
  valuesOf,
} from './real-server.test-support.ts'

// Skipped because it needs a real server: `npm run test:engines` runs it.
describe.skipIf(!serversWanted)('what comes between a program and its brokers', { timeout: 120_000 }, () => {
  let server: KafkaConnection
  let proxy: TcpProxy
  const folder = mkdtempSync(join(tmpdir(), 'millrace-connections-'))
  beforeAll(async () => {
    server = await sharedServer()
    const [proxied] = server.proxied
    if (proxied === undefined) throw new Error('no broker can be reached through a proxy')
    proxy = await TcpProxy.to(proxied.upstreamPort, proxied.port)
  }, 600_000)
  afterAll(async () => {
    await proxy?.[Symbol.asyncDispose]()
    rmSync(folder, { recursive: true, force: true })
  })

  const throughProxy = (options: Partial<KafkaOptions>): KafkaOptions => ({
    brokers: server.proxied.map(({ port }) => `127.0.0.1:${port}`),
    ...options,
  })

  describe('a connection that stays open and brings nothing any more', () => {
    it('is replaced by another one before a call gives up', async () => {
      await using engine = await kafka(throughProxy({ requestTimeoutMs: 2000, callTimeoutMs: 60_000 })).open()
      const topic = freshName('t')
      await engine.topics.create(topic, { partitions: 2 })
      const publish = [0, 1].map((partition) => ({ topic, partition, records: texts('x') }))
      await engine.commit({ publish })
      await engine.topics.read({ topic, partition: 0, offset: 0 })
      const connectionCount = proxy.connectionCount
      proxy.silence()
      expect((await engine.topics.describe(topic))?.partitions).toHaveLength(2)
      // The others went the same way: they are not found out one by one.
      expect(connectionCount).toBeGreaterThan(2)
      await eventually('all are closed', () => proxy.connectionCount <= connectionCount - 2)
    })

    it('ends no program that runs, only what is administered in it', async () => {
      await using direct = await kafka({ brokers: server.bootstrapBrokers }).open()
      const [read, written] = [freshName('read'), freshName('written')]
      for (const topic of [read, written]) await direct.topics.create(topic, { partitions: 1 })
      await direct.commit({ publish: [{ topic: read, records: texts('x') }] })
      // So one request without an answer takes longer than a call may.
      const patience = { requestTimeoutMs: 6000, callTimeoutMs: 5000 }
      const state = { folder, topic: freshName('state') }
      await using engine = await kafka(throughProxy({ ...patience, state })).open()
      proxy.silence()
      // None of these has been asked for before, so the brokers have to be asked first.
      const running = Promise.all([
        engine.state.get('n', 'k', { group: freshName('group') }),
        engine.topics.read({ topic: read, partition: 0, offset: 0 }),
        engine.commit({ publish: [{ topic: written, partition: 0, records: texts('y') }] }),
      ])
      await expect(engine.topics.describe(read)).rejects.toMatchObject({ code: 'KAFKA_UNREACHABLE' })
      const [entry, page, outcome] = await running
      expect([entry, page.records.length, outcome.ok]).toEqual([undefined, 1, true])
    })
  })

  it('may lose the answer to a commit, which is not made twice, whoever writes shared state by then', async () => {
    const [topic, changelog] = [freshName('t'), freshName('state')]
    const stateOf = (name: string): Partial<KafkaOptions> => ({
      state: { folder: join(folder, name), topic: changelog },
    })
    await using other = await kafka({ brokers: server.bootstrapBrokers, ...stateOf('other') }).open()
    await using cut = await kafka(throughProxy(stateOf('cut'))).open()
    await other.topics.create(topic, { partitions: 1 })
    const values = Array.from({ length: 60 }, (_, n) => String(n))
    const random = new SeededRandom(1)
    for (const value of values) {
      // It asks for something of shared state, and changes nothing.
      const state = [{ kind: 'delete', namespace: 'n', key: 'absent' }] as const
      const committed = cut.commit({ publish: [{ topic, records: texts(value) }], state })
      await sleep(random.nextFloat() * 30, systemClock)
      // What is on its way is done, and nobody is told.
      proxy.swallowAnswers()
      await sleep(10, systemClock)
      proxy.cut()
      await other.commit({ state: [{ kind: 'set', namespace: 'n', key: 'k', value }] })
      expect((await committed).ok).toBe(true)
    }
    // Others see it once the brokers have marked the end of its transaction.
    await expect.poll(() => valuesOf(other, topic), { timeout: 10_000 }).toEqual(values)
  })

  describe.each(['consumer', 'classic'] as const)('slow answers, in the %s group protocol', (groupProtocol) => {
    it('let nobody take a partition that its owner has only just been told of', async () => {
      const options = { groupProtocol, heartbeatIntervalMs: 100 }
      await using quick = await kafka({ brokers: server.bootstrapBrokers, ...options }).open()
      await using slow = await kafka(throughProxy(options)).open()
      const [topic, group] = [freshName('t'), freshName('group')]
      await quick.topics.create(topic, { partitions: 4 })
      const owners = new Map<number, string[]>()
      const twice: string[] = []
      const member = (engine: Engine, name: string): Promise<unknown> =>
        joining(engine, {
          group,
          topics: [topic],
          onAssigned: (assignments) => {
            for (const { claim } of assignments) {
              const all = [...(owners.get(claim.partition) ?? []), name]
              owners.set(claim.partition, all)
              if (all.length > 1) twice.push(`${claim.partition}: ${all.join()}`)
            }
          },
          onRevoked: async (claims) => {
            for (const { partition } of claims)
              owners.set(partition, owners.get(partition)?.filter((one) => one !== name) ?? [])
          },
        })
      proxy.delay(300)
      await member(slow, 'slow')
      // It was told what it shall have, and still asks from where on.
      await member(quick, 'quick')
      const sharesOf = (name: string): number => [...owners.values()].filter(([owner]) => owner === name).length
      await eventually('both have their share', () => sharesOf('slow') === 2 && sharesOf('quick') === 2)
      proxy.delay(0)
      expect(twice).toEqual([])
    })
  })
})
