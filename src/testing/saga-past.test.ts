import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { z } from 'zod'
import { event } from '../message/index.ts'
import { fixed } from '../runtime/index.ts'
import { type SagaInstance, saga } from '../saga/index.ts'
import { sagaTest } from './index.ts'
import { anything, broken, failing, world } from './saga.test-support.ts'

const minuteMs = 60_000

/** Charges, rests for a minute, waits for a word, then ships, which is refused unless the word is `go`. */
function order() {
  const { act } = world()
  const steps = { charge: act('charge'), ship: act('ship'), refuse: act('refuse', { run: failing }) }
  return saga('order', { start: anything, steps, signals: { word: z.string() } }, async (scope) => {
    await scope.step('charge')
    await scope.sleep('rest', '1m')
    const word = await scope.signal('word')
    await scope.step(word === 'go' ? 'ship' : 'refuse')
    return word
  })
}

function shortOf(instance: SagaInstance | undefined): unknown {
  return instance && [instance.status, ...instance.activities.map(({ id, state }) => `${id} ${state}`)]
}

describe('the past of a saga', () => {
  it('tells what happened, when and why', async () => {
    const trial = sagaTest(order(), { startMs: 0 })
    await trial.start('k', null)
    await trial.advance('2m')
    await trial.signal('k', 'word', 'no')
    expect(trial.past('k')?.happenings).toEqual([
      {
        timeMs: 0,
        what: 'started',
        message: { id: expect.any(String), type: expect.any(String), correlationid: expect.any(String) },
      },
      { timeMs: 0, what: 'asked', id: 'charge' },
      { timeMs: 0, what: 'outcome', id: 'charge', state: 'done' },
      { timeMs: 0, what: 'asked', id: 'sleep:rest' },
      { timeMs: minuteMs, what: 'outcome', id: 'sleep:rest', state: 'done' },
      { timeMs: minuteMs, what: 'asked', id: 'signal:word#1' },
      {
        timeMs: 2 * minuteMs,
        what: 'outcome',
        id: 'signal:word#1',
        state: 'done',
        message: { id: expect.any(String), type: expect.any(String), correlationid: expect.any(String) },
      },
      { timeMs: 2 * minuteMs, what: 'asked', id: 'refuse' },
      {
        timeMs: 2 * minuteMs,
        what: 'outcome',
        id: 'refuse',
        state: 'rejected',
        error: expect.objectContaining({ message: 'refused' }),
      },
      { timeMs: 2 * minuteMs, what: 'compensating', error: expect.objectContaining({ message: 'refused' }) },
      { timeMs: 2 * minuteMs, what: 'undone', id: 'charge' },
      { timeMs: 2 * minuteMs, what: 'compensated' },
    ])
    expect(trial.past('nobody')).toBeUndefined()
  })

  it('tells how it was at a time, and after so many outcomes', async () => {
    const trial = sagaTest(order(), { startMs: 1000 })
    await trial.start('k', null)
    await trial.advance('2m')
    await trial.signal('k', 'word', 'go')
    const past = trial.past('k')
    expect(past?.at({ time: 999 })).toBeUndefined()
    const begun = ['running', 'charge done', 'sleep:rest waiting']
    expect(shortOf(past?.at({ time: 1000 }))).toEqual(begun)
    expect(shortOf(past?.at({ time: '1970-01-01T00:01:00.999Z' }))).toEqual(begun)
    expect(shortOf(past?.at({ outcomes: 0 }))).toEqual(['running', 'charge begun'])
    expect(shortOf(past?.at({ outcomes: 1 }))).toEqual(begun)
    const waiting = ['running', 'charge done', 'sleep:rest done', 'signal:word#1 waiting']
    expect(shortOf(past?.at({ time: 1000 + minuteMs }))).toEqual(waiting)
    expect(shortOf(past?.at({ outcomes: 2 }))).toEqual(waiting)
    for (const point of [{ time: 1000 + 2 * minuteMs }, { outcomes: 4 }, { outcomes: 99 }]) {
      expect(past?.at(point)).toEqual(trial.instance('k'))
    }
    expect(past?.at({ outcomes: 2 })).toMatchObject({ result: null, endedMs: null, changedMs: 1000 + minuteMs })
  })

  it('tells what changed between two points', async () => {
    const trial = sagaTest(order(), { startMs: 0 })
    await trial.start('k', null)
    await trial.advance('1m')
    const past = trial.past('k')
    expect(past?.difference({ outcomes: 1 }, { outcomes: 2 })).toMatchObject({
      changes: [
        { path: '/changedMs', before: 0, after: minuteMs },
        { path: '/activities/1/dueMs', before: minuteMs, after: null },
        { path: '/activities/1/state', before: 'waiting', after: 'done' },
        { path: '/activities/2', before: undefined },
      ],
      happenings: [{ what: 'outcome' }, { what: 'asked' }],
    })
    expect(past?.difference({ time: 0 }).to).toEqual(trial.instance('k'))
    expect(past?.difference({ outcomes: 9 }).changes).toEqual([])
  })

  it('knows that one had completed that was compensated later', async () => {
    const trial = sagaTest(order(), { startMs: 0 })
    await trial.start('k', null)
    await trial.advance('1m')
    await trial.signal('k', 'word', 'go')
    await trial.advance('1h')
    await trial.compensate('k')
    const past = trial.past('k')
    expect(past?.at({ time: minuteMs })?.status).toBe('completed')
    expect(past?.at({ time: minuteMs - 1 })?.status).toBe('running')
    const last = past?.happenings.slice(-5).map(({ what, id = '' }) => `${what} ${id}`.trim())
    expect(last).toEqual(['completed', 'compensating', 'undone ship', 'undone charge', 'compensated'])
  })

  it('names the message that brought a signal, also one that waited, and none where the time was up', async () => {
    const Paid = event('Paid', { data: z.object({ id: z.string() }), key: ({ id }) => id })
    const waits = saga(
      'waits',
      { start: anything, steps: {}, signals: { paid: Paid, word: z.string() } },
      async (scope) => {
        await scope.sleep('rest', '1m')
        await scope.signal('paid')
        await scope.signal('word', { timeout: '1m' })
      },
    )
    const trial = sagaTest(waits, { startMs: 0 })
    await trial.start('k', null)
    const paid = Paid({ id: 'k' }, { id: 'p1', correlationid: 'flow' })
    await trial.send(paid)
    await trial.advance('2m')
    const told = trial.past('k')?.happenings.filter(({ what }) => what === 'outcome')
    expect(told?.map(({ id, message }) => [id, message])).toEqual([
      ['sleep:rest', undefined],
      ['signal:paid#1', { id: 'p1', type: 'Paid', correlationid: 'flow' }],
      ['signal:word#1', undefined],
    ])
  })

  it('tells what the body showed then, of the last that it showed', async () => {
    const shows = saga('shows', { start: anything, steps: {} }, async (scope) => {
      scope.show({ at: -1 })
      for (let n = 0; n < 120; n++) {
        scope.show({ at: n })
        await scope.sleep(`rest${n}`, '1m')
      }
    })
    const trial = sagaTest(shows, { startMs: 0 })
    await trial.start('k', null)
    const shownAt = (outcomes: number): unknown => trial.past('k')?.at({ outcomes })?.shown
    await trial.advance('3m')
    expect([0, 1, 2, 3].map(shownAt)).toEqual([{ at: 0 }, { at: 1 }, { at: 2 }, { at: 3 }])
    expect(trial.past('k')?.at({ time: minuteMs })?.shown).toEqual({ at: 1 })
    expect(trial.past('k')?.at({ time: 2 * minuteMs - 1 })?.shown).toEqual({ at: 1 })
    while (JSON.stringify(trial.instance('k')?.shown) !== '{"at":110}') await trial.advance('1m')
    // It has shown 111 things, and more has been replayed than is kept.
    expect([0, 10, 11, 109, 110].map(shownAt)).toEqual([null, null, { at: 11 }, { at: 109 }, { at: 110 }])
    while (trial.instance('k')?.status !== 'completed') await trial.advance('1m')
    expect(trial.instance('k')).toMatchObject({ shown: { at: 119 } })
  })

  it.each([
    { outcomes: -1 },
    { outcomes: 1.5 },
    { outcomes: undefined as unknown as number },
    { time: 'noon' },
    { time: Number.NaN },
  ])('refuses %o as a point', async (point) => {
    const trial = sagaTest(order())
    await trial.start('k', null)
    expect(() => trial.past('k')?.at(point)).toThrow(expect.objectContaining({ code: 'OPTIONS_INVALID' }))
  })

  it('is as it was seen then, whatever the body does', async () => {
    const kinds = ['works', 'fails once', 'is refused', 'rests', 'two at once'] as const
    await fc.assert(
      fc.asyncProperty(fc.array(fc.constantFrom(...kinds), { maxLength: 6 }), async (plan) => {
        const { act } = world()
        const once = (_input: unknown, { attempt }: { readonly attempt: number }): string => {
          if (attempt === 1) throw new RangeError('not yet')
          return 'done'
        }
        const steps = {
          works: act('works'),
          once: act('once', { run: once, retry: fixed({ delay: '30s', max: 2 }) }),
          refused: act('refused', { run: failing }),
          broken: act('broken', { run: broken }),
        }
        const s = saga('s', { start: anything, steps }, async (scope) => {
          for (const [n, kind] of plan.entries()) {
            scope.show({ n, kind })
            if (kind === 'works') await scope.step('works', null, { id: String(n) })
            else if (kind === 'fails once') await scope.step('once', null, { id: String(n) })
            else if (kind === 'is refused') await scope.step('refused', null, { id: String(n) })
            else if (kind === 'rests') await scope.sleep(`rest${n}`, '45s')
            else {
              await Promise.all([scope.step('works', null, { id: `${n}a` }), scope.step('once', null, { id: `${n}b` })])
            }
          }
        })
        const trial = sagaTest(s, { startMs: 0 })
        await trial.start('k', null)
        const seen: { readonly timeMs: number; readonly instance: SagaInstance | undefined }[] = []
        for (let n = 0; n < 20; n++) {
          seen.push({ timeMs: trial.clock.nowMs(), instance: trial.instance('k') })
          await trial.advance('15s')
        }
        const past = trial.past('k')
        for (const { timeMs, instance } of seen) {
          const then = past?.at({ time: timeMs })
          // Attempts that failed are not told of the past.
          const calm = (of: SagaInstance | undefined): string =>
            JSON.stringify(shortOf(of)).replaceAll('retrying', 'begun')
          expect(calm(then)).toBe(calm(instance))
          expect(then?.shown).toEqual(instance?.shown)
        }
      }),
      { numRuns: 60 },
    )
  })
})
