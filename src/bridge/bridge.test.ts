// Long because the cases of outbox, relay and progress share engines whose parts can be replaced.
import { describe, expect, it } from 'vitest'
import { embedded } from '../embedded/index.ts'
import type {
  Assignment,
  Capabilities,
  Claim,
  CommitOutcome,
  Engine,
  JoinOptions,
  Member,
  PublishWrite,
  ReadRequest,
  ReadResult,
  WriteBatch,
} from '../engine/index.ts'
import { SeededRandom, systemClock, uuidv7 } from '../kernel/index.ts'
import type { Message } from '../message/index.ts'
import { channels } from '../telemetry/index.ts'
import { BridgedEngine } from './bridged-engine.ts'
import { deployment } from './index.ts'

const random = new SeededRandom(7)
const nextId = uuidv7(systemClock, random)
const environment = { clock: systemClock, random }

function message(data: unknown, key?: string): Message {
  return Object.freeze({
    specversion: '1.0',
    id: nextId(),
    source: '/test',
    type: 'T',
    time: '2026-01-01T00:00:00.000Z',
    datacontenttype: 'application/json',
    dataversion: 1,
    data,
    ...(key !== undefined && { partitionkey: key }),
  })
}

function memory(): Promise<Engine> {
  return embedded({ path: ':memory:' }).open(environment)
}

/** An engine in which some calls go elsewhere; `close` may be left out. */
function over(engine: Engine, replaced: Partial<Engine>): Engine {
  return new Proxy(engine, {
    get: (target, name) => {
      const value: unknown = Reflect.get(Object.hasOwn(replaced, name) ? replaced : target, name)
      return typeof value === 'function' ? (value.bind(target) as unknown) : value
    },
  })
}

const staysOpen = { close: () => Promise.resolve() }

/** Two engines that outlive what is composed of them. */
async function grounds(): Promise<
  { topics: Engine; store: Engine; both: (with_?: Partial<Engine>) => Promise<Engine> } & AsyncDisposable
> {
  const topics = await memory()
  const store = await memory()
  return {
    topics,
    store,
    both: (replaced = {}) =>
      BridgedEngine.open(over(topics, { ...staysOpen, ...replaced }), over(store, staysOpen), environment),
    [Symbol.asyncDispose]: async () => {
      await topics.close()
      await store.close()
    },
  }
}

async function dataOf(engine: Engine, topic: string, partition = 0): Promise<unknown[]> {
  const found: unknown[] = []
  for (let offset = 0; ; ) {
    const { records, nextOffset, latest } = await engine.topics.read({ topic, partition, offset })
    for (const record of records) found.push(record.kind === 'message' ? record.message.data : record.kind)
    offset = nextOffset
    if (offset >= latest) return found
  }
}

async function eventually(holds: () => boolean | Promise<boolean>): Promise<void> {
  const giveUpMs = systemClock.monotonicMs() + 10_000
  while (!(await holds())) {
    if (systemClock.monotonicMs() > giveUpMs) throw new Error('did not come about')
    await new Promise((resolve) => setTimeout(resolve, 2))
  }
}

/** Joins and waits for the one claim. */
async function join(engine: Engine, over: Partial<JoinOptions> = {}): Promise<{ member: Member; got: Assignment }> {
  const { promise, resolve } = Promise.withResolvers<Assignment>()
  const member = await engine.groups.join({
    group: 'g',
    topics: ['in'],
    onAssigned: ([one]) => resolve(one as Assignment),
    onRevoked: () => Promise.resolve(),
    onLost: () => undefined,
    ...over,
  })
  return { member, got: await promise }
}

function set(key: string, value: number): { state: [{ kind: 'set'; namespace: string; key: string; value: number }] } {
  return { state: [{ kind: 'set', namespace: 'n', key, value }] }
}

