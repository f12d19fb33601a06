import { describe, expect, it } from 'vitest'
import type { EmbeddedEngine } from '../embedded/index.ts'
import type { Engine, RawRecord } from '../engine/index.ts'
import { MessageUndecodableError } from '../message/index.ts'
import { fixed, none, on, publish, set } from '../runtime/index.ts'
import { channels, type DeadLetteredReport } from '../telemetry/index.ts'
import { engineWith, memoryEngine, messagesOf, numbersByKey, Paid, Placed, startHandlers } from './app.test-support.ts'

const options = { name: 'h', retry: none, onDeadLetter: 'park-key' } as const
const garbage = (key: string | Uint8Array | null, more: Partial<RawRecord> = {}): RawRecord => ({
  key,
  value: '{"no message',
  headers: [['content-type', 'application/cloudevents+json']],
  ...more,
})

async function put(
  engine: EmbeddedEngine,
  ...items: readonly (RawRecord | ReturnType<typeof Placed>)[]
): Promise<void> {
  for (const item of items) {
    const content = 'specversion' in item ? { messages: [item] } : { records: [item] }
    await engine.commit({ publish: [{ topic: 'orders', partition: 0, ...content }] })
  }
}

/** An engine for which the records at these offsets of topic orders are no messages. */
function blind(engine: EmbeddedEngine, offsets: Set<number>): Engine {
  return engineWith(engine, 'topics', {
    read: async (request) => {
      const result = await engine.topics.read(request)
      if (request.topic !== 'orders') return result
      const records = result.records.map((record) => {
        if (record.kind !== 'message' || !offsets.has(record.offset)) return record
        const { offset, timestampMs, key } = record
        const error = new MessageUndecodableError('value', 'cannot be read yet')
        return {
          kind: 'undecodable' as const,
          offset,
          timestampMs,
          key,
          error,
          value: new Uint8Array([1]),
          headers: [],
        }
      })
      return { ...result, records }
    },
  })
}

