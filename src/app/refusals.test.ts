import { describe, expect, it } from 'vitest'
import { DiskFullError, type EmbeddedEngine } from '../embedded/index.ts'
import type { CommitOutcome, WriteBatch } from '../engine/index.ts'
import { SeededRandom, VirtualClock } from '../kernel/index.ts'
import { append, fixed, none, on, publish, schedule, set } from '../runtime/index.ts'
import {
  gate,
  memoryEngine,
  messagesOf,
  numbersByKey,
  Paid,
  Placed,
  Shipped,
  startHandlers,
} from './app.test-support.ts'

/** The engine, but some commits of handlers are refused before they reach it. */
function refusing(engine: EmbeddedEngine, refuse: (batch: WriteBatch) => CommitOutcome | undefined): EmbeddedEngine {
  return new Proxy(engine, {
    get: (target, name) => {
      if (name === 'commit') {
        return async (batch: WriteBatch) => refuse(batch) ?? target.commit(batch)
      }
      const value: unknown = Reflect.get(target, name, target)
      return typeof value === 'function' ? (value.bind(target) as unknown) : value
    },
  })
}

describe('whatever the engine refuses', () => {
  it.each([1, 2, 3, 4])('each message has its effects once, in the order of its key (seed %i)', async (seed) => {
    const random = new SeededRandom(seed)
    const clock = new VirtualClock()
    await using engine = await memoryEngine()
    await engine.topics.ensure('orders', { partitions: 3 })
    let refusals = 0
    const unreliable = refusing(engine, (batch) => {
      if ((batch.progress ?? []).length === 0 || random.nextFloat() > 0.25) return undefined
      refusals++
      if (random.nextFloat() < 0.5) throw new DiskFullError('test')
      const conflict = { kind: 'revision', namespace: 'n', key: 'k', expected: 1, actual: 2 } as const
      return { ok: false, conflict }
    })
    const immediate = on(Placed, { name: 'immediate', state: { initial: 0 } }, (message, state) => [
      set(state + 1),
      publish(Paid({ id: message.data.id, n: state })),
    ])
    const later = on(Placed, { name: 'later', state: { initial: 0 } }, async (message, state) => {
      for (let turn = message.data.n % 3; turn >= 0; turn--) await new Promise((resolve) => setImmediate(resolve))
      return [
        set(state + 1),
        publish(Shipped({ id: message.data.id, n: state })),
        message.data.n % 5 === 0 && append(`s-${message.data.n}`, Paid(message.data), { expected: 'none' }),
      ]
    })
    const running = await startHandlers([immediate, later], { engine: unreliable, clock })
    let published = 0
    for (let round = 0; round < 15; round++) {
      await engine.commit({
        publish: [
          {
            topic: 'orders',
            messages: Array.from({ length: 100 }, () => Placed({ id: `k${published % 13}`, n: published++ })),
          },
        ],
      })
      await clock.advance('200ms')
    }
    let isIdle = false
    const idle = running.idle().then(() => {
      isIdle = true
    })
    while (!isIdle) await clock.advance('200ms')
    await idle
    expect(refusals).toBeGreaterThan(5)
    expect(await running.deadLetters.count()).toBe(0)
    for (const topic of ['payments', 'shipments']) {
      const byKey = await numbersByKey(engine, topic)
      expect(Object.values(byKey).flat()).toHaveLength(published)
      for (const numbers of Object.values(byKey)) expect(numbers).toEqual(numbers.map((_, index) => index))
    }
    await running.stop()
  })

  it('a message that it never takes becomes a dead letter', async () => {
    await using engine = await memoryEngine()
    const picky = refusing(engine, (batch) => {
      const messages = (batch.publish ?? []).flatMap((write) => write.messages ?? [])
      if (messages.some((message) => message.type === 'Paid' && (message.data as { n: number }).n === 7)) {
        throw new TypeError('not this one')
      }
      return undefined
    })
    const pay = on(Placed, { retry: fixed({ delay: 1, max: 2 }) }, (message) => publish(Paid(message.data)))
    await using running = await startHandlers([pay], { engine: picky })
    await running.publish(Array.from({ length: 20 }, (_, n) => Placed({ id: `k${n % 2}`, n })))
    await running.idle()
    expect(await messagesOf(engine, 'payments')).toHaveLength(19)
    expect((await running.deadLetters.list()).map(({ attempts, error }) => [attempts, error.message])).toEqual([
      [2, 'not this one'],
    ])
  })
})

