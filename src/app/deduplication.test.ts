import { describe, expect, it } from 'vitest'
import { z } from 'zod'
import { VirtualClock } from '../kernel/index.ts'
import { type EventDefinition, event, type Message } from '../message/index.ts'
import { append, fixed, type Handler, on, publish, set } from '../runtime/index.ts'
import { gate, memoryEngine, messagesOf, numbersByKey, Paid, Placed, startHandlers } from './app.test-support.ts'

/** Without a key, so nothing keeps repetitions apart but deduplication. */
const Heard: EventDefinition<'Heard', { readonly n: number }, { readonly n: number }> = event('Heard', {
  topic: 'heard',
  data: z.object({ n: z.number() }),
})

const dedupe = { window: '1h' } as const

async function turns(count: number): Promise<void> {
  for (let turn = 0; turn < count; turn++) await new Promise((resolve) => setImmediate(resolve))
}

describe('a message that comes up several times at once', () => {
  const merged = on(Heard, { name: 'h', dedupe }, async (message, ctx) => {
    await turns(ctx.partition * 3)
    return publish(Paid({ id: 'a', n: message.data.n }))
  })
  const alone = on(Heard, { name: 'h', dedupe }, async (message, ctx) => {
    await turns(ctx.partition * 3)
    const paid = Paid({ id: 'a', n: message.data.n })
    return [publish(paid), append(`stream-${ctx.offset}`, paid, { expected: 'none' })]
  })

  it.each<[string, Handler]>([
    ['merged', merged],
    ['by itself', alone],
  ])('has its effects once, committed %s, whoever of two starts is faster', async (_how, handler) => {
    await using engine = await memoryEngine()
    await using first = await startHandlers([handler], { engine })
    await using second = await startHandlers([handler], { engine })
    for (let n = 0; n < 10; n++) {
      const messages = Array.from({ length: 3 }, () => Heard({ n })).fill(Heard({ n }))
      const publishes = [0, 1, 2, 3].map((partition) => ({ topic: 'heard', partition, messages }))
      await engine.commit({ publish: publishes })
    }
    await first.idle()
    await second.idle()
    const numbers = (await numbersByKey(engine, 'payments'))['a'] ?? []
    expect(numbers.toSorted((a, b) => a - b)).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9])
    expect(await first.deadLetters.count()).toBe(0)
    expect((await first.lag())[0]?.lagMessages).toBe(0)
  })

  it('makes no dead letter of a repetition that fails', async () => {
    await using engine = await memoryEngine()
    let runs = 0
    const handler = on(Heard, { dedupe, retry: fixed({ delay: 1, max: 2 }) }, async (message) => {
      const run = ++runs
      await turns(run * 2)
      if (run > 1) throw new Error('too late')
      return publish(Paid({ id: 'a', n: message.data.n }))
    })
    await using running = await startHandlers([handler], { engine })
    const message = Heard({ n: 1 })
    await running.publish([message, message, message])
    await running.idle()
    expect(await messagesOf(engine, 'payments')).toHaveLength(1)
    expect(await running.deadLetters.count()).toBe(0)
  })
})

describe('a message that two members handle at the border of two windows', () => {
  /** Each of two starts handles the message of its own partition, in the order and at the times that a test wants. */
  async function atTheBorder(stepsMs: readonly number[], isLone: boolean): Promise<readonly number[]> {
    const windowMs = 3_600_000
    const clock = new VirtualClock(windowMs * 1000 - 1000)
    await using engine = await memoryEngine({ clock })
    await engine.topics.ensure('heard', { partitions: 2 })
    const gates = [gate(), gate()]
    const began = [gate(), gate()]
    const handler = on(Heard, { name: 'h', dedupe: { window: windowMs } }, async (message, { partition }) => {
      began[partition]?.open()
      await gates[partition]?.opened
      const paid = Paid({ id: 'a', n: message.data.n })
      return isLone ? [publish(paid), append(`stream-${partition}`, paid, { expected: 'none' })] : publish(paid)
    })
    await using first = await startHandlers([handler], { engine, clock })
    await using second = await startHandlers([handler], { engine, clock })
    expect((await engine.groups.describe('test.s.h'))?.members.map(({ claims }) => claims.length)).toEqual([1, 1])
    const messages = [Heard({ n: 7 })]
    await engine.commit({ publish: [0, 1].map((partition) => ({ topic: 'heard', partition, messages })) })
    // Both have looked, and neither knows of the other.
    for (const one of began) await one.opened
    for (const [partition, stepMs] of stepsMs.entries()) {
      if (stepMs >= 0) await clock.advance(stepMs)
      else clock.setWallClock(clock.nowMs() + stepMs)
      gates[partition]?.open()
      while ((await engine.groups.describe('test.s.h'))?.lag[partition]?.lagMessages !== 0) await turns(1)
    }
    await Promise.all([first.idle(), second.idle()])
    return (await messagesOf(engine, 'payments')).map(({ data }) => data.n)
  }

  it.each<[string, readonly number[]]>([
    ['the first in one window, the second in the next', [0, 2000]],
    ['both in the next', [2000, 0]],
    ['the second by a clock that was set back', [2000, -4000]],
  ])('has its effects once: %s', async (_case, stepsMs) => {
    expect(await atTheBorder(stepsMs, false)).toEqual([7])
    expect(await atTheBorder(stepsMs, true)).toEqual([7])
  })
})

