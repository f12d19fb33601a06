import { describe, expect, it } from 'vitest'
import { CommitQueue } from '../committing/index.ts'
import type { CommitOutcome, WriteBatch } from '../engine/index.ts'
import { VirtualClock } from '../kernel/index.ts'
import { Catalog } from './catalog.ts'
import { openForWriting } from './connection.ts'
import { EngineFailedError } from './errors.ts'
import { codeOf } from './file.test-support.ts'
import type { StoreAnswer, StoreRequest } from './store/protocol.ts'
import { errorOf, groupWriterOf, InlineStoreClient, type StoreClient } from './store-client.ts'

/** A writing side that answers when it is told to: a disk as slow, and as broken, as a test needs. */
class SlowClient implements StoreClient {
  readonly #inner: InlineStoreClient
  readonly pool
  readonly #gates: { open(): void; fail(error: Error): void }[] = []
  readonly seen: StoreRequest[] = []
  isFree = false
  isGarbled = false

  constructor(inner: InlineStoreClient) {
    this.#inner = inner
    this.pool = inner.pool
  }

  async request<R extends StoreRequest>(request: R): Promise<StoreAnswer<R>> {
    this.seen.push(request)
    if (!this.isFree) {
      await new Promise<void>((resolve, reject) => this.#gates.push({ open: resolve, fail: reject }))
    }
    const answer = await this.#inner.request(request)
    return this.isGarbled ? (undefined as never) : answer
  }

  get waitingCount(): number {
    return this.#gates.length
  }

  answer(): void {
    this.#gates.shift()?.open()
  }

  fail(error: Error): void {
    this.#gates.shift()?.fail(error)
  }

  free(): void {
    this.isFree = true
    for (const gate of this.#gates.splice(0)) gate.open()
  }

  close(): Promise<void> {
    return this.#inner.close()
  }
}

const bufferBytesMax = 64 * 1024

function setUp(bytesMax = bufferBytesMax) {
  const db = openForWriting(':memory:')
  const client = new SlowClient(new InlineStoreClient(db, ':memory:'))
  const told: string[] = []
  const queue = new CommitQueue({
    writer: groupWriterOf(client),
    catalog: Catalog.read(db),
    clock: new VirtualClock(),
    bufferBytesMax: bytesMax,
    listener: { published: () => undefined, unitCommitted: () => undefined, failed: () => told.push('failed') },
  })
  const ask = <R extends StoreRequest>(request: R): Promise<StoreAnswer<R>> =>
    queue.inOrder(() => client.request(request))
  const stored = (): number[] =>
    db
      .prepare("SELECT json_extract(value, '$.n') AS n FROM state ORDER BY revision, key")
      .all()
      .map((row) => Number(row['n']))
  return { db, client, queue, ask, told, stored }
}

/** One key, so that the order of commits shows in its revisions; `n` says which one came. */
const write = (n: number, bytes = 10): WriteBatch => ({
  state: [{ kind: 'set', namespace: 'n', key: String(n).padStart(6, '0'), value: { n, filling: 'x'.repeat(bytes) } }],
})

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))

