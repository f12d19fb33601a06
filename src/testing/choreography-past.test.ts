import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { z } from 'zod'
import type { Json } from '../kernel/index.ts'
import { event, type Message } from '../message/index.ts'
import {
  allOf,
  anyOf,
  type ChoreographyOptions,
  choreography,
  end,
  type ProcessInstance,
  type ProcessState,
  processPastOf,
  timeout,
} from '../saga/index.ts'
import { handlerContext } from './handler-context.ts'
import { type ChoreographyTest, choreographyTest } from './index.ts'

const data = z.object({ id: z.string() })
const key = (d: { readonly id: string }): string => d.id
const Placed = event('PPlaced', { data, key })
const Paid = event('PPaid', { data: data.extend({ n: z.number() }), key })
const Declined = event('PDeclined', { data, key })
const events = [Placed, Paid, Declined] as const
const minuteMs = 60_000
const now = { happenings: Number.MAX_SAFE_INTEGER } as const

function payment(options: Partial<ChoreographyOptions<typeof events>> = {}) {
  const rules = [
    allOf([Placed, Paid], ({ PPaid }) => (PPaid.n > 100 ? [] : end('paid'))),
    anyOf([Declined], () => end('declined')),
    timeout({ after: '15m', since: Placed, unless: [Paid] }, () => end('nobody paid')),
  ]
  return choreography('payment', { events, starts: [Placed], rules, ...options })
}

const trialOf = (options?: Partial<ChoreographyOptions<typeof events>>): ChoreographyTest =>
  choreographyTest(payment(options), { startMs: 0 })

const placed = (id = 'm1'): Message => Placed({ id: 'o1' }, { id })
const paid = (n: number, id = `p${n}`): Message => Paid({ id: 'o1', n }, { id })

function shortOf(instance: ProcessInstance | undefined): unknown {
  return instance && [instance.status, Object.keys(instance.seen).join(' '), instance.waiting.join(' ')]
}

