import { describe, expect, it } from 'vitest'
import { VirtualClock } from '../kernel/index.ts'
import type { NamedStatement, Row, StatementRunner } from './statements.ts'
import { TopicCatalog } from './topic-catalog.ts'
import { TopicWatch } from './topic-watch.ts'

/** A server with partitions of one topic, which counts what it is asked. */
class FakeServer implements StatementRunner {
  readonly ends = new Map<number, number>([
    [1, 0],
    [2, 0],
  ])
  readonly asked: string[] = []
  catalogVersion = 1
  failure: Error | undefined

  async query({ name }: NamedStatement, values: readonly unknown[]): Promise<readonly Row[]> {
    this.asked.push(name)
    if (this.failure !== undefined) throw this.failure
    if (name === 'millrace_ends') {
      const ids = values[0] as number[]
      return ids.filter((id) => this.ends.has(id)).map((id) => ({ id: `${id}`, next_offset: `${this.ends.get(id)}` }))
    }
    if (values[0] === this.catalogVersion) return [{ catalog_version: `${this.catalogVersion}`, id: null }]
    return [...this.ends].map(([id, end], number) => ({
      catalog_version: `${this.catalogVersion}`,
      id: '1',
      name: 't',
      config: '{}',
      partition_id: `${id}`,
      number,
      start_offset: '0',
      next_offset: `${end}`,
    }))
  }

  get lookCount(): number {
    return this.asked.filter((name) => name === 'millrace_ends').length
  }
}

async function setUp() {
  const server = new FakeServer()
  const clock = new VirtualClock()
  const catalog = new TopicCatalog(server, '"s"')
  await catalog.refresh()
  const watch = new TopicWatch(server, catalog, clock, 1000, '"s"')
  const [one, two] = [catalog.partition('t', 0), catalog.partition('t', 1)]
  return { server, clock, catalog, watch, one, two }
}

describe('waiting for what other processes append', () => {
  it('ends when a look finds it, without any hint', async () => {
    const { server, clock, watch, one } = await setUp()
    let isDone = false
    const waiting = watch.beyond(one, 0, 60_000, undefined).then(() => {
      isDone = true
    })
    await clock.advance(5_000)
    expect(isDone).toBe(false)
    server.ends.set(1, 3)
    await clock.advance(1_000)
    await waiting
    expect(one.latest).toBe(3)
  })

  it('looks at once when there is a hint, and often for a while after it found something', async () => {
    const { server, clock, watch, one } = await setUp()
    const waiting = watch.beyond(one, 0, 60_000, undefined)
    server.ends.set(1, 1)
    watch.hint()
    await waiting
    expect(clock.monotonicMs()).toBe(0)
    const next = watch.beyond(one, 1, 60_000, undefined)
    server.ends.set(1, 2)
    await clock.advance(20)
    await next
    expect(one.latest).toBe(2)
  })

  it('looks ever more rarely while nothing comes, and not at all when nobody waits', async () => {
    const { server, clock, watch, one } = await setUp()
    const waiting = watch.beyond(one, 0, 100_000, undefined)
    await clock.advance(99_000)
    expect(server.lookCount).toBeGreaterThan(90)
    expect(server.lookCount).toBeLessThan(115)
    await clock.advance(2_000)
    await waiting
    const before = server.lookCount
    await clock.advance(60_000)
    expect(server.lookCount).toBe(before)
    expect(clock.pendingTimerCount).toBe(0)
  })

  it('is one statement for all who wait', async () => {
    const { server, clock, watch, one, two } = await setUp()
    const waiting = [one, two, one, two].map((partition) => watch.beyond(partition, 0, 10_000, undefined))
    await clock.advance(1_000)
    expect(server.lookCount).toBe(1)
    await clock.advance(10_000)
    await Promise.all(waiting)
  })

  it('ends without a look when this process commits something itself', async () => {
    const { server, watch, one } = await setUp()
    const waiting = watch.beyond(one, 0, 60_000, undefined)
    one.advance(1)
    await waiting
    expect(server.lookCount).toBe(0)
  })

  it('ends with the reason of an abort', async () => {
    const { clock, watch, one } = await setUp()
    const abort = new AbortController()
    const waiting = watch.beyond(one, 0, 60_000, abort.signal)
    abort.abort(new TypeError('enough'))
    await expect(waiting).rejects.toThrow('enough')
    expect(clock.pendingTimerCount).toBe(0)
  })

  it('ends when the partition is no more', async () => {
    const { server, clock, catalog, watch, one } = await setUp()
    const waiting = watch.beyond(one, 0, 60_000, undefined)
    server.ends.delete(1)
    server.catalogVersion = 2
    await clock.advance(1_000)
    await waiting
    expect(catalog.partitionById(1)).toBeUndefined()
  })

  it('sends everybody to look for themselves when the server gives no answer', async () => {
    const { server, clock, watch, one } = await setUp()
    const waiting = watch.beyond(one, 0, 60_000, undefined)
    server.failure = new TypeError('gone')
    await clock.advance(1_000)
    await waiting
    expect(one.latest).toBe(0)
  })
})

describe('the catalogue', () => {
  it('reads what changed after the call, however many ask, and keeps partitions what they are', async () => {
    const { server, catalog, one } = await setUp()
    const before = server.asked.length
    server.ends.set(3, 7)
    server.catalogVersion = 2
    await Promise.all([catalog.refresh(), catalog.refresh(), catalog.refresh()])
    expect(server.asked.length - before).toBe(2)
    expect(catalog.partition('t', 0)).toBe(one)
    expect(catalog.partition('t', 2).latest).toBe(7)
  })

  it('asks the server before it says that a topic is unknown', async () => {
    const { server, catalog } = await setUp()
    server.ends.set(3, 0)
    server.catalogVersion = 2
    expect((await catalog.resolvePartition('t', 2)).id).toBe(3)
    await expect(catalog.resolvePartition('t', 3)).rejects.toMatchObject({ code: 'PARTITION_UNKNOWN' })
    await expect(catalog.resolveTopic('u')).rejects.toMatchObject({ code: 'TOPIC_UNKNOWN' })
  })
})