describe('the queue of commits', () => {
  it('sends what gathered while the disk was busy as one group', async () => {
    const { client, queue } = setUp()
    const outcomes = [queue.commit(write(1))]
    await turn()
    for (let n = 2; n <= 50; n++) outcomes.push(queue.commit(write(n)))
    await turn()
    for (let n = 51; n <= 99; n++) outcomes.push(queue.commit(write(n)))
    await turn()
    expect(client.seen.length).toBe(2)
    client.free()
    await Promise.all(outcomes)
    expect(client.seen.length).toBe(3)
  })

  it('begins with what is worth a sync while the rest of the turn is still being encoded', async () => {
    const { client, queue } = setUp(16 * 1024 * 1024)
    client.free()
    const outcomes: Promise<CommitOutcome>[] = []
    for (let n = 0; n < 100; n++) outcomes.push(queue.commit(write(n, 4_000)))
    // Nothing has had its turn yet, and the writer has two groups already; the third one gathers.
    expect(client.seen.length).toBe(2)
    await Promise.all(outcomes)
    expect(client.seen.length).toBe(3)
  })

  it('holds back who comes when the buffer is full, and lets all in, in their order', async () => {
    const { client, queue, stored } = setUp()
    const answered: number[] = []
    const outcomes: Promise<CommitOutcome>[] = []
    for (let n = 0; n < 200; n++) {
      const outcome = queue.commit(write(n, 4_000)).then((it) => {
        answered.push(n)
        return it
      })
      outcomes.push(outcome)
    }
    let encodedMost = 0
    while (answered.length < 200) {
      await turn()
      const encoded = client.seen.map((request) => JSON.stringify(request).length)
      encodedMost = Math.max(encodedMost, ...encoded)
      client.answer()
    }
    // Two groups are on their way and one gathers; one commit may overdraw the bound.
    expect(encodedMost).toBeLessThan(bufferBytesMax + 10_000)
    expect(answered).toEqual(Array.from({ length: 200 }, (_, n) => n))
    expect(stored()).toEqual(answered)
    expect((await Promise.all(outcomes)).every(({ ok }) => ok)).toBe(true)
  })

  it('lets nobody overtake who waits, not even from the answer to an earlier commit', async () => {
    const { client, queue } = setUp()
    const order: string[] = []
    const first = queue.commit(write(0, bufferBytesMax)).then(() => {
      const late = queue.commit(write(2)).then(() => order.push('late'))
      return late
    })
    const waiting = queue.commit(write(1)).then(() => order.push('waiting'))
    await turn()
    client.free()
    await Promise.all([first, waiting])
    const keys = client.seen.flatMap((request) =>
      request.kind === 'commit'
        ? request.units.flatMap((unit) => unit.state.map((one) => 'key' in one && one.key))
        : [],
    )
    expect(keys).toEqual(['000000', '000001', '000002'])
    expect(order).toEqual(['waiting', 'late'])
  })

  it('gives up a commit whose signal aborts while it waits, and stores nothing of it', async () => {
    const { client, queue, stored } = setUp()
    const first = queue.commit(write(0, bufferBytesMax))
    const controller = new AbortController()
    const aborted = queue.commit(write(1), controller.signal)
    const last = queue.commit(write(2))
    await turn()
    controller.abort(new EngineFailedError('test', 'enough'))
    await expect(aborted).rejects.toThrow('enough')
    client.free()
    await Promise.all([first, last])
    expect(stored()).toEqual([0, 2])
    // Too late for one that is in: it is answered as if there were no signal.
    const done = new AbortController()
    const in_time = queue.commit(write(3), done.signal)
    done.abort()
    expect((await in_time).ok).toBe(true)
  })

  it('refuses a signal that aborted before', async () => {
    const { queue, client } = setUp()
    client.free()
    await expect(queue.commit(write(1), AbortSignal.abort(new EngineFailedError('t', 'before')))).rejects.toThrow(
      'before',
    )
    expect(client.seen).toEqual([])
  })

  it('finishes what waits when it is closed, then refuses', async () => {
    const { client, queue, stored, ask } = setUp()
    const outcomes = [0, 1, 2, 3].map((n) => queue.commit(write(n, bufferBytesMax)))
    await turn()
    const closing = queue.close()
    expect(await codeOf(queue.commit(write(9)))).toBe('CLOSED')
    expect(await codeOf(ask({ kind: 'checkpoint' }))).toBe('CLOSED')
    client.free()
    await closing
    expect((await Promise.all(outcomes)).length).toBe(4)
    expect(stored()).toEqual([0, 1, 2, 3])
    await queue.close()
  })

  it('sends other requests in order with commits, also with those that wait', async () => {
    const { client, queue, ask } = setUp()
    const commits = [0, 1].map((n) => queue.commit(write(n, bufferBytesMax)))
    const request = ask({ kind: 'register-producer', name: 'p' })
    commits.push(queue.commit(write(2)))
    await turn()
    client.free()
    await Promise.all([...commits, request])
    expect(client.seen.map(({ kind }) => kind)).toEqual(['commit', 'commit', 'register-producer', 'commit'])
  })

  it('is settled when everything from before is answered, whatever comes after', async () => {
    const { client, queue, stored } = setUp()
    const before = [0, 1].map((n) => queue.commit(write(n, bufferBytesMax)))
    const settled = queue.settled().then(() => stored())
    await turn()
    const after = queue.commit(write(2, bufferBytesMax))
    client.free()
    expect((await settled).slice(0, 2)).toEqual([0, 1])
    await Promise.all([...before, after])
  })

  it('refuses everybody after a failure of the disk: in flight, gathering, waiting and to come', async () => {
    const { client, queue, told, ask } = setUp()
    const outcomes = [queue.commit(write(0))]
    await turn()
    outcomes.push(queue.commit(write(1)))
    await turn()
    outcomes.push(queue.commit(write(2, bufferBytesMax)), queue.commit(write(3)), queue.commit(write(4)))
    const request = ask({ kind: 'register-producer', name: 'p' })
    const failure = new EngineFailedError('test.db', 'fdatasync failed')
    client.fail(failure)
    client.fail(failure)
    for (const outcome of [...outcomes, request]) await expect(outcome).rejects.toBe(failure)
    await expect(queue.commit(write(5))).rejects.toBe(failure)
    await expect(ask({ kind: 'checkpoint' })).rejects.toBe(failure)
    expect(queue.failure).toBe(failure)
    expect(told).toEqual(['failed'])
    await queue.settled()
    await queue.close()
  })

  it('goes on after a full disk, which concerns only the group that met it', async () => {
    const { client, queue, stored } = setUp()
    const met = queue.commit(write(0))
    await turn()
    const other = queue.commit(write(1))
    await turn()
    client.fail(errorOf({ cause: 'full', errcode: 13 }, 'test.db'))
    expect(await codeOf(met)).toBe('DISK_FULL')
    client.free()
    await other
    await queue.commit(write(2))
    expect(stored()).toEqual([1, 2])
  })

  it('stops, and leaves nobody waiting, when an answer makes no sense', async () => {
    const { client, queue, told } = setUp()
    client.free()
    client.isGarbled = true
    expect(await codeOf(queue.commit(write(0)))).toBe('INVARIANT_BROKEN')
    expect(await codeOf(queue.commit(write(1)))).toBe('INVARIANT_BROKEN')
    expect(told).toEqual(['failed'])
    await queue.close()
  })

  it('refuses a wrong commit alone', async () => {
    const { client, queue, stored } = setUp()
    client.free()
    const outcomes = [
      codeOf(queue.commit(write(0))),
      codeOf(queue.commit({ state: [{ kind: 'set', namespace: '', key: 'k', value: 1 }] })),
      codeOf(queue.commit({ publish: [{ topic: 'nowhere', records: [{ key: 'k', value: 'v' }] }] })),
      codeOf(queue.commit(write(1))),
    ]
    const [first, empty, unknown, last] = await Promise.all(outcomes)
    expect([empty, unknown]).toEqual(['ARGUMENT_INVALID', 'TOPIC_UNKNOWN'])
    expect([first, last]).toEqual(Array(2).fill({ resolved: expect.objectContaining({ ok: true }) }))
    expect(stored()).toEqual([0, 1])
  })
})