describe('the past of a process', () => {
  it('tells what happened, when and why', async () => {
    const trial = trialOf()
    const extensions = { causationtype: 'Pay' }
    trial.send(Paid({ id: 'o1', n: 200 }, { id: 'm0', causationid: 'c0', extensions }))
    await trial.advance('1m')
    trial.send(Placed({ id: 'o1' }, { id: 'm1', causationid: 'c1' }))
    await trial.advance('1m')
    trial.send(Declined({ id: 'o1' }, { id: 'm2' }), paid(1))
    const past = trial.past('o1')
    expect(past?.happenings).toEqual([
      {
        number: 1,
        timeMs: 0,
        what: 'waits',
        type: 'PPaid',
        id: 'm0',
        cause: { id: 'c0', type: 'Pay' },
        applied: [],
      },
      { number: 2, timeMs: minuteMs, what: 'started', type: 'PPlaced', id: 'm1', cause: { id: 'c1' }, applied: [] },
      {
        number: 3,
        timeMs: minuteMs,
        what: 'came',
        type: 'PPaid',
        id: 'm0',
        cause: { id: 'c0', type: 'Pay' },
        applied: ['all of PPlaced, PPaid'],
      },
      {
        number: 4,
        timeMs: 2 * minuteMs,
        what: 'came',
        type: 'PDeclined',
        id: 'm2',
        applied: ['any of PDeclined'],
        outcome: 'declined',
      },
    ])
    expect(past?.since).toBeNull()
    expect(trial.past('nobody')).toBeUndefined()
  })

  it('tells of time-outs, and of what could not be taken in', async () => {
    const faulty = anyOf([Declined], () => {
      throw new RangeError('oh')
    })
    const late = timeout({ after: '15m', since: Placed }, () => end('too late'))
    const trial = trialOf({ rules: [faulty, late] })
    trial.send(Declined({ id: 'o1' }, { id: 'm0' }), placed())
    await trial.advance('15m')
    const past = trial.past('o1')
    expect(past?.happenings).toMatchObject([
      { what: 'waits', id: 'm0' },
      { what: 'started', id: 'm1' },
      { what: 'refused', id: 'm0', error: { name: 'RangeError', message: 'oh' } },
      { what: 'due', timeMs: 15 * minuteMs, applied: ['15m after PPlaced'], outcome: 'too late' },
    ])
    expect(past?.happenings[3]).not.toHaveProperty('type')
    expect(shortOf(past?.at({ happenings: 3 }))).toEqual(['open', 'PPlaced', ''])
  })

  it('tells how it was at a time, and after so many happenings', async () => {
    const trial = choreographyTest(payment(), { startMs: 1000 })
    trial.send(paid(200))
    await trial.advance('1m')
    trial.send(placed())
    await trial.advance('1m')
    trial.send(paid(300), Declined({ id: 'o1' }))
    const past = trial.past('o1')
    expect(past?.at({ time: 999 })).toBeUndefined()
    expect(past?.at({ happenings: 0 })).toBeUndefined()
    const waiting = ['expected', '', 'PPaid']
    expect(shortOf(past?.at({ time: 1000 }))).toEqual(waiting)
    expect(shortOf(past?.at({ time: '1970-01-01T00:01:00.999Z' }))).toEqual(waiting)
    expect(shortOf(past?.at({ happenings: 1 }))).toEqual(waiting)
    expect(shortOf(past?.at({ happenings: 2 }))).toEqual(['open', 'PPlaced', ''])
    expect(past?.at({ happenings: 3 })).toEqual(past?.at({ time: 1000 + minuteMs }))
    expect(past?.at({ happenings: 3 })).toMatchObject({
      status: 'open',
      seen: { PPaid: { n: 200 } },
      applied: ['all of PPlaced, PPaid'],
      startedMs: 1000 + minuteMs,
      endedMs: null,
      outcome: null,
    })
    expect(past?.at({ happenings: 4 })?.seen).toMatchObject({ PPaid: { n: 300 } })
    expect(past?.at({ happenings: 4 })?.dueMs).toBeNull()
    expect(past?.at({ happenings: 2 })).toMatchObject({ cameMs: { PPlaced: 1000 + minuteMs } })
    for (const point of [{ time: 1000 + 2 * minuteMs }, { happenings: 5 }, now]) {
      expect(past?.at(point)).toMatchObject({ status: 'ended', outcome: 'declined', endedMs: 1000 + 2 * minuteMs })
    }
  })

  it('tells what changed between two points', async () => {
    const trial = trialOf()
    trial.send(placed())
    await trial.advance('1m')
    trial.send(paid(200), paid(300))
    const past = trial.past('o1')
    expect(past?.difference({ happenings: 2 })).toMatchObject({
      changes: [{ path: '/seen/PPaid/n', before: 200, after: 300 }],
      happenings: [{ number: 3, id: 'p300' }],
    })
    expect(past?.difference({ time: 0 }, { happenings: 2 })).toMatchObject({
      from: { status: 'open' },
      changes: [
        { path: '/seen/PPaid', before: undefined, after: { id: 'o1', n: 200 } },
        { path: '/cameMs/PPaid', before: undefined, after: minuteMs },
        { path: '/applied/0', before: undefined, after: 'all of PPlaced, PPaid' },
        { path: '/dueMs', before: 15 * minuteMs, after: null },
      ],
      happenings: [{ number: 2 }],
    })
    expect(past?.difference({ happenings: 3 }, { happenings: 0 })).toMatchObject({
      to: undefined,
      happenings: { length: 3 },
    })
    expect(past?.difference(now)).toMatchObject({ changes: [], happenings: [] })
  })

  it.each([
    { happenings: -1 },
    { happenings: 1.5 },
    { happenings: undefined as unknown as number },
    { time: 'noon' },
    { time: Number.NaN },
  ])('refuses %o as a point', (point) => {
    const trial = trialOf()
    trial.send(placed())
    expect(() => trial.past('o1')?.at(point)).toThrow(expect.objectContaining({ code: 'OPTIONS_INVALID' }))
  })

  it('begins anew with the process', async () => {
    const trial = trialOf({ late: 'redeliver', keep: '1h' })
    trial.send(placed('m1'), Declined({ id: 'o1' }, { id: 'm2' }), paid(200, 'm3'), placed('m4'), paid(300, 'm5'))
    expect(trial.past('o1')?.happenings.map(({ what, id }) => `${what} ${id}`)).toEqual([
      'started m1',
      'came m2',
      'waits m3',
      'waits m4',
      'waits m5',
    ])
    await trial.advance('1h')
    const past = trial.past('o1')
    expect(past?.happenings.map(({ number, what, id }) => `${number} ${what} ${id}`)).toEqual([
      '1 waits m3',
      '2 started m4',
      '3 came m3',
      '4 came m5',
    ])
    expect([past?.since, past?.at({ time: minuteMs })]).toEqual([null, undefined])
  })
})

