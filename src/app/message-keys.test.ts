import { describe, expect, it } from 'vitest'
import { view } from '../domain/index.ts'
import { none, on, publish, set } from '../runtime/index.ts'
import { memoryEngine, messagesOf, Paid, Placed, startHandlers } from './app.test-support.ts'
import { app } from './index.ts'

const unusable: readonly (readonly [string, string])[] = [
  ['is empty', ''],
  ['holds NUL', 'a\0b'],
  ['holds half a surrogate pair', 'a\ud800'],
  ['is too long', 'x'.repeat(701)],
  ['is too long once it is escaped', '/'.repeat(234)],
]

const eight = Array.from({ length: 8 }, (_, n) => Placed({ id: `k${n}`, n }))

describe.each(unusable)('a key that %s', (_case, bad) => {
  const key = (message: { readonly data: { readonly id: string; readonly n: number } }): string =>
    message.data.n === 3 ? bad : message.data.id

  it('fails its own message where state is kept by key', async () => {
    await using engine = await memoryEngine()
    const handler = on(Placed, { key, state: { initial: 0 } }, (message, state) => [
      set(state + 1),
      publish(Paid(message.data)),
    ])
    await using running = await startHandlers([handler], { engine })
    await running.publish(eight)
    await running.idle()
    expect(await messagesOf(engine, 'payments')).toHaveLength(7)
    expect((await running.deadLetters.list()).map((letter) => [letter.reason, letter.error.code])).toEqual([
      ['unreadable', 'KEY_INVALID'],
    ])
    // Asked for again, it stays what it is, and the app goes on.
    await running.deadLetters.redrive('all')
    await running.idle()
    expect((await running.deadLetters.list())[0]).toMatchObject({ attempts: 2, error: { code: 'KEY_INVALID' } })
  })

  it('fails its own message where keys are parked', async () => {
    await using engine = await memoryEngine()
    const handler = on(Placed, { key, onDeadLetter: 'park-key' }, (message) => publish(Paid(message.data)))
    await using running = await startHandlers([handler], { engine })
    await running.publish(eight)
    await running.idle()
    expect(await messagesOf(engine, 'payments')).toHaveLength(7)
    expect((await running.deadLetters.list()).map((letter) => letter.error.code)).toEqual(['KEY_INVALID'])
  })

  it('fails its own event of a view', async () => {
    await using engine = await memoryEngine()
    const counts = view('counts', { events: [Placed], key, initial: 0, on: { Placed: (count) => count + 1 } })
    await using running = await app('test', { views: [counts] }).start({ engine })
    await running.publish(eight)
    await running.idle()
    expect(await running.view(counts).count()).toBe(7)
    expect((await running.deadLetters.list()).map((letter) => letter.error.code)).toEqual(['KEY_INVALID'])
  })

  it('is a key as any other where nothing is kept by it', async () => {
    await using engine = await memoryEngine()
    const handler = on(Placed, { key, retry: none }, (message) => publish(Paid(message.data)))
    await using running = await startHandlers([handler], { engine })
    await running.publish(eight)
    await running.idle()
    expect(await messagesOf(engine, 'payments')).toHaveLength(8)
  })
})

describe('the longest usable key', () => {
  it.each(['x'.repeat(700), 'ä'.repeat(350), '%'.repeat(233)])('can be parked and redriven (%#)', async (key) => {
    await using engine = await memoryEngine()
    const options = { key: () => key, retry: none, onDeadLetter: 'park-key' } as const
    let isBad = true
    const handler = on(Placed, { ...options, state: { initial: 0 } }, (message, state) => {
      if (isBad) throw new Error('bad')
      return [set(state + 1), publish(Paid(message.data))]
    })
    await using running = await startHandlers([handler], { engine })
    await running.publish(eight)
    await running.idle()
    isBad = false
    await running.deadLetters.redrive('all')
    await running.idle()
    expect(await messagesOf(engine, 'payments')).toHaveLength(8)
    expect(await running.deadLetters.count()).toBe(0)
  })
})