describe('a record that cannot be decoded', () => {
  it('parks its key: later records of the key wait, also such as it is, until it is discarded', async () => {
    await using engine = await memoryEngine()
    await engine.topics.ensure('orders', { partitions: 1 })
    const handler = on(Placed, options, (message) => publish(Paid(message.data)))
    await using running = await startHandlers([handler], { engine })
    const [a, b] = [(n: number) => Placed({ id: 'a', n }), (n: number) => Placed({ id: 'b', n })]
    await put(engine, a(0), garbage('a'), a(1), b(2), garbage('a'), a(3), garbage(null), b(4))
    await running.idle()
    expect(await numbersByKey(engine, 'payments')).toEqual({ a: [0], b: [2, 4] })
    const facts = async (): Promise<unknown> =>
      (await running.deadLetters.list()).map(({ offset, key, reason, parksKey, attempts }) => [
        offset,
        key,
        reason,
        parksKey,
        attempts,
      ])
    expect(await facts()).toEqual([
      [1, 'a', 'undecodable', true, 1],
      [6, null, 'undecodable', false, 1],
    ])
    // Nothing has changed, so it stays.
    await running.deadLetters.redrive('all')
    await running.idle()
    expect(await facts()).toEqual([
      [1, 'a', 'undecodable', true, 2],
      [6, null, 'undecodable', false, 2],
    ])
    expect((await numbersByKey(engine, 'payments'))['a']).toEqual([0])
    await running.deadLetters.discard('all')
    await running.idle()
    // The next one of its kind is in front now.
    expect(await facts()).toEqual([[4, 'a', 'undecodable', true, 1]])
    expect((await running.deadLetters.list())[0]?.original).toEqual({
      kind: 'record',
      valueBase64: Buffer.from('{"no message').toString('base64'),
    })
    expect((await numbersByKey(engine, 'payments'))['a']).toEqual([0, 1])
    await running.deadLetters.discard('all')
    await running.idle()
    expect((await numbersByKey(engine, 'payments'))['a']).toEqual([0, 1, 3])
    expect(await engine.state.count('parked:test.s.h')).toBe(0)
    expect(await engine.state.count('parked-keys:test.s.h')).toBe(0)
  })

  it('may also be one of a version that is not known: the key waits for a program that knows it', async () => {
    await using engine = await memoryEngine()
    await engine.topics.ensure('orders', { partitions: 1 })
    const handler = on(Placed, options, (message) => publish(Paid(message.data)))
    await using running = await startHandlers([handler], { engine })
    await put(
      engine,
      { ...Placed({ id: 'a', n: 1 }), dataversion: 7 },
      Placed({ id: 'a', n: 2 }),
      Placed({ id: 'b', n: 3 }),
    )
    await running.idle()
    expect(await numbersByKey(engine, 'payments')).toEqual({ b: [3] })
    expect(await running.deadLetters.list()).toMatchObject([
      { offset: 0, key: 'a', reason: 'unreadable', parksKey: true, error: { code: 'VERSION_UNKNOWN' } },
    ])
    await running.deadLetters.discard('all')
    await running.idle()
    expect(await numbersByKey(engine, 'payments')).toEqual({ a: [2], b: [3] })
  })

  it('is handled, and all behind it in order, once it can be read', async () => {
    await using engine = await memoryEngine()
    await engine.topics.ensure('orders', { partitions: 1 })
    const hidden = new Set([1, 3])
    const handler = on(Placed, { ...options, state: { initial: 0 } }, (message, state) => [
      set(state + 1),
      publish(Paid(message.data)),
    ])
    await using running = await startHandlers([handler], { engine: blind(engine, hidden) })
    await put(engine, ...Array.from({ length: 6 }, (_, n) => Placed({ id: 'a', n })))
    await running.idle()
    expect(await numbersByKey(engine, 'payments')).toEqual({ a: [0] })
    hidden.clear()
    await running.deadLetters.redrive('all')
    await running.idle()
    expect(await numbersByKey(engine, 'payments')).toEqual({ a: [0, 1, 2, 3, 4, 5] })
    expect((await engine.state.get('state:test.s.h', 'a'))?.value).toBe(6)
    expect(await running.deadLetters.count()).toBe(0)
  })

  it('lets go of the key that it parked, also if its message turns out to have another', async () => {
    await using engine = await memoryEngine()
    await engine.topics.ensure('orders', { partitions: 1 })
    const hidden = new Set([0])
    {
      const handler = on(Placed, options, (message) => publish(Paid(message.data)))
      await using running = await startHandlers([handler], { engine: blind(engine, hidden) })
      await put(engine, ...Array.from({ length: 3 }, (_, n) => Placed({ id: 'a', n })))
      await running.idle()
    }
    hidden.clear()
    const key = (): string => 'other'
    const handler = on(Placed, { ...options, key }, (message) => publish(Paid(message.data)))
    await using running = await startHandlers([handler], { engine: blind(engine, hidden) })
    await running.deadLetters.redrive('all')
    await running.idle()
    expect(await numbersByKey(engine, 'payments')).toEqual({ a: [0, 1, 2] })
    expect(await engine.state.count('parked-keys:test.s.h')).toBe(0)
  })

  it('waits for its turn, and holds nobody back without park-key', async () => {
    await using engine = await memoryEngine()
    await engine.topics.ensure('orders', { partitions: 1 })
    const seen: unknown[] = []
    const note = ({ offset, type, messageId, attempt }: DeadLetteredReport): void =>
      void seen.push([offset, type, messageId, attempt])
    channels.deadLettered.subscribe(note)
    const handler = on(Placed, { retry: fixed({ delay: 1, max: 3 }) }, ({ data }, { attempt }) => {
      seen.push(`${data.n}.${attempt}`)
      if (data.n === 0 && attempt < 3) throw new Error('again')
    })
    await put(engine, Placed({ id: 'a', n: 0 }), garbage('a'), Placed({ id: 'a', n: 2 }))
    await using running = await startHandlers([handler], { engine })
    await running.idle()
    channels.deadLettered.unsubscribe(note)
    expect(seen).toEqual(['0.1', '0.2', '0.3', [1, null, null, 1], '2.1'])
  })

  it('parks the partition key of its header rather than the key of its record', async () => {
    await using engine = await memoryEngine()
    await engine.topics.ensure('orders', { partitions: 1 })
    const handler = on(Placed, options, (message) => publish(Paid(message.data)))
    await using running = await startHandlers([handler], { engine })
    const headers = [...(garbage('a').headers ?? []), ['ce_partitionkey', 'b'] as const]
    await put(engine, garbage('a', { headers }), Placed({ id: 'a', n: 1 }), Placed({ id: 'b', n: 2 }))
    await running.idle()
    expect(await numbersByKey(engine, 'payments')).toEqual({ a: [1] })
  })

  it('parks nothing where its key cannot be told: with a key function, with bytes, with an unusable key', async () => {
    await using engine = await memoryEngine()
    await engine.topics.ensure('orders', { partitions: 1 })
    const own = on(Placed, { ...options, name: 'own', key: (message) => message.data.id }, (message) =>
      publish(Paid(message.data)),
    )
    const plain = on(Placed, options, (message) => publish(Paid(message.data)))
    await using running = await startHandlers([own, plain], { engine })
    await put(
      engine,
      garbage(new Uint8Array([255])),
      garbage('k'.repeat(800)),
      garbage('\0'),
      Placed({ id: 'a', n: 1 }),
    )
    await running.idle()
    expect(await numbersByKey(engine, 'payments')).toEqual({ a: [1, 1] })
    expect((await running.deadLetters.list()).map(({ parksKey }) => parksKey)).toEqual(
      Array.from({ length: 6 }, () => false),
    )
  })

  it('is no repetition of another one', async () => {
    await using engine = await memoryEngine()
    await engine.topics.ensure('orders', { partitions: 1 })
    const handler = on(Placed, { dedupe: { window: '1h' } }, (message) => publish(Paid(message.data)))
    await using running = await startHandlers([handler], { engine })
    // Nor of a message that bears the name of nobody.
    const one = Placed({ id: 'a', n: 0 })
    await put(engine, { ...one, id: 'none', source: 'urn:millrace:none' }, garbage('a'), garbage('a'), one)
    await running.idle()
    expect(await running.deadLetters.count()).toBe(2)
    expect(await messagesOf(engine, 'payments')).toHaveLength(2)
  })

  it('is not remembered as a message that was handled', async () => {
    await using engine = await memoryEngine()
    const handler = on(Placed, { dedupe: { window: '1h' } }, () => undefined)
    await using running = await startHandlers([handler], { engine })
    await put(engine, garbage('a'))
    await running.idle()
    expect(await running.deadLetters.count()).toBe(1)
    expect(await engine.state.namespaces('dedupe:')).toEqual([])
  })
})