describe('a message that is given up and comes again', () => {
  const impossibleStream = 's'.repeat(2000)

  it.each<[string, Parameters<typeof on>[1] & object]>([
    ['by itself, as the engine refuses its effects', { onDeadLetter: 'continue' }],
    ['by itself, where its key waits', { onDeadLetter: 'park-key' }],
  ])('is one dead letter, and handled once when it is redriven: %s', async (_how, options) => {
    await using engine = await memoryEngine()
    let isMended = false
    const handler = on(Placed, { name: 'h', dedupe, retry: fixed({ delay: 1, max: 1 }), ...options }, ({ data }) => {
      const paid = Paid(data)
      return data.n === 1 && !isMended ? append(impossibleStream, paid) : publish(paid)
    })
    await using running = await startHandlers([handler], { engine })
    const [poison, next] = [1, 2].map((n) => Placed({ id: 'a', n })) as [Message, Message]
    await running.publish([poison, next, poison])
    await running.idle()
    await running.publish([poison, next])
    await running.idle()
    expect(await running.deadLetters.count()).toBe(1)
    isMended = true
    await running.deadLetters.redrive('all')
    await running.idle()
    const numbers = (await numbersByKey(engine, 'payments'))['a'] ?? []
    expect(numbers.toSorted((one, other) => one - other)).toEqual([1, 2])
    expect(await running.deadLetters.count()).toBe(0)
  })
})

describe('what is remembered', () => {
  it('is forgotten when it is two windows old, and not before it is one', async () => {
    const windowMs = 1000
    const clock = new VirtualClock(1_000_000)
    await using engine = await memoryEngine({ clock })
    const handler = on(Heard, { dedupe: { window: windowMs } }, (message) =>
      publish(Paid({ id: 'a', n: message.data.n })),
    )
    await using running = await startHandlers([handler], { engine, clock })
    const message = Heard({ n: 1 })
    const handled: number[] = []
    for (let round = 0; round < 8; round++) {
      await running.publish([message, Heard({ n: 100 + round })])
      await running.idle()
      handled.push((await messagesOf(engine, 'payments')).filter(({ data }) => data.n === 1).length)
      await clock.advance(500)
    }
    expect(handled).toEqual([1, 1, 1, 1, 2, 2, 2, 2])
    // Buckets that nobody looks at any more are gone.
    expect((await engine.state.namespaces('dedupe:')).length).toBeLessThanOrEqual(4)
  })

  it('may have an id of any length', async () => {
    await using engine = await memoryEngine()
    const handler = on(Heard, { dedupe }, (message) => publish(Paid({ id: 'a', n: message.data.n })))
    await using running = await startHandlers([handler], { engine })
    const one = { ...Heard({ n: 1 }), id: `${'i'.repeat(5000)}1` }
    const other = { ...Heard({ n: 2 }), id: `${'i'.repeat(5000)}2` }
    for (const message of [one, other, one, other]) {
      await running.publish(message)
      await running.idle()
    }
    expect((await messagesOf(engine, 'payments')).map(({ data }) => data.n)).toEqual([1, 2])
  })
})

describe('a group that is set back', () => {
  const counted = (options: { readonly dedupe?: typeof dedupe }): Handler =>
    on(Placed, { name: 'h', state: { initial: 0 }, ...options }, ({ data }, count) => [
      set(count + 1),
      publish(Paid({ id: data.id, n: count + 1 })),
    ])

  it.each<[string, Handler, number[]]>([
    ['repeats all effects, over the state as it is,', counted({}), [1, 2, 3, 4, 5, 6]],
    ['repeats nothing within the window of its deduplication,', counted({ dedupe }), [1, 2, 3]],
  ])('%s and goes on with what is new', async (_what, handler, afterwards) => {
    await using engine = await memoryEngine()
    {
      await using running = await startHandlers([handler], { engine })
      await running.publish([1, 2, 3].map((n) => Placed({ id: 'a', n })))
      await running.idle()
    }
    await engine.groups.reset('test.s.h', 'orders', 'earliest')
    await using running = await startHandlers([handler], { engine })
    await running.idle()
    const paid = async (): Promise<number[]> => (await numbersByKey(engine, 'payments'))['a'] ?? []
    expect(await paid()).toEqual(afterwards)
    await running.publish(Placed({ id: 'a', n: 4 }))
    await running.idle()
    expect(await paid()).toEqual([...afterwards, afterwards.length + 1])
    expect((await engine.state.get('state:test.s.h', 'a'))?.value).toBe(afterwards.length + 1)
    expect(await running.deadLetters.count()).toBe(0)
  })

  it('handles again what the window has let go of', async () => {
    const clock = new VirtualClock()
    await using engine = await memoryEngine({ clock })
    const handler = counted({ dedupe })
    const once = async (expected: number): Promise<void> => {
      await using running = await startHandlers([handler], { engine, clock })
      await running.idle()
      expect((await engine.state.get('state:test.s.h', 'a'))?.value).toBe(expected)
    }
    await engine.topics.ensure('orders')
    await engine.commit({ publish: [{ topic: 'orders', messages: [Placed({ id: 'a', n: 1 })] }] })
    await once(1)
    // Remembered for at least the window, and for no more than two.
    await clock.advance('3h')
    await engine.groups.reset('test.s.h', 'orders', 'earliest')
    await once(2)
  })
})
