import type { DatabaseSync } from 'node:sqlite'
import { describe, expect, it } from 'vitest'
import type { Assignment, Claim, CommitOutcome, ReadResult, WriteBatch } from '../engine/index.ts'
import { SeededRandom, VirtualClock } from '../kernel/index.ts'
import type { Message } from '../message/index.ts'
import { openForWriting } from './connection.ts'
import { EmbeddedEngine } from './embedded-engine.ts'
import { codeOf, commit, message, numbered } from './file.test-support.ts'
import { resolveEmbeddedOptions } from './options.ts'
import type { StoreAnswer, StoreRequest } from './store/protocol.ts'
import { InlineStoreClient, type StoreClient } from './store-client.ts'

/** A disk that carries out nothing until it is let. Then it does as it would have done. */
class HeldDisk implements StoreClient {
  readonly pool
  readonly commits: StoreRequest[] = []
  readonly #inner: InlineStoreClient
  readonly #held: (() => void)[] = []
  isHeld = false

  constructor(inner: InlineStoreClient) {
    this.#inner = inner
    this.pool = inner.pool
  }

  async request<R extends StoreRequest>(request: R): Promise<StoreAnswer<R>> {
    if (request.kind === 'commit') this.commits.push(request)
    if (this.isHeld) await new Promise<void>((resolve) => this.#held.push(resolve))
    return this.#inner.request(request)
  }

  /** Lets the first request go that is held. */
  async letOne(): Promise<void> {
    this.#held.shift()?.()
    await turns()
  }

  async letAll(): Promise<void> {
    this.isHeld = false
    while (this.#held.length > 0) await this.letOne()
  }

  close(): Promise<void> {
    return this.#inner.close()
  }
}

interface Ground extends AsyncDisposable {
  readonly engine: EmbeddedEngine
  readonly disk: HeldDisk
  readonly db: DatabaseSync
}

async function ground(): Promise<Ground> {
  const db = openForWriting(':memory:')
  const disk = new HeldDisk(new InlineStoreClient(db, ':memory:'))
  const engine = await EmbeddedEngine.open(
    resolveEmbeddedOptions({ path: ':memory:', maintenanceIntervalMs: 0 }),
    { clock: new VirtualClock(), random: new SeededRandom(7) },
    async () => ({
      reader: db,
      client: disk,
      snapshot: () => ({ db, release: () => undefined }),
      close: () => disk.close(),
    }),
  )
  await engine.topics.create('orders', { partitions: 1 })
  await engine.topics.create('others', { partitions: 1 })
  return {
    engine,
    disk,
    db,
    [Symbol.asyncDispose]: async () => {
      await disk.letAll()
      await engine.close()
    },
  }
}

/** Long enough for what is made in this turn to reach the disk, and for its answer to come back. */
async function turns(): Promise<void> {
  for (let i = 0; i < 5; i++) await new Promise(setImmediate)
}

function published(messages: readonly Message[]): WriteBatch {
  return { publish: [{ topic: 'orders', messages }] }
}

function early(engine: EmbeddedEngine, offset: number, waitMs = 0): Promise<ReadResult> {
  return engine.topics.read({ topic: 'orders', partition: 0, offset, waitMs, early: true })
}

function offsetsOf({ records }: ReadResult): readonly number[] {
  return records.map(({ offset }) => offset)
}

/** A member of a group that owns the partition, and what it was told. */
async function member(engine: EmbeddedEngine): Promise<{ readonly assigned: Assignment[]; readonly lost: Claim[] }> {
  const told = { assigned: [] as Assignment[], lost: [] as Claim[] }
  await engine.groups.join({
    group: 'counters',
    topics: ['orders'],
    onAssigned: (assignments) => told.assigned.push(...assignments),
    onRevoked: () => Promise.resolve(),
    onLost: (claims) => told.lost.push(...claims),
  })
  return told
}

/** What a handler commits that has handled everything up to `to`. */
function handled(claim: Claim, to: number): WriteBatch {
  return {
    state: [{ kind: 'set', namespace: 'count', key: 'all', value: to }],
    progress: [{ claim, done: [{ from: 0, to }] }],
  }
}

/** The database takes no page more. */
function fill(db: DatabaseSync): void {
  db.exec(`PRAGMA max_page_count = ${Number(db.prepare('PRAGMA page_count').get()?.['page_count'])}`)
}

function empty(db: DatabaseSync): void {
  db.exec('PRAGMA max_page_count = 1000000')
}

const large = (): Message => message('Large', 'x'.repeat(100_000))

describe('early reading', () => {
  it.each([
    ['a record that is no message', { topic: 'orders', records: [{ key: null, value: 'raw', timestampMs: 1 }] }],
    ['a message that is not frozen', { topic: 'orders', messages: [structuredClone(message('Tested', 9))] }],
    // The first one has touched the batch by then.
    [
      'what is refused',
      {
        topic: 'orders',
        records: [
          { key: null, value: 'raw' },
          { key: null, value: 'raw', timestampMs: Number.NaN },
        ],
      },
    ],
  ])('keeps what it has answered when %s comes into the same batch', async (_what, write) => {
    await using place = await ground()
    const { engine, disk } = place
    disk.isHeld = true
    const commits = [engine.commit(published(numbered(1)))]
    await turns()
    commits.push(engine.commit(published(numbered(1))))
    await turns()
    // Two are on their way, so this one and what comes after it wait together.
    commits.push(engine.commit(published(numbered(1))))
    expect(offsetsOf(await early(engine, 0))).toEqual([0, 1, 2])
    const joining = codeOf(engine.commit({ publish: [write] }))
    await turns()
    expect(await early(engine, 3)).toMatchObject({ records: [], nextOffset: 3, latest: 3 })
    commits.push(engine.commit(published(numbered(1))))
    await turns()
    const isRefused = 'records' in write && write.records.length > 1
    expect(offsetsOf(await early(engine, 3))).toEqual(isRefused ? [3] : [])
    await disk.letAll()
    await Promise.all(commits)
    expect((await joining) === 'ARGUMENT_INVALID').toBe(isRefused)
    const stored = await engine.topics.read({ topic: 'orders', partition: 0, offset: 0 })
    expect(offsetsOf(stored)).toEqual(isRefused ? [0, 1, 2, 3] : [0, 1, 2, 3, 4])
  })

  it('answers what is on its way to the disk, at the offsets that it gets there', async () => {
    await using place = await ground()
    const { engine, disk } = place
    await commit(engine, published(numbered(2)))
    disk.isHeld = true
    const first = engine.commit(published(numbered(2)))
    await turns()
    const second = engine.commit(published(numbered(1)))
    expect(offsetsOf(await early(engine, 0))).toEqual([0, 1])
    expect(await early(engine, 2)).toMatchObject({ nextOffset: 5, latest: 5 })
    expect(offsetsOf(await early(engine, 3))).toEqual([3, 4])
    expect(await engine.topics.read({ topic: 'orders', partition: 0, offset: 2 })).toMatchObject({
      records: [],
      latest: 2,
    })
    const seen = (await early(engine, 2)).records
    await disk.letAll()
    expect(await first).toMatchObject({ published: [{ offset: 2 }, { offset: 3 }] })
    expect(await second).toMatchObject({ published: [{ offset: 4 }] })
    const stored = await engine.topics.read({ topic: 'orders', partition: 0, offset: 2 })
    expect(stored.records).toEqual(seen)
  })

  it('wakes who waits, before the group of that turn is sent', async () => {
    await using place = await ground()
    const { engine, disk } = place
    const { assigned } = await member(engine)
    const claim = assigned[0]?.claim as Claim
    const before = disk.commits.length
    const reading = early(engine, 0, 60_000).then(({ nextOffset }) => engine.commit(handled(claim, nextOffset)))
    await turns()
    await commit(engine, published(numbered(3)))
    expect(await reading).toMatchObject({ ok: true })
    expect(disk.commits.length - before).toBe(1)
    expect((await engine.groups.describe('counters'))?.lag).toMatchObject([{ next: 3, latest: 3 }])
  })

  it('ends before what may be refused, and goes on once that is decided', async () => {
    await using place = await ground()
    const { engine, disk } = place
    const { producerId, epoch } = await engine.topics.registerProducer('p')
    disk.isHeld = true
    const first = engine.commit(published(numbered(1)))
    const producer = { producerId, epoch, sequence: 7 }
    const refused = codeOf(
      engine.commit({ publish: [{ topic: 'orders', partition: 0, messages: numbered(1), producer }] }),
    )
    const behind = engine.commit(published(numbered(1)))
    expect(await early(engine, 0)).toMatchObject({ nextOffset: 1, latest: 1 })
    await disk.letAll()
    expect([await refused, (await first).ok]).toEqual(['OUT_OF_SEQUENCE', true])
    expect(await behind).toMatchObject({ published: [{ offset: 1 }] })
    expect(offsetsOf(await early(engine, 1))).toEqual([1])
  })

  it('ends before a record that has no message, which is read once it is stored', async () => {
    await using place = await ground()
    const { engine, disk } = place
    disk.isHeld = true
    const raw = { key: 'k', value: Buffer.from('raw'), timestampMs: 1 }
    const answers = [
      engine.commit({ publish: [{ topic: 'orders', records: [raw] }] }),
      engine.commit(published(numbered(1))),
    ]
    expect(await early(engine, 0)).toMatchObject({ records: [], nextOffset: 0, latest: 0 })
    await disk.letAll()
    await Promise.all(answers)
    expect((await early(engine, 0)).nextOffset).toBe(2)
  })

  it('refuses an offset beyond what is on its way, and what is no answer to the question', async () => {
    await using place = await ground()
    const { engine } = place
    expect(await codeOf(early(engine, 1))).toBe('OFFSET_OUT_OF_RANGE')
    const odd = { topic: 'orders', partition: 0, offset: 0, early: 'yes' as unknown as boolean }
    expect(await codeOf(engine.topics.read(odd))).toBe('ARGUMENT_INVALID')
  })

  it('goes on over what handlers publish, and takes it back when their claim is over', async () => {
    await using place = await ground()
    const { engine, disk } = place
    const firstClaims: Claim[] = []
    await engine.groups.join({
      group: 'first',
      topics: ['others'],
      onAssigned: (assignments) => firstClaims.push(...assignments.map(({ claim }) => claim)),
      onRevoked: () => Promise.resolve(),
      onLost: () => undefined,
    })
    const told = await member(engine)
    await commit(engine, {
      publish: [{ topic: 'others', messages: numbered(1) }],
      state: [{ kind: 'set', namespace: 'n', key: 'k', value: 0 }],
    })
    const [claim, next] = [firstClaims[0] as Claim, told.assigned[0]?.claim as Claim]
    const step = (expectedRevision: number): WriteBatch => ({
      publish: [{ topic: 'orders', messages: numbered(1) }],
      state: [{ kind: 'set', namespace: 'n', key: 'k', value: 1, expectedRevision }],
      progress: [{ claim, done: [{ from: 0, to: 1 }] }],
    })
    disk.isHeld = true
    const good = engine.commit(step(1))
    expect(offsetsOf(await early(engine, 0))).toEqual([0])
    const bad = engine.commit(step(7))
    expect(offsetsOf(await early(engine, 1))).toEqual([1])
    const both = engine.commit(handled(next, 2))
    await disk.letAll()
    expect([(await good).ok, (await bad).ok]).toEqual([true, false])
    expect(await both).toEqual({ ok: false, conflict: { kind: 'fenced', claim: next } })
    expect(told.lost).toEqual([next])
  })

  it('lets nobody make progress beyond what was read', async () => {
    await using place = await ground()
    const { engine, disk } = place
    const { assigned } = await member(engine)
    const claim = assigned[0]?.claim as Claim
    disk.isHeld = true
    const answer = engine.commit(published(numbered(2)))
    expect(await codeOf(engine.commit(handled(claim, 1)))).toBe('ARGUMENT_INVALID')
    await early(engine, 0)
    expect(await codeOf(engine.commit(handled(claim, 3)))).toBe('ARGUMENT_INVALID')
    const made = engine.commit(handled(claim, 2))
    await disk.letAll()
    expect([(await answer).ok, (await made).ok]).toEqual([true, true])
  })
})

describe('what was read early and finds no room on the disk', () => {
  it('takes back what rests on it, whoever knew of it, and gives the partition out anew', async () => {
    await using place = await ground()
    const { engine, disk, db } = place
    const told = await member(engine)
    const claim = told.assigned[0]?.claim as Claim
    disk.isHeld = true
    const answer = codeOf(engine.commit(published([large()])))
    await turns()
    expect(offsetsOf(await early(engine, 0))).toEqual([0])
    // On its way before anybody can know.
    const sent = engine.commit(handled(claim, 1))
    const checkpoint = engine.commit({
      progress: [{ claim, done: [] }],
      publish: [{ topic: 'others', messages: numbered(1) }],
    })
    await turns()
    fill(db)
    await disk.letOne()
    empty(db)
    expect(await answer).toBe('DISK_FULL')
    // Made by somebody who has not been told.
    const late = engine.commit(handled(claim, 1))
    await disk.letAll()
    const isFenced: CommitOutcome = { ok: false, conflict: { kind: 'fenced', claim } }
    expect([await sent, await checkpoint, await late]).toEqual([isFenced, isFenced, isFenced])
    expect(told.lost).toEqual([claim])
    expect(await engine.state.get('count', 'all')).toBeUndefined()
    expect((await engine.topics.describe('others'))?.partitions[0]?.latest).toBe(0)
    await turns()
    expect(told.assigned.at(-1)).toMatchObject({ claim: { partition: 0 }, progress: { next: 0, done: [] } })
    const next = told.assigned.at(-1)?.claim as Claim
    expect(next.epoch).toBeGreaterThan(claim.epoch)
    await commit(engine, published(numbered(1)))
    await commit(engine, handled(next, 1))
  })

  it('takes back what rested on what is stored by now, if it could not be told apart any more', async () => {
    await using place = await ground()
    const { engine, disk, db } = place
    const told = await member(engine)
    const claim = told.assigned[0]?.claim as Claim
    disk.isHeld = true
    const first = engine.commit(published(numbered(1)))
    await turns()
    await early(engine, 0)
    const lost = codeOf(engine.commit(published([large()])))
    await turns()
    const made = engine.commit(handled(claim, 1))
    await turns()
    await disk.letOne()
    expect((await first).ok).toBe(true)
    fill(db)
    await disk.letOne()
    empty(db)
    await disk.letAll()
    expect(await lost).toBe('DISK_FULL')
    expect(await made).toEqual({ ok: false, conflict: { kind: 'fenced', claim } })
    expect(told.lost).toEqual([claim])
    await turns()
    await commit(engine, handled(told.assigned.at(-1)?.claim as Claim, 1))
  })

  it('leaves alone who has read another partition, or only what is stored', async () => {
    await using place = await ground()
    const { engine, disk, db } = place
    const told = await member(engine)
    const claim = told.assigned[0]?.claim as Claim
    await commit(engine, published(numbered(1)))
    disk.isHeld = true
    const lost = codeOf(engine.commit({ publish: [{ topic: 'others', messages: [large()] }] }))
    await turns()
    const made = engine.commit(handled(claim, 1))
    await turns()
    fill(db)
    await disk.letOne()
    empty(db)
    await disk.letAll()
    expect([await lost, (await made).ok]).toEqual(['DISK_FULL', true])
    expect(told.lost).toEqual([])
  })

  it('is not found any more, and what is published next takes its offset', async () => {
    await using place = await ground()
    const { engine, disk, db } = place
    disk.isHeld = true
    const answer = codeOf(engine.commit(published([large()])))
    await turns()
    const behind = engine.commit(published(numbered(1, 41)))
    await turns()
    expect(offsetsOf(await early(engine, 0))).toEqual([0, 1])
    fill(db)
    await disk.letOne()
    empty(db)
    await disk.letAll()
    expect(await answer).toBe('DISK_FULL')
    expect(await behind).toMatchObject({ published: [{ offset: 0 }] })
    const { records, latest } = await early(engine, 0)
    expect([records.map((record) => record.kind === 'message' && record.message.data), latest]).toEqual([[41], 1])
  })
})