function publish(topic: string, ...messages: readonly Message[]): { publish: [PublishWrite] } {
  return { publish: [{ topic, messages }] }
}

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
    await eventually(async () => (await engine.isSettled?.()) === true)
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

  it('carries tombstones, foreign bytes and keys that are no partition key as they are', async () => {
    await using ground = await grounds()
    await using engine = await ground.both()
    await engine.topics.create('out', { partitions: 1 })
    const records = [
      { key: 'k', value: null, headers: [['h', 'x']] as const, timestampMs: 5 },
      { key: null, value: 'no message', timestampMs: 6 },
      { key: Uint8Array.of(255, 0), value: Uint8Array.of(1, 2, 255), timestampMs: 7 },
    ]
    await engine.commit({ ...set('k', 1), publish: [{ topic: 'out', records }] })
    await eventually(async () => (await dataOf(ground.topics, 'out')).length >= 3)
    const { records: found } = await ground.topics.topics.read({ topic: 'out', partition: 0, offset: 0 })
    expect(found.map(({ kind, key, timestampMs }) => [kind, key, timestampMs])).toEqual([
      ['tombstone', 'k', 5],
      ['undecodable', null, 6],
      ['undecodable', Uint8Array.of(255, 0), 7],
    ])
    expect(found[0]).toMatchObject({ headers: [['h', Uint8Array.from(Buffer.from('x'))]] })
    expect(found[2]).toMatchObject({ value: Uint8Array.of(1, 2, 255) })
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

describe('progress in another engine', () => {
  it('refuses the commits of an owner that was replaced, whatever the topics say', async () => {
    await using ground = await grounds()
    await using one = await ground.both()
    await one.topics.create('in', { partitions: 1 })
    await one.commit(publish('in', ...Array.from({ length: 10 }, (_, n) => message(n))))
    const { got: first } = await join(one)
    // Another process took over without the first one hearing of it: its engine of the topics is the same claim's.
    await using other = await ground.both({ groups: over(ground.topics.groups as never, twoOwners(first)) as never })
    const { got: second } = await join(other)
    expect(second.progress.next).toBe(0)
    const done = (
      claim: Claim,
      to: number,
    ): { progress: [{ claim: Claim; done: [{ from: number; to: number }] }] } => ({
      progress: [{ claim, done: [{ from: 0, to }] }],
    })
    const late = await one.commit({ ...set('zombie', 1), ...done(first.claim, 5) })
    expect(late).toEqual({ ok: false, conflict: { kind: 'fenced', group: 'g', topic: 'in', partition: 0 } })
    expect(await one.state.get('n', 'zombie')).toBeUndefined()
    expect(await other.commit({ ...set('owner', 1), ...done(second.claim, 3) })).toMatchObject({ ok: true })
    expect((await other.groups.describe('g'))?.lag[0]).toMatchObject({ next: 3, lagMessages: 7 })
  })

  it('keeps thousands of commits in few keys, and a refused one takes nothing along', async () => {
    await using ground = await grounds()
    await using engine = await ground.both()
    await engine.topics.create('in', { partitions: 1 })
    await engine.commit(publish('in', ...Array.from({ length: 2000 }, (_, n) => message(n))))
    const { got, member } = await join(engine)
    const outcomes = await Promise.all(
      Array.from({ length: 2000 }, (_, n) =>
        engine.commit({
          progress: [{ claim: got.claim, done: [{ from: n, to: n + 1 }] }],
          // Every hundredth expects what is not there.
          ...(n % 100 === 50 && { state: [{ kind: 'set', namespace: 'n', key: 'x', value: n, expectedRevision: 9 }] }),
        }),
      ),
    )
    expect(outcomes.filter(({ ok }) => !ok)).toHaveLength(20)
    expect((await engine.groups.describe('g'))?.lag[0]).toMatchObject({ next: 50, lagMessages: 20 })
    for (let n = 0; n < 300; n++) {
      await engine.commit({ progress: [{ claim: got.claim, done: [{ from: n * 2, to: n * 2 + 1 }] }] })
    }
    await member.leave()
    const { got: again, member: next } = await join(engine)
    expect(again.progress.next).toBe(650)
    expect(await engine.state.count('progress:g')).toBeLessThan(300)
    await next.leave()
  })
})

describe('deployment()', () => {
  it('reports all that is wrong with its parts together', async () => {
    expect(() => deployment({ topics: 1, queues: 2 } as never)).toThrow(
      /topics.*is no engine[\s\S]*store.*is no engine[\s\S]*queues/,
    )
    const one = embedded({ path: ':memory:' })
    expect(() => deployment({ topics: one, store: one })).toThrow(/start the app on that engine alone/)
  })

  it('closes the engine that it opened when the other one cannot be opened', async () => {
    let isClosed = false
    const close = (): Promise<void> => {
      isClosed = true
      return Promise.resolve()
    }
    const topics = {
      ...embedded({ path: ':memory:' }),
      open: async () => over(await memory(), { close }),
    }
    const store = { ...embedded({ path: ':memory:' }), open: () => Promise.reject(new Error('no store')) }
    await expect(deployment({ topics, store }).open()).rejects.toThrow('no store')
    expect(isClosed).toBe(true)
  })
})

/** Groups of an engine that give a claim to a second owner, with the next epoch, and tell the first one nothing. */
function twoOwners({ claim, progress }: Assignment): object {
  const join = (options: JoinOptions): Promise<Member> => {
    if (options.group !== claim.group) return Promise.resolve(nobody)
    queueMicrotask(() => options.onAssigned([{ claim: { ...claim, epoch: claim.epoch + 1 }, progress }]))
    return Promise.resolve(nobody)
  }
  return { join }
}

const nobody: Member = { id: 'nobody', claims: [], heartbeat: () => undefined, leave: () => Promise.resolve() }