describe('a member that gave no sign of life', () => {
  it('loses its partitions, and what it was doing has no effect', async () => {
    const engineClock = new VirtualClock()
    const stuckClock = new VirtualClock()
    await using engine = await memoryEngine({ clock: engineClock })
    await engine.topics.ensure('orders', { partitions: 1 })
    const began = gate()
    const go = gate()
    const stuck = on(Placed, { concurrency: 1 }, async (message) => {
      began.open()
      await go.opened
      return publish(Shipped(message.data))
    })
    const quick = on(Placed, (message) => [publish(Paid(message.data))])
    const first = await startHandlers([stuck], { engine, clock: stuckClock, stopTimeout: 0 })
    await first.publish(Array.from({ length: 3 }, (_, n) => Placed({ id: `k${n}`, n })))
    await began.opened
    const second = await startHandlers([quick], { engine, clock: engineClock })
    // The first holds the partition, and its clock stands still: no heartbeat.
    while ((await messagesOf(engine, 'payments')).length < 3) await engineClock.advance('1s')
    go.open()
    await second.idle()
    await first.stop()
    expect((await messagesOf(engine, 'payments')).map(({ data }) => data.n)).toHaveLength(3)
    expect(await messagesOf(engine, 'shipments')).toEqual([])
    await second.stop()
  })
})

describe('a backlog of which a part is refused', () => {
  const tooLarge = 'x'.repeat(1_100_000)

  it.each([
    ['each second message', 2],
    ['each tenth message', 10],
    ['all', 1],
  ])('ends in dead letters, and everything else is done: %s', async (_what, every) => {
    await using engine = await memoryEngine()
    const handler = on(Placed, { retry: none }, ({ data: { id, n } }) =>
      publish(Paid({ id: n % every === 0 ? tooLarge : id, n })),
    )
    await using running = await startHandlers([handler], { engine })
    const count = 300
    await running.publish(Array.from({ length: count }, (_, n) => Placed({ id: `k${n}`, n })))
    await running.idle()
    const refused = Math.ceil(count / every)
    expect(await running.deadLetters.count()).toBe(refused)
    expect(await messagesOf(engine, 'payments')).toHaveLength(count - refused)
    // What is right is merged again.
    await running.publish(
      Array.from({ length: 50 }, (_, n) => Placed({ id: `l${n}`, n: n * every + (every > 1 ? 1 : 0) })),
    )
    await running.idle()
    expect(await messagesOf(engine, 'payments')).toHaveLength(count - refused + (every > 1 ? 50 : 0))
  })

  it('is given up by a retry policy that throws, which says what it failed with', async () => {
    await using engine = await memoryEngine()
    const delayMs = (): number => {
      throw new TypeError('no policy')
    }
    const handler = on(Placed, { retry: { description: 'of somebody', delayMs } }, () => {
      throw new Error('no handler')
    })
    await using running = await startHandlers([handler], { engine })
    await running.publish(Placed({ id: 'a', n: 1 }))
    await running.idle()
    const [letter] = await running.deadLetters.list()
    expect(letter).toMatchObject({ attempts: 1, error: { code: 'RETRY_POLICY_FAILED' } })
    expect(letter?.error.message).toMatch(/no policy.*no handler/)
  })

  it.each([[null], ['5'], [Number.POSITIVE_INFINITY], [-1], [{}]])(
    'is given up by a retry policy whose answer is no length of time: %s',
    async (delay) => {
      await using engine = await memoryEngine()
      const retry = { description: 'of somebody', delayMs: () => delay as unknown as number }
      const handler = on(Placed, { retry }, () => {
        throw new Error('refused')
      })
      await using running = await startHandlers([handler], { engine })
      await running.publish(Placed({ id: 'a', n: 1 }))
      await running.idle()
      expect(await running.deadLetters.list()).toMatchObject([{ attempts: 1, error: { message: 'refused' } }])
    },
  )
})

describe('timers', () => {
  it('have their effects once although their commits are refused now and then', async () => {
    const random = new SeededRandom(9)
    const clock = new VirtualClock()
    await using engine = await memoryEngine({ clock })
    const unreliable = refusing(engine, (batch) => {
      const isFiring = (batch.timers ?? []).some((write) => write.kind === 'fire')
      if (!isFiring || random.nextFloat() > 0.4) return undefined
      throw new DiskFullError('test')
    })
    const handler = on(
      Placed,
      {
        state: { initial: 0 },
        timers: { later: (timer, state) => [set(state + 1), publish(Paid({ id: timer.key, n: state }))] },
      },
      () => schedule('later', { after: '1m' }),
    )
    await using running = await startHandlers([handler], { engine: unreliable, clock })
    await running.publish(Array.from({ length: 20 }, (_, n) => Placed({ id: `k${n}`, n })))
    await running.idle()
    while ((await engine.timers.list()).length > 0) await clock.advance('1s')
    await running.idle()
    expect(await numbersByKey(engine, 'payments')).toEqual(
      Object.fromEntries(Array.from({ length: 20 }, (_, n) => [`k${n}`, [0]])),
    )
  })
})
