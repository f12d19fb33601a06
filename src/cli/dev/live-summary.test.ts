import { describe, expect, it } from 'vitest'
import { app, service } from '../../app/index.ts'
import { embedded } from '../../embedded/index.ts'
import { ClosedError, VirtualClock } from '../../kernel/index.ts'
import { none, on } from '../../runtime/index.ts'
import { channels } from '../../telemetry/index.ts'
import { Capture, OrderPlaced } from '../cli.test-support.ts'
import { Output } from '../output.ts'
import { Activity } from './activity.ts'
import { LiveSummary } from './live-summary.ts'

const up = (lines: number): string => `\r\u001b[${lines}A\u001b[0J`

async function summaryOn(stdout: Capture, isJson: boolean, handlerCount: number) {
  const clock = new VirtualClock()
  const notes: string[] = []
  const output = new Output(
    {
      stdin: stdout,
      stdout,
      stderr: new Capture(),
      env: {},
      cwd: '.',
      clock,
      random: { nextFloat: () => 0, nextUint32: () => 0, fillBytes: () => undefined },
      signal: new AbortController().signal,
    },
    { json: isJson, color: false },
  )
  const handlers = Array.from({ length: handlerCount }, (_, index) =>
    on(OrderPlaced, { name: `handler-${index}`, retry: none }, (order) => {
      if (order.data.id === 'bad') throw new RangeError('refused')
    }),
  )
  const engine = await embedded({ path: ':memory:' }).open()
  const activity = new Activity(clock, (text) => notes.push(text))
  const running = await app('shop', { services: [service('payment', handlers)] }).start({ engine })
  const summary = new LiveSummary(running, activity, clock, output)
  return {
    clock,
    notes,
    running,
    summary,
    [Symbol.asyncDispose]: async () => {
      activity[Symbol.dispose]()
      await running.stop()
      await engine.close()
    },
  }
}

describe('the live summary', () => {
  it('is a picture in a terminal, drawn over the one before', async () => {
    const stdout = new Capture(true, 200)
    await using live = await summaryOn(stdout, false, 2)
    await live.running.publish(['1', '2', 'bad'].map((id) => OrderPlaced({ id })))
    await live.running.idle()
    await live.clock.advance('2s')
    await live.summary.draw()
    const first = stdout.text
    expect(first.trimEnd().split('\n')).toEqual([
      '3 handled/s · 3 published/s · lag 0 · dead letters 2 · failed attempts 2',
      '',
      expect.stringMatching(/^HANDLER +HANDLED\/S +LAG +BEHIND +FAILED$/),
      expect.stringMatching(/^shop\.payment\.handler-0 +2 +0 +0s +1$/),
      expect.stringMatching(/^shop\.payment\.handler-1 +2 +0 +0s +1$/),
    ])
    await live.clock.advance('1s')
    await live.summary.draw()
    const second = stdout.text.slice(first.length)
    expect(second.startsWith(`${up(5)}0 handled/s · 0 published/s`)).toBe(true)
    live.summary.clear()
    expect(stdout.text.slice(first.length + second.length)).toBe(up(5))
    live.summary.clear()
    expect(stdout.text.slice(first.length + second.length)).toBe(up(5))
  })

  it('fits the terminal', async () => {
    const stdout = Object.assign(new Capture(true, 40), { rows: 8 })
    await using live = await summaryOn(stdout, false, 10)
    await live.summary.draw()
    const lines = stdout.text.trimEnd().split('\n')
    expect(lines).toHaveLength(6)
    expect(lines.at(-1)).toBe('… 8 more')
    for (const line of lines) expect(line.length).toBeLessThanOrEqual(40)
  })

  it('is a line where lines stay, and silent while nothing changes', async () => {
    const stdout = new Capture()
    await using live = await summaryOn(stdout, false, 1)
    await live.summary.draw()
    await live.summary.draw()
    expect(stdout.text).toMatch(
      /^2026-01-01T\S+ 0 handled\/s · 0 published\/s · lag 0 · dead letters 0 · failed attempts 0\n$/,
    )
  })

  it('is JSON for machines', async () => {
    const stdout = new Capture()
    await using live = await summaryOn(stdout, true, 1)
    await live.running.publish(OrderPlaced({ id: '1' }))
    await live.running.idle()
    await live.clock.advance('1s')
    await live.summary.draw()
    expect(JSON.parse(stdout.text)).toEqual({
      time: '2026-01-01T00:00:01.000Z',
      app: 'shop',
      handled: 1,
      handledPerSecond: 1,
      published: 1,
      publishedPerSecond: 1,
      failed: 0,
      lagMessages: 0,
      deadLetters: 0,
      sagas: { undoFailures: 0, parked: 0, lastProblem: null },
      handlers: [
        {
          handler: 'shop.payment.handler-0',
          handled: 1,
          handledPerSecond: 1,
          failed: 0,
          lagMessages: 0,
          lagSeconds: 0,
        },
      ],
    })
  })
})