describe('a past that is not whole', () => {
  it('keeps the last happenings, and refuses points before them', async () => {
    const trial = trialOf({ past: 2 })
    for (const n of [0, 1, 2, 3]) {
      trial.send(n === 0 ? placed() : paid(100 + n))
      await trial.advance('1m')
    }
    const past = trial.past('o1')
    expect(past?.happenings.map(({ number, id }) => [number, id])).toEqual([
      [3, 'p102'],
      [4, 'p103'],
    ])
    expect(past?.since).toEqual({ happenings: 2, timeMs: minuteMs })
    expect(past?.at({ happenings: 2 })?.seen).toMatchObject({ PPaid: { n: 101 } })
    expect(past?.at({ time: minuteMs })).toEqual(past?.at({ happenings: 2 }))
    const gone = expect.objectContaining({
      code: 'PROCESS_PAST_GONE',
      message: expect.stringContaining('is known from 1970-01-01T00:01:00.000Z on'),
      details: { choreography: 'payment', key: 'o1', since: { happenings: 2, timeMs: minuteMs } },
    })
    for (const point of [{ time: minuteMs - 1 }, { happenings: 1 }]) {
      expect(() => past?.at(point)).toThrow(gone)
      expect(() => past?.difference(point)).toThrow(gone)
    }
  })

  it('may be none at all', async () => {
    const trial = trialOf({ past: 0 })
    trial.send(placed())
    await trial.advance('1m')
    const past = trial.past('o1')
    expect([past?.happenings, past?.since]).toEqual([[], { happenings: 1, timeMs: 0 }])
    expect(shortOf(past?.at({ time: minuteMs }))).toEqual(['open', 'PPlaced', ''])
    expect(() => past?.at({ happenings: 0 })).toThrow(expect.objectContaining({ code: 'PROCESS_PAST_GONE' }))
  })

  it('takes no more room, whatever comes', () => {
    const trial = trialOf({ past: 1000 })
    trial.send(placed())
    const text = 'x'.repeat(3000)
    const sizes: number[] = []
    for (let n = 0; n < 600; n++) {
      // Small ones first, then such as push all of those out, and one that is larger than all that is kept.
      const size = n < 400 ? '' : n === 500 ? text.repeat(30) : text
      trial.send(Paid({ id: `o1`, n: 200 + n }, { id: `${n}${size}` }))
      sizes.push(trial.process('o1')?.past?.happened.length ?? 0)
    }
    expect(Math.max(...sizes)).toBeLessThanOrEqual(65_536)
    expect(Math.max(...sizes)).toBeGreaterThan(60_000)
    expect(sizes[500]).toBe(0)
    const past = trial.past('o1')
    expect(past?.happenings.at(-1)).toMatchObject({ number: 601 })
    const kept = past?.happenings.length ?? 0
    expect(past?.since?.happenings).toBe(601 - kept)
    expect(past?.at({ happenings: 601 - kept })?.seen).toMatchObject({ PPaid: { n: 200 + 599 - kept } })
    expect(trial.process('o1')?.past?.keptCount).toBe(kept)
  })

  it.each([-1, 1001, 1.5, '7'])('is not %o long', (past) => {
    expect(() => payment({ past: past as number })).toThrow(/past is .*, not a whole number from 0 to 1000/)
  })
})

