import { setImmediate } from 'node:timers/promises'
import { describe, expect, it } from 'vitest'
import { z } from 'zod'
import { event, upcastFrom } from '../message/index.ts'
import {
  type Handler,
  on,
  publish,
  type TopicDeclaration,
  type TopicDifference,
  TopicDiffersError,
  topic,
} from '../runtime/index.ts'
import { memoryEngine, messagesOf, Paid, Placed, startHandlers } from './app.test-support.ts'

describe('topics', () => {
  it('are created as they are declared, for handlers at the start and for others when they are published to', async () => {
    await using engine = await memoryEngine()
    const inbox = topic('inbox', { partitions: 7 })
    const outbox = topic('outbox', { partitions: 2, compression: 'gzip' })
    const Asked = event('Asked', { topic: inbox, data: z.object({ id: z.string() }) })
    const Answered = event('Answered', { topic: outbox, data: z.object({ id: z.string() }) })
    await using running = await startHandlers([on(Asked, (message) => publish(Answered(message.data)))], { engine })
    expect((await engine.topics.describe('inbox'))?.partitions).toHaveLength(7)
    expect(await engine.topics.describe('outbox')).toBeUndefined()
    await running.publish(Asked({ id: 'a' }))
    await running.idle()
    expect((await engine.topics.describe('outbox'))?.config).toMatchObject({ partitions: 2, compression: 'gzip' })
    expect(await messagesOf(engine, 'outbox')).toHaveLength(1)
  })

  it('are declared once', () => {
    topic('once', { partitions: 3 })
    expect(topic('once', { partitions: 3 }).name).toBe('once')
    expect(() => topic('once', { partitions: 4 })).toThrow(expect.objectContaining({ code: 'TOPIC_REDECLARED' }))
  })

  it('must be named where two definitions of a type disagree', async () => {
    await using engine = await memoryEngine()
    const There = event('Somewhere', { topic: 'there' })
    event('Somewhere', { topic: 'elsewhere' })
    const handler = on(Placed, { retry: { delayMs: () => undefined, description: 'never' } }, (message) =>
      message.data.n === 0 ? publish(There()) : publish(There(), { topic: 'payments' }),
    )
    await using running = await startHandlers([handler, on(Paid, () => undefined)], { engine })
    await running.publish([Placed({ id: 'a', n: 0 }), Placed({ id: 'a', n: 1 })])
    await running.idle()
    expect((await running.deadLetters.list()).map((letter) => letter.error.code)).toEqual(['TOPIC_AMBIGUOUS'])
    expect(await messagesOf(engine, 'payments')).toHaveLength(1)
    await expect(running.publish(There())).rejects.toMatchObject({ code: 'TOPIC_AMBIGUOUS' })
  })

  it('may have lost records before the handler came to them', async () => {
    await using engine = await memoryEngine()
    await engine.topics.ensure('orders', { partitions: 1 })
    const handler = on(Placed, (message) => publish(Paid(message.data)))
    const messages = Array.from({ length: 20 }, (_, n) => Placed({ id: 'a', n }))
    {
      await using running = await startHandlers([handler], { engine })
      for (const message of messages.slice(0, 5)) await running.publish(message)
      await running.idle()
    }
    for (const message of messages.slice(5)) {
      await engine.commit({ publish: [{ topic: 'orders', messages: [message] }] })
    }
    await engine.topics.truncate('orders', 0, 12)
    await using running = await startHandlers([handler], { engine })
    await running.idle()
    expect((await messagesOf(engine, 'payments')).map(({ data }) => data.n)).toEqual([
      0, 1, 2, 3, 4, 12, 13, 14, 15, 16, 17, 18, 19,
    ])
    expect((await running.lag())[0]?.lagMessages).toBe(0)
  })
})