describe('sagas that need somebody', () => {
  it('are told, counted in the first line, and forgotten when they go on', async () => {
    const stdout = new Capture(true, 200)
    await using live = await summaryOn(stdout, false, 1)
    const parked = {
      handler: 'shop.saga:checkout',
      key: 'o1',
      status: 'parked',
      before: 'running',
      problem: 'Too odd.',
    }
    channels.saga.publish(parked)
    await live.summary.draw()
    expect(stdout.text).toContain('failed attempts 0 · parked sagas 1\nshop.saga:checkout o1 is parked: Too odd.\n')
    channels.saga.publish({ ...parked, status: 'running', before: 'parked', problem: null })
    channels.undoFailed.publish({
      handler: 'shop.saga:checkout',
      key: 'o2',
      step: 'charge',
      attempt: 3,
      error: new RangeError('gateway down'),
      delayMs: 4000,
    })
    live.summary.clear()
    const before = stdout.text.length
    await live.summary.draw()
    const told = 'shop.saga:checkout o2 could not undo charge, attempt 3, next in 4s: RangeError: gateway down'
    expect(stdout.text.slice(before)).toContain(`failed attempts 0 · failed undos 1\n${told}\n`)
    expect(live.notes).toEqual(['shop.saga:checkout o1 is parked: Too odd.', told])
  })
})

describe('activity', () => {
  it('tells what handlers, engines and outboxes wait for', () => {
    const told: string[] = []
    using _ = new Activity(new VirtualClock(), (text) => told.push(text))
    const error = new ClosedError('The engine')
    channels.waiting.publish({ app: 'shop', handler: 'shop.payment.a', error, delayMs: 500 })
    channels.waiting.publish({ app: 'shop', handler: null, error, delayMs: 10_000 })
    channels.engineWaiting.publish({ engine: 'kafka', error: new RangeError('gone'), waitedMs: 13_000 })
    channels.relayFailed.publish({ topic: 'orders', error: new RangeError('gone'), delayMs: 4000 })
    expect(told).toEqual([
      `shop.payment.a waits, next try in 0.5s: CLOSED: ${error.problem}`,
      `shop waits, next try in 10s: CLOSED: ${error.problem}`,
      'kafka has waited for 13s: RangeError: gone',
      'messages for orders wait in the outbox, next try in 4s: RangeError: gone',
    ])
  })

  it('tells a few failures a second one by one, and counts the rest', async () => {
    const clock = new VirtualClock()
    const told: string[] = []
    const place = { handler: 'shop.payment.a', topic: 'orders', partition: 0, key: null, type: 'T', messageId: null }
    const activity = new Activity(clock, (text) => told.push(text))
    const fail = (offset: number): void =>
      channels.failed.publish({ ...place, offset, attempt: 1, error: new RangeError('refused') })
    for (let offset = 0; offset < 12; offset++) fail(offset)
    expect(told).toHaveLength(5)
    expect(told[0]).toBe('shop.payment.a failed on orders/0/0, attempt 1: RangeError: refused')
    await clock.advance('1s')
    fail(12)
    expect(told.slice(5)).toEqual([
      '… and 7 more',
      'shop.payment.a failed on orders/0/12, attempt 1: RangeError: refused',
    ])
    expect(activity.failed).toBe(13)
    activity[Symbol.dispose]()
    fail(13)
    expect(activity.failed).toBe(13)
    expect(channels.failed.hasSubscribers).toBe(false)
  })
})