describe('a process that the version before has begun', () => {
  /** As it stands where it is kept. */
  const before: ProcessState = JSON.parse(
    `{"status":"open","seen":{"PPlaced":{"id":"o1"}},"cameMs":{"PPlaced":5},"applied":[],"held":[],"outcome":null,` +
      `"startedMs":5,"changedMs":5,"versions":{"PPlaced":1},"lookMs":900005}`,
  ) as ProcessState

  it('has a past that begins with the next thing that happens to it', () => {
    const none = processPastOf('payment', 'o1', before)
    expect([none.happenings, none.since]).toEqual([[], { happenings: 0, timeMs: null }])
    expect(shortOf(none.at({ happenings: 0 }))).toEqual(['open', 'PPlaced', ''])
    expect(none.difference({ happenings: 0 }).changes).toEqual([])
    expect(() => none.at({ time: 7000 })).toThrow(/is known from the next thing that happens to it on, not before/)

    const context = handlerContext({ key: 'k', nowMs: () => 7000 })
    const effects = payment().handle(paid(200), before, context) as readonly { kind: string; value?: Json }[]
    const state = effects.find(({ kind }) => kind === 'set')?.value as unknown as ProcessState
    const past = processPastOf('payment', 'o1', state)
    expect(past.happenings).toMatchObject([{ number: 1, timeMs: 7000, what: 'came', id: 'p200' }])
    expect(past.since).toEqual({ happenings: 0, timeMs: 7000 })
    expect(past.at({ happenings: 0 })).toEqual(none.at({ happenings: 0 }))
    expect(shortOf(past.at({ time: 7000 }))).toEqual(['open', 'PPlaced PPaid', ''])
    expect(() => past.at({ time: 6999 })).toThrow(/is known from 1970-01-01T00:00:07.000Z on/)
  })

  it('may have held events without an id', () => {
    const held: ProcessState = {
      ...before,
      status: 'expected',
      seen: {},
      held: [{ type: 'PPaid', data: { id: 'o1', n: 1 } }],
    }
    const context = handlerContext({ key: 'k', nowMs: () => 7000 })
    const effects = payment().handle(placed(), held, context) as readonly { kind: string; value?: Json }[]
    const state = effects.find(({ kind }) => kind === 'set')?.value as unknown as ProcessState
    const past = processPastOf('payment', 'o1', state)
    expect(past.happenings).toMatchObject([{ what: 'started' }, { what: 'came', type: 'PPaid', outcome: 'paid' }])
    expect(past.happenings[1]).not.toHaveProperty('id')
    expect(shortOf(past.at({ happenings: 0 }))).toEqual(['expected', '', 'PPaid'])
  })
})

describe('every past', () => {
  it('is as it was seen then, whatever comes', async () => {
    const policy = fc.constantFrom('redeliver', 'dead-letter', 'ignore')
    const steps = fc.array(
      fc.oneof(
        fc.constantFrom('placed', 'declined').map((kind) => ({ kind, n: 0 })),
        fc.record({ kind: fc.constant('paid'), n: fc.constantFrom(1, 200, 300) }),
        fc.record({ kind: fc.constant('wait'), n: fc.integer({ min: 0, max: 40 }) }),
      ),
      { maxLength: 25 },
    )
    await fc.assert(
      fc.asyncProperty(policy, policy, fc.constantFrom(3, 100), steps, async (late, missing, pastMax, plan) => {
        const trial = trialOf({ late, missing, keep: '1h', hold: '10m', past: pastMax })
        let seen: {
          readonly count: number
          readonly timeMs: number
          readonly instance: ProcessInstance | undefined
        }[] = []
        for (const { kind, n } of plan) {
          if (kind === 'placed') trial.send(Placed({ id: 'o1' }))
          else if (kind === 'declined') trial.send(Declined({ id: 'o1' }))
          else if (kind === 'paid') trial.send(Paid({ id: 'o1', n }))
          else await trial.advance(n * minuteMs)
          const past = trial.past('o1')
          const count = (past?.since?.happenings ?? 0) + (past?.happenings.length ?? 0)
          const instance = past?.at(now)
          // What is forgotten has no past, and what begins then another one.
          const endedMs = seen.at(-1)?.instance?.endedMs ?? null
          if (endedMs !== null && endedMs !== instance?.endedMs) seen = []
          seen.push({ count, timeMs: trial.clock.nowMs(), instance })
          const since = past?.since?.happenings ?? 0
          const known = past === undefined ? [] : seen.filter((one) => one.count >= since)
          for (const one of known) expect(past?.at({ happenings: one.count })).toEqual(one.instance)
          const sinceMs = past?.since?.timeMs ?? 0
          const lastAtTimes = known.filter(
            (one, index) => known[index + 1]?.timeMs !== one.timeMs && one.timeMs >= sinceMs,
          )
          for (const one of lastAtTimes) expect(past?.at({ time: one.timeMs })).toEqual(one.instance)
        }
      }),
      { numRuns: 300, verbose: 1 },
    )
  })
})
