import { describe, expect, it } from 'vitest'
import type { Assignment, Claim } from '../engine/index.ts'
import { deadLettersOf, type Handler, none, on, publish } from '../runtime/index.ts'
import {
  engineWith,
  gate,
  memoryEngine,
  messagesOf,
  Paid,
  Placed,
  placedCounts,
  startHandlers,
  withCommits,
} from './app.test-support.ts'
import { app } from './index.ts'

const count = 40
const orders = Array.from({ length: count }, (_, n) => Placed({ id: `k${n}`, n }))

/** Fails until it is told not to; then it takes some turns for each message. */
function failing(): { fails: boolean; readonly handler: Handler } {
  const switched = {
    fails: true,
    handler: on(Placed, { retry: none, concurrency: 2 }, async (message) => {
      for (let turn = 0; turn < 3; turn++) await new Promise((resolve) => setImmediate(resolve))
      if (switched.fails) throw new Error('bad')
      return publish(Paid(message.data))
    }),
  }
  return switched
}

describe('an app that is idle', () => {
  it('has nothing to redrive in any of its starts, whoever asked', async () => {
    await using memory = await memoryEngine()
    // Requests are heard of in time without the watch, which may come late.
    const engine = engineWith(memory, 'state', {
      watch: async function* (_namespace, { signal }) {
        await new Promise((resolve) => signal.addEventListener('abort', resolve))
        yield* []
      },
    })
    const switched = failing()
    await using first = await startHandlers([switched.handler], { engine })
    await using second = await startHandlers([switched.handler], { engine })
    await first.publish(orders)
    await second.idle()
    expect(await first.deadLetters.count()).toBe(count)
    switched.fails = false
    // Not through either of them, first one, then the others.
    const deadLetters = deadLettersOf(engine, 'test')
    await deadLetters.redrive((await deadLetters.list())[3]?.id ?? '')
    await second.idle()
    expect(await first.deadLetters.count()).toBe(count - 1)
    expect(await deadLetters.redrive('all')).toBe(count - 1)
    await first.idle()
    expect(await first.deadLetters.count()).toBe(0)
    expect(await messagesOf(memory, 'payments')).toHaveLength(count)
  })

  it('has taken in what a resumed build lacks, however long it takes to begin', async () => {
    await using memory = await memoryEngine()
    let isSlow = false
    const engine = engineWith(memory, 'topics', {
      describe: async (topic) => {
        if (isSlow) await new Promise((resolve) => setTimeout(resolve, 60))
        return memory.topics.describe(topic)
      },
    })
    await using before = await app('shop', { views: [placedCounts(1)] }).start({ engine })
    await before.idle()
    await before.stop()
    const declared = placedCounts(2)
    await using running = await app('shop', { views: [declared] }).start({ engine })
    const { copies } = running.view(declared)
    await copies.pause()
    await running.publish(orders)
    await running.idle()
    isSlow = true
    await copies.resume()
    await running.idle()
    expect((await copies.status()).next).toMatchObject({ eventsBehind: 0, memberCount: 1 })
  })

  it('has nothing to redrive either while partitions move from one of its starts to another', async () => {
    await using memory = await memoryEngine()
    // Who gives partitions back takes its time to say so.
    const engine = engineWith(memory, 'groups', {
      join: (options) =>
        memory.groups.join({
          ...options,
          onRevoked: async (claims) => {
            await options.onRevoked(claims)
            await new Promise((resolve) => setTimeout(resolve, 60))
          },
        }),
    })
    const switched = failing()
    await using first = await startHandlers([switched.handler], { engine })
    await first.publish(orders)
    await first.idle()
    switched.fails = false
    await first.deadLetters.redrive('all')
    const starting = startHandlers([switched.handler], { engine })
    await first.idle()
    expect(await first.deadLetters.count()).toBe(0)
    expect(await messagesOf(memory, 'payments')).toHaveLength(count)
    await (await starting).stop()
  })

  it('has a member for each partition', async () => {
    await using memory = await memoryEngine()
    let isBetween = false
    const engine = engineWith(memory, 'groups', {
      describe: async (group) => {
        const description = await memory.groups.describe(group)
        return description && isBetween ? { ...description, members: [] } : description
      },
    })
    await using running = await startHandlers([failing().handler], { engine })
    await running.idle()
    isBetween = true
    let isIdle = false
    const idle = running.idle().then(() => {
      isIdle = true
    })
    for (let turn = 0; turn < 100; turn++) await new Promise((resolve) => setImmediate(resolve))
    expect(isIdle).toBe(false)
    isBetween = false
    await idle
  })

  it('has been given all partitions, however late they come', async () => {
    await using memory = await memoryEngine()
    const coming: (() => void)[] = []
    const engine = engineWith(memory, 'groups', {
      join: async (options) => {
        const onAssigned = (assignments: readonly Assignment[]): void => {
          for (const one of assignments) coming.unshift(() => options.onAssigned([one]))
        }
        const member = await memory.groups.join({ ...options, onAssigned })
        const claims = (): readonly Claim[] => member.claims.slice(0, -coming.length || undefined)
        return {
          id: member.id,
          heartbeat: () => member.heartbeat(),
          leave: () => member.leave(),
          get claims() {
            return claims()
          },
        }
      },
      // Nothing is known of partitions that nobody has begun on.
      describe: async (group) => {
        const description = await memory.groups.describe(group)
        return description && { ...description, lag: description.lag.slice(0, -coming.length || undefined) }
      },
    })
    await memory.topics.create('orders', { partitions: 4 })
    await memory.commit({ publish: [{ topic: 'orders', messages: orders }] })
    const handler = on(Placed, (message) => publish(Paid(message.data)))
    await using running = await startHandlers([handler], { engine })
    let isIdle = false
    const idle = running.idle().then(() => {
      isIdle = true
    })
    while (coming.length > 0) {
      for (let turn = 0; turn < 100; turn++) await new Promise((resolve) => setImmediate(resolve))
      expect(isIdle, `${coming.length} partitions to come`).toBe(false)
      coming.pop()?.()
    }
    await idle
    expect(await messagesOf(memory, 'payments')).toHaveLength(count)
  })

  it('waits for what another of its starts still handles, and no longer for one that has stopped', async () => {
    await using engine = await memoryEngine()
    const opened = gate()
    const began = gate()
    const handler = on(Placed, async (message) => {
      began.open()
      await opened.opened
      return publish(Paid(message.data))
    })
    await using first = await startHandlers([], { engine })
    const second = await startHandlers([handler], { engine })
    await first.publish(orders[0] as (typeof orders)[number])
    await began.opened
    let isIdle = false
    const idle = first.idle().then(() => {
      isIdle = true
    })
    for (let turn = 0; turn < 20; turn++) await new Promise((resolve) => setImmediate(resolve))
    expect(isIdle).toBe(false)
    opened.open()
    await idle
    expect(await messagesOf(engine, 'payments')).toHaveLength(1)
    await second.stop()
    await first.publish(orders[1] as (typeof orders)[number])
    await first.idle()
    expect(await messagesOf(engine, 'payments')).toHaveLength(1)
  })

  it('is not kept from it by commits whose answers arrive in another order than that in which they were made', async () => {
    await using memory = await memoryEngine()
    // The answer to one commit arrives after that to the next one, where there is one.
    let overtaken: PromiseWithResolvers<void> | undefined
    let overtakenCount = 0
    const engine = withCommits(
      memory,
      () => undefined,
      async ({ progress = [] }) => {
        if (overtaken !== undefined) {
          overtaken.resolve()
          overtaken = undefined
          overtakenCount++
        } else if (progress.length > 0) {
          overtaken = Promise.withResolvers()
          await Promise.race([overtaken.promise, new Promise((resolve) => setTimeout(resolve, 100))])
        }
      },
    )
    await using running = await startHandlers([on(Placed, (message) => publish(Paid(message.data)))], {
      engine,
    })
    const many = Array.from({ length: 6000 }, (_, n) => Placed({ id: `k${n % 100}`, n }))
    await running.publish(many)
    await running.idle()
    expect(overtakenCount).toBeGreaterThan(0)
    expect(await messagesOf(memory, 'payments')).toHaveLength(many.length)
  })
})
