import { describe, expect, it } from 'vitest'
import { message } from '../embedded/file.test-support.ts'
import { embedded } from '../embedded/index.ts'
import type { EngineSource } from '../engine/index.ts'
import { kafka } from '../kafka/index.ts'
import { memory, over } from './bridge.test-support.ts'
import { deployment } from './index.ts'

describe('deployment()', () => {
  it('reports all that is wrong with its parts together', async () => {
    expect(() => deployment({ topics: 1, queues: 2 } as never)).toThrow(
      /topics.*is no engine[\s\S]*store.*is no engine[\s\S]*queues/,
    )
    const one = embedded({ path: ':memory:' })
    expect(() => deployment({ topics: one, store: one })).toThrow(/start the app on that engine alone/)
  })

  it('refuses a store whose state goes with partitions, which are those of another engine here', async () => {
    const topics = embedded({ path: ':memory:' })
    const store = kafka({ brokers: ['localhost:9092'], state: { folder: 'copies' } })
    expect(() => deployment({ topics, store })).toThrow(
      /store \(kafka\) keeps state with the partitions of its own topics[\s\S]*start the app on kafka alone/,
    )
    const { capabilities } = deployment({ topics: store, store: topics })
    expect(capabilities.ownedState).toBeUndefined()
  })

  it('answers no early read before its record is acknowledged: nothing ties the two engines together', async () => {
    const source = deployment({ topics: embedded({ path: ':memory:' }), store: embedded({ path: ':memory:' }) })
    expect(source.capabilities.topics.early).toBeUndefined()
    await using engine = await source.open()
    await engine.topics.create('orders', { partitions: 1 })
    const answer = engine.commit({ publish: [{ topic: 'orders', messages: [message('Placed')] }] })
    const early = await engine.topics.read({ topic: 'orders', partition: 0, offset: 0, early: true })
    expect([early.records, early.latest]).toEqual([[], 0])
    expect((await answer).ok).toBe(true)
  })

  it('refuses topics that are a deployment, and takes no deployment as a store', () => {
    const one = (): EngineSource => embedded({ path: ':memory:' })
    const two = deployment({ topics: one(), store: one() })
    expect(() => deployment({ topics: two, store: one() })).toThrow(
      /topics \(embedded\+embedded\) is a deployment itself/,
    )
    expect(() => deployment({ topics: one(), store: two })).toThrow(/which an outbox needs/)
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
