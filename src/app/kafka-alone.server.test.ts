import { describe, expect, it } from 'vitest'
import { z } from 'zod'
import { retireView, view } from '../domain/index.ts'
import type { Engine } from '../engine/index.ts'
import { kafka } from '../kafka/index.ts'
import { freshName } from '../kafka/real-server.test-support.ts'
import { type EventDefinition, event } from '../message/index.ts'
import { serversWanted } from '../postgres/real-server.test-support.ts'
import { fixed, on, publish, schedule, set } from '../runtime/index.ts'
import { clockAhead, messagesOf, numbersByKey, Paid, Placed, startHandlers } from './app.test-support.ts'
import { testCrashLimit } from './crash-limit-cases.test-support.ts'
import { app, service } from './index.ts'
import { kafkaGround } from './kafka-ground.test-support.ts'

const perKey = view('per-key', {
  events: [Placed],
  key: ({ data }) => data.id,
  initial: 0,
  on: { Placed: (count) => count + 1 },
})

/** Without a key, so a repetition may come from any partition. */
const Heard: EventDefinition<'Heard', { readonly n: number }, { readonly n: number }> = event('Heard', {
  topic: 'heard',
  data: z.object({ n: z.number() }),
})

// Skipped because it needs a real server: `npm run test:engines` runs it.
describe.skipIf(!serversWanted)('an app on Kafka alone', { timeout: 60_000 }, () => {
  const ground = kafkaGround()

  it('builds a view that any process reads, and builds it anew', async () => {
    const prefix = `${freshName('view')}.`
    const shop = app('test', { views: [perKey] })
    await using one = await ground.open(prefix)
    await using two = await ground.open(prefix)
    await using running = await shop.start({ engine: one })
    await running.publish(Array.from({ length: 60 }, (_, n) => Placed({ id: `k${n % 6}`, n })))
    await running.idle()
    const counted = Object.fromEntries(Array.from({ length: 6 }, (_, n) => [`k${n}`, 10]))
    const read = async (of: typeof running): Promise<unknown> =>
      Object.fromEntries((await of.view(perKey).range()).map(({ key, value }) => [key, value]))
    expect(await read(running)).toEqual(counted)
    await running.view(perKey).rebuild()
    await running.idle()
    expect(await read(running)).toEqual(counted)
    await using other = await shop.start({ engine: two })
    await other.idle()
    expect(await other.view(perKey).count()).toBe(6)
    expect(await read(other)).toEqual(counted)
  })

  it('retires a view with all that is kept of its copies', async () => {
    const prefix = `${freshName('retired')}.`
    await using one = await ground.open(prefix)
    await using two = await ground.open(prefix)
    {
      await using running = await app('test', { views: [perKey] }).start({ engine: one })
      await running.publish(Array.from({ length: 60 }, (_, n) => Placed({ id: `k${n % 6}`, n })))
      await running.idle()
      await running.view(perKey).rebuild()
      while ((await running.view(perKey).copies.status()).next !== null) await running.idle()
      await expect(retireView(two, { app: 'test', view: 'per-key' })).rejects.toMatchObject({ code: 'VIEW_IN_USE' })
    }
    expect(await retireView(two, { app: 'test', view: 'per-key' })).toEqual(['v1.2', 'v1'])
    // What starts looks once at what was given up, and this copy of the state may be behind.
    await expect.poll(async () => (await one.state.range('dropped-views')).length, { timeout: 20_000 }).toBe(2)
    await using running = await app('test', {}).start({ engine: one, clock: clockAhead() })
    while ((await one.state.range('dropped-views')).length > 0) await running.idle()
    for (const copy of ['v1', 'v1.2']) {
      const group = `test.view:per-key.${copy}`
      expect(await one.groups.describe(group)).toBeUndefined()
      expect(await one.state.count(`view:test.per-key:${copy}`, { group })).toBe(0)
    }
  })

  it('parks keys behind dead letters, and goes on in order when they are redriven', async () => {
    const prefix = `${freshName('dead')}.`
    let isBroken = true
    const handler = on(
      Placed,
      { name: 'h', state: { initial: 0 }, onDeadLetter: 'park-key' },
      ({ data: { id, n } }, count) => {
        if (isBroken && id === 'bad' && n === 2) throw new Error('not yet')
        return [set(count + 1), publish(Paid({ id, n: count }))]
      },
    )
    await using one = await ground.open(prefix)
    await using two = await ground.open(prefix)
    await using first = await startHandlers([handler], { engine: one })
    await using second = await startHandlers([handler], { engine: two })
    for (let n = 0; n < 6; n++) await first.publish([Placed({ id: 'bad', n }), Placed({ id: 'good', n })])
    await first.idle()
    await second.idle()
    expect(await numbersByKey(one, 'payments')).toEqual({ bad: [0, 1], good: [0, 1, 2, 3, 4, 5] })
    expect(await second.deadLetters.count()).toBe(1)
    isBroken = false
    // Whichever process has the partition takes it up.
    expect(await second.deadLetters.redrive('all')).toBe(1)
    await expect
      .poll(async () => (await numbersByKey(one, 'payments'))['bad'], { timeout: 30_000 })
      .toEqual([0, 1, 2, 3, 4, 5])
    await expect.poll(() => first.deadLetters.count(), { timeout: 30_000 }).toBe(0)
  })

  it('counts the attempts at a message on, in whichever process they are made', async () => {
    const prefix = `${freshName('again')}.`
    const attempts: number[] = []
    const handler = on(Placed, { name: 'h', retry: fixed({ delay: '1s', max: 3 }) }, (_placed, ctx) => {
      attempts.push(ctx.attempt)
      throw new Error('not yet')
    })
    await using one = await ground.open(prefix)
    await using two = await ground.open(prefix)
    const first = await startHandlers([handler], { engine: one })
    await first.publish(Placed({ id: 'a', n: 0 }))
    await expect.poll(() => attempts, { timeout: 30_000 }).toEqual([1])
    await first.stop()
    await using second = await startHandlers([handler], { engine: two })
    await expect.poll(() => second.deadLetters.count(), { timeout: 30_000 }).toBe(1)
    expect(attempts).toEqual([1, 2, 3])
    await second.idle()
    expect(await two.state.count('attempts:test.s.h')).toBe(0)
  })

  it('handles a message without a key once, wherever it comes up again', async () => {
    const prefix = `${freshName('dedupe')}.`
    const handler = on(Heard, { name: 'h', dedupe: { window: '1h' } }, ({ data }) =>
      publish(Paid({ id: 'a', n: data.n })),
    )
    await using one = await ground.open(prefix)
    await using two = await ground.open(prefix)
    await using first = await startHandlers([handler], { engine: one })
    await using second = await startHandlers([handler], { engine: two })
    for (let n = 0; n < 5; n++) {
      const messages = [Heard({ n })]
      await one.commit({ publish: [0, 1, 2, 3].map((partition) => ({ topic: 'heard', partition, messages })) })
    }
    await first.idle()
    await second.idle()
    const numbers = (await messagesOf(two, 'payments')).map(({ data }) => data.n)
    expect(numbers.toSorted((a, b) => a - b)).toEqual([0, 1, 2, 3, 4])
  })

  it('keeps its partitions for the process that comes back, where that has a name', async () => {
    const prefix = `${freshName('named')}.`
    const handler = on(Placed, { name: 'h' }, ({ data: { id, n } }) => publish(Paid({ id, n })))
    const named = (): Promise<Engine> => ground.open(prefix, { instanceId: 'worker-1' })
    await using other = await ground.open(prefix)
    const group = 'test.s.h'
    const claimCounts = async (): Promise<readonly number[] | undefined> =>
      (await other.groups.describe(group))?.members.map(({ claims }) => claims.length).toSorted()
    {
      await using engine = await named()
      await using _ = await startHandlers([handler], { engine })
      await using second = await startHandlers([handler], { engine: other })
      await expect.poll(claimCounts, { timeout: 20_000 }).toEqual([2, 2])
      await second.stop()
      await expect.poll(claimCounts, { timeout: 20_000 }).toEqual([4])
    }
    expect(await claimCounts()).toEqual([4])
    await using engine = await named()
    await using running = await startHandlers([handler], { engine })
    await running.publish([Placed({ id: 'a', n: 1 })])
    await running.idle()
    expect(await claimCounts()).toEqual([4])
  })

  testCrashLimit({ open: () => ground.open(`${freshName('crash')}.`) })

  it('does not start with timers, and says what it lacks', async () => {
    const timed = on(Placed, { name: 'h', timers: { late: () => undefined } }, () => schedule('late', { after: '1s' }))
    const shop = app('test', { services: [service('s', [timed])] })
    const engine = kafka({ brokers: ground.brokers(), state: { folder: 'unused' } })
    await expect(shop.start({ engine })).rejects.toMatchObject({
      code: 'ENGINE_LACKS',
      details: { missing: [{ kept: 'timers', neededBy: 's.h' }] },
    })
  })
})
