import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { z } from 'zod'
import { fixed } from '../runtime/index.ts'
import { saga, step } from '../saga/index.ts'
import { type Interruption, sagaTest } from './index.ts'
import { anything, broken, world } from './saga.test-support.ts'

const minuteMs = 60_000

function gate(): { readonly opened: Promise<void>; readonly open: () => void } {
  const { promise, resolve } = Promise.withResolvers<void>()
  return { opened: promise, open: () => resolve() }
}

describe('a saga that waits', () => {
  const { log, act } = world()
  const child = saga('child', { start: anything, steps: { c: act('c') } }, async (saga) => {
    await saga.step('c')
    await saga.sleep('long', '30d')
  })
  const later = act('later', { run: broken, retry: fixed({ delay: '1d', max: 9 }) })
  const steps = { a: act('a'), later }
  const options = { start: anything, steps, signals: { go: z.number() }, children: { child } }

  it.each([
    [
      'a sleep',
      saga('s', options, async (saga) => {
        await saga.step('a')
        await saga.sleep('long', '30d')
      }),
      ['a', 'undo a'],
    ],
    [
      'a signal',
      saga('s', options, async (saga) => {
        await saga.step('a')
        await saga.signal('go')
      }),
      ['a', 'undo a'],
    ],
    [
      'a signal with a time-out',
      saga('s', options, async (saga) => {
        await saga.step('a')
        await saga.signal('go', { timeout: '30d' })
      }),
      ['a', 'undo a'],
    ],
    [
      'a child',
      saga('s', options, async (saga) => {
        await saga.step('a')
        await saga.child('child', null)
      }),
      ['a', 'c', 'undo c', 'undo a'],
    ],
    [
      'the next attempt of a step',
      saga('s', options, async (saga) => {
        await saga.step('a')
        await saga.step('later')
      }),
      ['a', 'undo later?', 'undo a'],
    ],
    [
      'all of them',
      saga('s', options, async (saga) => {
        await saga.step('a')
        const sleep = saga.sleep('long', '30d')
        await Promise.all([sleep, saga.signal('go'), saga.child('child', null), saga.step('later')])
      }),
      ['a', 'c', 'undo later?', 'undo c', 'undo a'],
    ],
  ])('for %s is cancelled at once, and undoes what it did', async (_what, waiting, wanted) => {
    log.length = 0
    const trial = sagaTest(waiting, { others: [child] })
    await trial.start('k', null)
    expect(trial.instance('k')?.status).toBe('running')
    await trial.cancel('k')
    expect(trial.outcome('k')?.status).toBe('compensated')
    expect(log).toEqual(wanted)
    // Nothing wakes it up any more.
    await trial.advance('31d')
    expect(log).toEqual(wanted)
  })

  it.each([
    ['its own', 'cancel', ['a', 'b', 'undo b', 'undo a']],
    ['that of somebody who compensates it', 'compensate', ['a', 'b', 'undo b', 'undo a']],
  ] as const)('for a step ends by a cancellation, %s, as soon as that step is over', async (_whose, how, wanted) => {
    log.length = 0
    const { opened, open } = gate()
    const b = act('b', {
      run: async () => {
        await opened
        log.push('b')
        return null
      },
    })
    const s = saga('s', { start: anything, steps: { a: act('a'), b, c: act('c') } }, async (saga) => {
      await saga.step('a')
      await saga.step('b')
      await saga.step('c')
    })
    const trial = sagaTest(s)
    await trial.start('k', null)
    await trial[how]('k', 'enough')
    expect(log).toEqual(['a'])
    open()
    await trial.idle()
    expect(log).toEqual(wanted)
    expect(trial.outcome('k')).toMatchObject({ status: 'compensated', failure: { message: 'enough' } })
    // Whatever woke it up in between has nothing left to do.
    await trial.advance('1h')
    expect(log).toEqual(wanted)
  })

  it('for steps side by side lets all of them end before it undoes them, and begins none that was not begun', async () => {
    log.length = 0
    const gates = { a: gate(), b: gate() }
    const slow = (name: 'a' | 'b') =>
      act(name, {
        run: async () => {
          await gates[name].opened
          log.push(name)
          return null
        },
      })
    const s = saga('s', { start: anything, steps: { a: slow('a'), b: slow('b'), c: act('c') } }, async (saga) => {
      await Promise.all([saga.step('a').then(() => saga.step('c')), saga.step('b')])
    })
    const trial = sagaTest(s)
    await trial.start('k', null)
    await trial.cancel('k')
    gates.a.open()
    await trial.advance('1s')
    expect(log).toEqual(['a'])
    expect(trial.outcome('k')).toBeUndefined()
    gates.b.open()
    await trial.idle()
    expect(log).toEqual(['a', 'b', 'undo b', 'undo a'])
    expect(trial.outcome('k')?.status).toBe('compensated')
  })

  it('is not called off by a signal', async () => {
    log.length = 0
    const { opened, open } = gate()
    const a = act('a', {
      run: async () => {
        await opened
        log.push('a')
        return null
      },
    })
    const options = { start: anything, steps: { a, b: act('b') }, signals: { go: z.number() } }
    const s = saga('s', options, async (saga) => {
      await saga.step('a')
      await saga.step('b')
      return await saga.signal('go')
    })
    const trial = sagaTest(s)
    await trial.start('k', null)
    await trial.signal('k', 'go', 7)
    open()
    await trial.idle()
    expect(log).toEqual(['a', 'b'])
    expect(trial.outcome('k')).toEqual({ status: 'completed', result: 7 })
  })

  it('sleeps for as long as it shall, however many sleeps there are and however often its process dies', async () => {
    const kill = fc.option(fc.constantFrom<Interruption>('before', 'after'), { nil: undefined, freq: 2 })
    const minutes = fc.array(fc.integer({ min: 0, max: 120 }), { minLength: 1, maxLength: 8 })
    await fc.assert(
      fc.asyncProperty(minutes, fc.array(kill, { maxLength: 12 }), async (sleeps, kills) => {
        const woken = new Map<number, number>()
        const s = saga('s', { start: z.array(z.number()) }, async (saga, all) => {
          const startedMs = saga.nowMs()
          const one = async (n: number, index: number): Promise<number> => {
            await saga.sleep(`sleep ${index}`, n * minuteMs)
            if (!woken.has(index)) woken.set(index, trial.clock.nowMs() - startedMs)
            return saga.nowMs() - startedMs
          }
          return await Promise.all(all.map(one))
        })
        let commit = 0
        const trial = sagaTest(s, { interrupt: () => kills[commit++] })
        await trial.start('k', sleeps)
        for (let n = 0; n < 120; n += 10) await trial.advance('10m')
        const wanted = sleeps.map((n) => n * minuteMs)
        expect(trial.outcome('k')).toEqual({ status: 'completed', result: wanted })
        expect(wanted.map((_, index) => woken.get(index))).toEqual(wanted)
      }),
      { numRuns: 100, verbose: 1 },
    )
  })

  it('takes a signal that is there when its time-out is due, and leaves one that comes later to the next wait', async () => {
    let isBusy = true
    const gate = Promise.withResolvers<void>()
    const slow = step({
      run: async () => {
        if (isBusy) await gate.promise
      },
      timeout: '1d',
    })
    const s = saga('s', { start: anything, steps: { slow }, signals: { go: z.number() } }, async (saga) => {
      const waiting = saga.signal('go', { timeout: '10m' })
      await saga.step('slow')
      const first = await waiting
      const second = await saga.signal('go', { timeout: '10m' })
      const third = await saga.signal('go')
      return [first, second, third].map((one) => one ?? null)
    })
    const trial = sagaTest(s)
    await trial.signal('k', 'go', 1)
    await trial.start('k', null)
    await trial.advance('20m')
    isBusy = false
    gate.resolve()
    await trial.idle()
    await trial.advance('10m')
    await trial.signal('k', 'go', 2)
    expect(trial.outcome('k')).toEqual({ status: 'completed', result: [1, null, 2] })
  })

  it('for the first of several goes on with the one that succeeds, though others fail before and go on after', async () => {
    const picky = step({ run: broken, retry: fixed({ delay: '1m', max: 2 }) })
    const s = saga('s', { start: anything, steps: { picky }, signals: { go: z.number() } }, async (saga) => {
      const rest = saga.sleep('rest', '1h').then(() => 'rested')
      const first = await Promise.any([saga.step('picky'), rest, saga.signal('go')])
      return [first, saga.nowMs() - 1_767_225_600_000]
    })
    const trial = sagaTest(s)
    await trial.start('k', null)
    await trial.advance('1h')
    expect(trial.outcome('k')).toEqual({ status: 'completed', result: ['rested', 60 * minuteMs] })
  })
})
