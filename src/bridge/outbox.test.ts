import { describe, expect, it } from 'vitest'
import { EngineFailedError } from '../embedded/index.ts'
import type {
  Capabilities,
  CommitOutcome,
  ConsumerGroups,
  Engine,
  JoinOptions,
  Member,
  PublishWrite,
  ReadRequest,
  ReadResult,
  WriteBatch,
} from '../engine/index.ts'
import { channels } from '../telemetry/index.ts'
import {
  dataOf,
  environment,
  eventually,
  grounds,
  join,
  message,
  over,
  publish,
  set,
  staysOpen,
} from './bridge.test-support.ts'
import { BridgedEngine } from './bridged-engine.ts'

describe('the outbox', () => {
  it('brings what was committed beside state to the topic, once, in order, to the partition of its key', async () => {
    await using ground = await grounds()
    await using engine = await ground.both()
    await engine.topics.create('out', { partitions: 3 })
    for (let n = 0; n < 200; n++) {
      const outcome = await engine.commit({ ...set('k', n), ...publish('out', message(n, `key-${n % 7}`)) })
      expect(outcome).toEqual({ ok: true, published: [], appended: [] })
    }
    const found = async (): Promise<unknown[][]> =>
      Promise.all([0, 1, 2].map((partition) => dataOf(ground.topics, 'out', partition)))
    await eventually(async () => (await found()).flat().length >= 200)
    const partitions = await found()
    expect(partitions.flat()).toHaveLength(200)
    for (const numbers of partitions) expect(numbers).toEqual([...numbers].sort((a, b) => Number(a) - Number(b)))
    // The same key, published at once, lands where the outbox brought it.
    const direct = await engine.commit(publish('out', message('direct', 'key-3')))
    const place = partitions.findIndex((numbers) => numbers.includes(3))
    expect(direct.ok && direct.published[0]?.partition).toBe(place)
  })

  it('goes on with a partition that it was given anew before it heard that its earlier claim is over', async () => {
    await using ground = await grounds()
    await ground.topics.topics.create('out', { partitions: 1 })
    let refusedCount = 0
    const commit = (batch: WriteBatch): Promise<CommitOutcome> => {
      const claim = batch.progress?.[0]?.claim
      if (claim === undefined || refusedCount++ > 0) return ground.topics.commit(batch)
      return Promise.resolve({ ok: false, conflict: { kind: 'fenced', claim: { ...claim, epoch: claim.epoch - 1 } } })
    }
    await using engine = await ground.both({ commit })
    await engine.commit({ ...set('k', 1), ...publish('out', message('late')) })
    await eventually(async () => (await dataOf(ground.topics, 'out')).length > 0)
    expect(refusedCount).toBeGreaterThan(1)
  })

  it('takes up what was left when everything stopped, and repeats nothing', async () => {
    await using ground = await grounds()
    await ground.topics.topics.create('out', { partitions: 1 })
    const down = { commit: () => Promise.reject(new Error('down')) }
    {
      await using engine = await ground.both(down)
      for (let n = 0; n < 50; n++) await engine.commit({ ...set('k', n), ...publish('out', message(n)) })
    }
    expect(await dataOf(ground.topics, 'out')).toEqual([])
    for (let turn = 0; turn < 3; turn++) {
      await using engine = await ground.both()
      await eventually(async () => (await dataOf(ground.topics, 'out')).length >= 50)
      expect(engine.name).toBe('embedded+embedded')
    }
    expect(await dataOf(ground.topics, 'out')).toEqual(Array.from({ length: 50 }, (_, n) => n))
  })

  it('repeats nothing when the relay dies between arriving and clearing up', async () => {
    await using ground = await grounds()
    await ground.topics.topics.create('out', { partitions: 1 })
    // A store that cannot clear up keeps everything in the outbox.
    const cluttered = over(ground.store, {
      ...staysOpen,
      topics: over(ground.store.topics as never, { truncate: () => Promise.resolve() } as never) as never,
    })
    const open = (): Promise<Engine> => BridgedEngine.open(over(ground.topics, staysOpen), cluttered, environment)
    for (let turn = 0; turn < 3; turn++) {
      await using engine = await open()
      await engine.commit({ ...set('k', turn), ...publish('out', message(turn)) })
      await eventually(async () => (await dataOf(ground.topics, 'out')).length > turn)
    }
    expect(await dataOf(ground.topics, 'out')).toEqual([0, 1, 2])
    expect((await ground.store.topics.describe('out.outbox'))?.partitions[0]?.earliest).toBe(0)
  })

  it('repeats nothing either when the last mark of the relay before cannot be seen yet', async () => {
    await using ground = await grounds()
    await ground.topics.topics.create('out', { partitions: 1 })
    const cluttered = over(ground.store, {
      ...staysOpen,
      topics: over(ground.store.topics as never, { truncate: () => Promise.resolve() } as never) as never,
    })
    // Committed, but not decided where it is read: that comes with the next commit of this process.
    let hiddenFrom = Number.POSITIVE_INFINITY
    const read = async (request: ReadRequest): Promise<ReadResult> => {
      const page = await ground.topics.topics.read(request)
      if (request.topic !== 'out.outbox' || hiddenFrom === Number.POSITIVE_INFINITY) return page
      const records = page.records.filter(({ offset }) => offset < hiddenFrom)
      return {
        records,
        nextOffset: Math.max(request.offset, Math.min(page.nextOffset, hiddenFrom)),
        latest: hiddenFrom,
      }
    }
    const commit = async (batch: WriteBatch): Promise<CommitOutcome> => {
      const outcome = await ground.topics.commit(batch)
      hiddenFrom = Number.POSITIVE_INFINITY
      return outcome
    }
    const topics = over(ground.topics.topics as never, { read } as never) as never
    const open = (): Promise<Engine> =>
      BridgedEngine.open(over(ground.topics, { ...staysOpen, commit, topics }), cluttered, environment)
    {
      await using engine = await open()
      await engine.commit({ ...set('k', 0), ...publish('out', message(0)) })
      await eventually(async () => (await dataOf(ground.topics, 'out')).length > 0)
    }
    hiddenFrom = ((await ground.topics.topics.describe('out.outbox'))?.partitions[0]?.latest ?? 0) - 1
    await using engine = await open()
    await engine.commit({ ...set('k', 1), ...publish('out', message(1)) })
    await eventually(async () => (await dataOf(ground.topics, 'out')).includes(1))
    expect(await dataOf(ground.topics, 'out')).toEqual([0, 1])
  })

  it('repeats under the same ids what it could not note, in order, and loses nothing', async () => {
    await using ground = await grounds()
    await ground.topics.topics.create('out', { partitions: 1 })
    let crashes = 2
    // Topics that write records one after the other: a crash can come between the messages and the mark.
    const commit = async (batch: WriteBatch): Promise<CommitOutcome> => {
      const { publish: writes = [], progress = [] } = batch
      if (progress.length === 0) return ground.topics.commit(batch)
      const published = []
      for (const write of writes) {
        if (write === writes.at(-1) && crashes-- > 0) throw new TypeError('it is away')
        const outcome = await ground.topics.commit({ publish: [write] })
        if (outcome.ok) published.push(...outcome.published)
      }
      await ground.topics.commit({ progress })
      return { ok: true, published, appended: [] }
    }
    const capabilities: Capabilities = { ...ground.topics.capabilities, atomic: [['topics'], ['progress']] }
    await using engine = await ground.both({ commit, capabilities })
    expect(engine.capabilities.bridge?.delivery).toBe('at-least-once')
    const messages = Array.from({ length: 5 }, (_, n) => message(n))
    for (const one of messages) await engine.commit({ ...set('k', 1), ...publish('out', one) })
    await eventually(async () => (await engine.inTransit?.())?.length === 0)
    const found: string[] = []
    const { records } = await ground.topics.topics.read({ topic: 'out', partition: 0, offset: 0 })
    for (const record of records) if (record.kind === 'message') found.push(record.message.id)
    expect(found.length).toBeGreaterThan(messages.length)
    // Where each came first, they are in order, and no other id is there.
    expect([...new Set(found)]).toEqual(messages.map(({ id }) => id))
  })

  it('tries again for as long as the topics are away, says so, and keeps the order', async () => {
    await using ground = await grounds()
    let isAway = true
    const failures: unknown[] = []
    const listen = (report: { readonly error: unknown }): void => void failures.push(report.error)
    channels.relayFailed.subscribe(listen)
    const commit: Engine['commit'] = (batch, options) =>
      isAway ? Promise.reject(new Error('away')) : ground.topics.commit(batch, options)
    await using engine = await ground.both({ commit })
    await engine.topics.create('out', { partitions: 1 })
    for (let n = 0; n < 20; n++) await engine.commit({ ...set('k', n), ...publish('out', message(n)) })
    await eventually(() => failures.length >= 2)
    isAway = false
    await eventually(async () => (await dataOf(ground.topics, 'out')).length >= 20)
    expect(await dataOf(ground.topics, 'out')).toEqual(Array.from({ length: 20 }, (_, n) => n))
    channels.relayFailed.unsubscribe(listen)
  })

  it('is not filled any more once the topics have failed for good', async () => {
    await using ground = await grounds()
    const failure = new EngineFailedError('topics.db', 'disk I/O error')
    const commit: Engine['commit'] = () => Promise.reject(failure)
    await using engine = await ground.both({ commit })
    await engine.topics.create('out', { partitions: 1 })
    await engine.commit({ ...set('k', 0), ...publish('out', message(0)) })
    const put = (n: number): Promise<unknown> =>
      engine.commit({ ...set('k', n), ...publish('out', message(n)) }).catch((error: unknown) => error)
    await eventually(async () => (await put(1)) === failure)
    // Whoever waits for what is on its way is told that it will not arrive.
    await expect(engine.inTransit?.()).rejects.toBe(failure)
    const [{ from, to } = { from: 0, to: 0 }] =
      (await ground.store.topics.describe('out.outbox'))?.partitions.map(({ earliest, latest }) => ({
        from: earliest,
        to: latest,
      })) ?? []
    expect(to - from).toBeGreaterThan(0)
    // What needs no topics goes on.
    expect(await engine.commit(set('k', 2))).toMatchObject({ ok: true })
  })

  it('is carried on by a relay that was put out of its group, once it is let in again', async () => {
    await using ground = await grounds()
    const failures: unknown[] = []
    const listen = (report: { readonly error: unknown }): void => void failures.push(report.error)
    channels.relayFailed.subscribe(listen)
    const joined: { readonly member: Member; readonly options: JoinOptions }[] = []
    const { groups } = ground.topics
    const join: ConsumerGroups['join'] = async (options) => {
      if (joined.length === 1 && failures.length < 2) throw new Error('kept out')
      const member = await groups.join(options)
      joined.push({ member, options })
      return member
    }
    const groupsOf = new Proxy(groups, {
      get: (target, name) => (name === 'join' ? join : (Reflect.get(target, name) as () => unknown).bind(target)),
    })
    await using engine = await ground.both({ groups: groupsOf })
    await engine.topics.create('out', { partitions: 1 })
    await engine.commit({ ...set('k', 0), ...publish('out', message(0)) })
    await eventually(async () => (await dataOf(ground.topics, 'out')).length >= 1)
    const [first] = joined
    await first?.member.leave()
    first?.options.onFailed?.(new Error('put out'))
    await engine.commit({ ...set('k', 1), ...publish('out', message(1)) })
    await eventually(async () => (await dataOf(ground.topics, 'out')).length >= 2)
    expect(await dataOf(ground.topics, 'out')).toEqual([0, 1])
    expect(failures.map(String)).toEqual(['Error: put out', 'Error: kept out'])
    expect(joined).toHaveLength(2)
    channels.relayFailed.unsubscribe(listen)
  })

  it('carries tombstones, foreign bytes and keys that are no partition key as they are', async () => {
    await using ground = await grounds()
    await using engine = await ground.both()
    await engine.topics.create('out', { partitions: 1 })
    // An event without data, which deletes its key where the topic compacts: it does not get an empty value.
    const withoutData = Object.entries({ ce_specversion: '1.0', ce_type: 'Left', ce_source: '/s', ce_id: '1', x: 'y' })
    const records = [
      { key: 'k', value: null, headers: [['h', 'x']] as const, timestampMs: 5 },
      { key: null, value: 'no message', timestampMs: 6 },
      { key: Uint8Array.of(255, 0), value: Uint8Array.of(1, 2, 255), timestampMs: 7 },
      { key: 'k', value: null, headers: withoutData, timestampMs: 8 },
    ]
    await engine.commit({ ...set('k', 1), publish: [{ topic: 'out', records }] })
    await eventually(async () => (await dataOf(ground.topics, 'out')).length >= 4)
    const { records: found } = await ground.topics.topics.read({ topic: 'out', partition: 0, offset: 0 })
    expect(found.map(({ kind, key, timestampMs }) => [kind, key, timestampMs])).toEqual([
      ['tombstone', 'k', 5],
      ['undecodable', null, 6],
      ['undecodable', Uint8Array.of(255, 0), 7],
      ['tombstone', 'k', 8],
    ])
    expect(found[0]).toMatchObject({ headers: [['h', Uint8Array.from(Buffer.from('x'))]] })
    expect(found[2]).toMatchObject({ value: Uint8Array.of(1, 2, 255) })
    expect(found[3]).toMatchObject({ headers: { length: withoutData.length }, message: { type: 'Left' } })
  })

  it('follows its topic when that gets more partitions, and goes with it', async () => {
    await using ground = await grounds()
    await using engine = await ground.both()
    await engine.topics.create('out', { partitions: 1 })
    await engine.commit({ ...set('k', 0), ...publish('out', message(0, 'a')) })
    await engine.topics.alter('out', { partitions: 5 })
    await engine.commit({ ...set('k', 1), publish: [{ topic: 'out', partition: 4, messages: [message(1, 'a')] }] })
    await eventually(async () => (await dataOf(ground.topics, 'out', 4)).length === 1)
    expect((await engine.topics.list()).map(({ name }) => name)).toEqual(['out'])
    await engine.topics.delete('out')
    expect(await ground.store.topics.list()).toEqual([])
    expect(await ground.topics.topics.list()).toEqual([])
  })

  it('refuses at once what the topic would refuse later', async () => {
    await using ground = await grounds()
    await using engine = await ground.both()
    await engine.topics.create('compacted', { cleanup: 'compact', partitions: 1, recordBytesMax: 1024 })
    const commit = (write: PublishWrite): Promise<unknown> => engine.commit({ ...set('k', 1), publish: [write] })
    const topic = 'compacted'
    await expect(commit({ topic, messages: [message(1)] })).rejects.toMatchObject({ code: 'COMPACTED_WITHOUT_KEY' })
    await expect(commit({ topic, partition: 9, messages: [message(1, 'k')] })).rejects.toMatchObject({
      code: 'PARTITION_UNKNOWN',
    })
    await expect(commit({ topic: 'nowhere', messages: [message(1)] })).rejects.toMatchObject({ code: 'TOPIC_UNKNOWN' })
    await expect(commit({ topic, messages: [message('x'.repeat(2000), 'k')] })).rejects.toMatchObject({
      code: 'RECORD_TOO_LARGE',
    })
    const producer = { ...(await engine.topics.registerProducer('p')), sequence: 0 }
    await expect(commit({ topic, partition: 0, messages: [message(1, 'k')], producer })).rejects.toMatchObject({
      code: 'SEQUENCE_ACROSS_ENGINES',
    })
    expect(await engine.state.count('n')).toBe(0)
  })

  it('counts as lag what has not arrived', async () => {
    await using ground = await grounds()
    let isAway = false
    const commit: Engine['commit'] = (batch, options) =>
      isAway ? Promise.reject(new Error('away')) : ground.topics.commit(batch, options)
    await using engine = await ground.both({ commit })
    await engine.topics.create('in', { partitions: 1 })
    const { member } = await join(engine)
    isAway = true
    for (let n = 0; n < 3; n++) await engine.commit({ ...set('k', n), ...publish('in', message(n)) })
    expect((await engine.groups.describe('g'))?.lag[0]).toMatchObject({ latest: 0, lagMessages: 3 })
    isAway = false
    await eventually(async () => (await engine.groups.describe('g'))?.lag[0]?.latest === 3)
    expect((await engine.groups.describe('g'))?.lag[0]).toMatchObject({ latest: 3, lagMessages: 3 })
    await member.leave()
  })
})
