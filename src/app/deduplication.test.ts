import { describe, expect, it } from 'vitest'
import { z } from 'zod'
import { type EventDefinition, event } from '../message/index.ts'
import { append, fixed, type Handler, on, publish } from '../runtime/index.ts'
import { memoryEngine, messagesOf, numbersByKey, Paid, startHandlers } from './app.test-support.ts'

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