describe('topics that exist with other settings than are declared', () => {
  const subscribed = (...topics: TopicDeclaration[]): Handler[] =>
    topics.map((one) => on(event(`In.${one.name}`, { topic: one }), () => undefined))

  /** What the process warns of while something runs. */
  async function warningsOf(run: () => Promise<unknown>): Promise<readonly TopicDifference[]> {
    const warnings: Error[] = []
    const hear = (warning: Error): number => warnings.push(warning)
    process.on('warning', hear)
    try {
      await run()
      // Warnings are emitted in the next turn.
      await setImmediate()
    } finally {
      process.off('warning', hear)
    }
    return warnings.flatMap((one) => (one instanceof TopicDiffersError ? one.details.differences : []))
  }

  it('stop the start where the program would stumble over it, and all of them are named in one error', async () => {
    await using engine = await memoryEngine()
    await engine.topics.create('few', { partitions: 2, retentionMs: 86_400_000 })
    await engine.topics.create('narrow', { recordBytesMax: 1024 })
    await engine.topics.create('whole')
    const handlers = subscribed(
      topic('few', { partitions: 8, retentionMs: null }),
      topic('narrow', { recordBytesMax: 4096 }),
      topic('whole', { cleanup: 'compact' }),
    )
    await expect(startHandlers(handlers, { engine })).rejects.toMatchObject({
      code: 'TOPIC_DIFFERS',
      remedy: expect.stringContaining(
        '(millrace topics alter few --partitions 8 --retention forever; millrace topics alter narrow --record-bytes-max 4096; millrace topics alter whole --cleanup compact)',
      ),
      details: {
        differences: [
          { topic: 'few', setting: 'partitions', declared: 8, actual: 2 },
          { topic: 'few', setting: 'retentionMs', declared: null, actual: 86_400_000 },
          { topic: 'narrow', setting: 'recordBytesMax', declared: 4096, actual: 1024 },
          { topic: 'whole', setting: 'cleanup', declared: 'compact', actual: 'delete' },
        ],
      },
    })
    expect((await engine.topics.describe('few'))?.config).toMatchObject({ partitions: 2, retentionMs: 86_400_000 })
    for (const [name, changes] of [
      ['few', { partitions: 8, retentionMs: null }],
      ['narrow', { recordBytesMax: 4096 }],
      ['whole', { cleanup: 'compact' }],
    ] as const) {
      await engine.topics.alter(name, changes)
    }
    await using running = await startHandlers(handlers, { engine })
    expect(running.name).toBe('test')
  })

  it('are warned of where the program can do with it', async () => {
    await using engine = await memoryEngine()
    await engine.topics.create('wider', { partitions: 8, retentionMs: 3_600_000, compression: 'zstd' })
    const handlers = subscribed(
      topic('wider', { partitions: 2, retentionMs: 7_200_000, compression: 'none', recordBytesMax: 4096 }),
    )
    const differences = await warningsOf(async () => (await startHandlers(handlers, { engine })).stop())
    expect(differences.map(({ setting, declared, actual }) => [setting, declared, actual])).toEqual([
      ['partitions', 2, 8],
      ['retentionMs', 7_200_000, 3_600_000],
      ['compression', 'none', 'zstd'],
      ['recordBytesMax', 4096, 1_048_576],
    ])
  })

  it('may have anything that is not declared', async () => {
    await using engine = await memoryEngine()
    await engine.topics.create('quiet', { partitions: 3, retentionMs: 5000, cleanup: 'compact' })
    const handlers = subscribed(topic('quiet', { partitions: 3 }))
    expect(await warningsOf(async () => (await startHandlers(handlers, { engine })).stop())).toEqual([])
  })

  it('refuse what is published to them later', async () => {
    await using engine = await memoryEngine()
    await engine.topics.create('later', { partitions: 1 })
    const Late = event('Late', { topic: topic('later', { partitions: 2 }) })
    await using running = await startHandlers([on(Placed, () => undefined)], { engine })
    await expect(running.publish(Late())).rejects.toMatchObject({ code: 'TOPIC_DIFFERS' })
    await engine.topics.alter('later', { partitions: 2 })
    expect(await running.publish(Late())).toHaveLength(1)
  })
})

describe('a topic that is made anew under a running app', () => {
  it.each([false, true])('is read from its begin, with `early` %s', async (early) => {
    await using engine = await memoryEngine()
    const handler = on(Placed, { name: 'h', early }, ({ data }) => publish(Paid(data)))
    await using running = await startHandlers([handler], { engine })
    await running.publish([0, 1, 2].map((n) => Placed({ id: 'a', n })))
    await running.idle()
    for (const n of [3, 4]) {
      await engine.topics.delete('orders')
      await engine.topics.ensure('orders')
      await running.publish(Placed({ id: 'a', n }))
      await running.idle()
    }
    expect((await messagesOf(engine, 'payments')).map(({ data }) => data.n)).toEqual([0, 1, 2, 3, 4])
  })
})

describe('versions', () => {
  it('of old messages are upcast before the handler sees them', async () => {
    await using engine = await memoryEngine()
    const First = event('Moved', { topic: 'moves', data: z.object({ name: z.string() }), key: (d) => d.name })
    const Second = event('Moved', {
      topic: 'moves',
      version: 2,
      data: z.object({ id: z.string(), n: z.number() }),
      key: (d) => d.id,
      upcast: upcastFrom(1, (d: { name: string }) => ({ id: d.name, n: d.name.length })),
    })
    await using running = await startHandlers([on(Second, (message) => publish(Paid(message.data)))], { engine })
    await running.publish([First({ name: 'four' }), Second({ id: 'x', n: 9 })])
    await running.idle()
    const payments = (await messagesOf(engine, 'payments')).map(({ data }) => data)
    expect(payments).toHaveLength(2)
    expect(payments).toEqual(
      expect.arrayContaining([
        { id: 'four', n: 4 },
        { id: 'x', n: 9 },
      ]),
    )
  })
})
