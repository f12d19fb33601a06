import { describe, expect, it } from 'vitest'
import { embedded } from '../embedded/index.ts'
import type { Capabilities, CommitOutcome, Engine, WriteBatch } from '../engine/index.ts'
import { ClosedError } from '../kernel/index.ts'
import { on, publish, set } from '../runtime/index.ts'
import { memoryEngine, numbersByKey, Paid, Placed, startHandlers } from './app.test-support.ts'
import { app, explain, service } from './index.ts'

const upTo = (count: number): number[] => Array.from({ length: count }, (_, n) => n)

/** An engine that writes progress apart from everything else, and of which one can ask to crash in between. */
function inTwoSteps(engine: Engine, crashes: () => boolean): Engine {
  const capabilities: Capabilities = { ...engine.capabilities, atomic: [['topics', 'state', 'timers'], ['progress']] }
  const commit = async (batch: WriteBatch): Promise<CommitOutcome> => {
    const { progress = [], ...rest } = batch
    if (progress.every(({ done }) => done.length === 0)) return engine.commit(batch)
    const outcome = await engine.commit(rest)
    if (!outcome.ok) return outcome
    if (crashes()) throw new ClosedError('The engine')
    const noted = await engine.commit({ progress })
    return noted.ok ? outcome : noted
  }
  return new Proxy(engine, {
    get: (target, name) => {
      if (name === 'capabilities') return capabilities
      if (name === 'commit') return commit
      const value: unknown = Reflect.get(target, name, target)
      return typeof value === 'function' ? (value.bind(target) as unknown) : value
    },
  })
}

describe('an engine that does not commit progress and state together', () => {
  it('handles again what a crash cut in two, and loses nothing', async () => {
    await using memory = await memoryEngine()
    const count = 30
    let isToCrash = true
    const engine = inTwoSteps(memory, () => {
      const crashes = isToCrash
      isToCrash = false
      return crashes
    })
    const counting = on(Placed, { name: 'count', state: { initial: 0 }, concurrency: 1 }, ({ data }, n) => [
      set(n + 1),
      publish(Paid({ id: data.id, n: data.n })),
    ])
    const [claimed] = explain(app('test', { services: [service('s', [counting])] }), engine).handlers
    expect([claimed?.delivery, claimed?.publications]).toEqual(['at-least-once', 'at-least-once'])
    await memory.topics.ensure('orders', { partitions: 1 })
    await memory.commit({ publish: [{ topic: 'orders', messages: upTo(count).map((n) => Placed({ id: 'k', n })) }] })
    const first = await startHandlers([counting], { engine })
    await expect(first.failed).rejects.toBeInstanceOf(ClosedError)
    await using second = await startHandlers([counting], { engine })
    await second.idle()
    const numbers = (await numbersByKey(memory, 'payments'))['k'] ?? []
    expect([...new Set(numbers)]).toEqual(upTo(count))
    expect(numbers.length).toBeGreaterThan(count)
  })
})

describe('an engine in memory', () => {
  it('forgets what was acknowledged when it is closed', async () => {
    const source = embedded({ path: ':memory:' })
    const engine = await source.open()
    await engine.topics.create('orders', { partitions: 1 })
    expect((await engine.commit({ publish: [{ topic: 'orders', messages: [Placed({ id: 'k', n: 1 })] }] })).ok).toBe(
      true,
    )
    await engine.close()
    await using again = await source.open()
    expect(await again.topics.describe('orders')).toBeUndefined()
  })
})
