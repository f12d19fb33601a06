import { describe, expect, it } from 'vitest'
import { z } from 'zod'
import { fixed } from '../runtime/index.ts'
import { type Step, saga, step } from '../saga/index.ts'
import { type Interruption, sagaTest } from './index.ts'
import { anything, failing, world } from './saga.test-support.ts'

type Scope = Parameters<
  Parameters<
    typeof saga<
      typeof anything,
      unknown,
      { a: Step<unknown, unknown>; b: Step<unknown, unknown>; x: Step<unknown, unknown> },
      { go: z.ZodNumber }
    >
  >[2]
>[0]

describe('another program', () => {
  const { log, act } = world()
  const steps = { a: act('a'), b: act('b'), x: act('x') }
  const base = { start: anything, steps, signals: { go: z.number() } }
  const first = saga('s', base, async (saga) => {
    await saga.step('a')
    await saga.signal('go')
    return await saga.step('b')
  })
  const waiting = async () => {
    log.length = 0
    const trial = sagaTest(first)
    await trial.start('k', null)
    return trial
  }

  it.each([
    [
      'asks for more',
      async (saga: Scope) => {
        await saga.step('x')
        await saga.step('a')
        await saga.signal('go')
      },
      'a next, but the body did not ask for it: it asked for x',
    ],
    [
      'asks for less',
      async (saga: Scope) => {
        await saga.signal('go')
      },
      'a next, but the body did not ask for it: it asked for signal:go#1',
    ],
    ['ends', async () => 'at once', 'it ended'],
    [
      'throws',
      async () => {
        throw new RangeError('oh')
      },
      'it threw "oh"',
    ],
    [
      'gives another input',
      async (saga: Scope) => {
        await saga.step('a', 7)
        await saga.signal('go')
      },
      'The input of a was null, now it is 7',
    ],
    [
      'means something else',
      async (saga: Scope) => {
        await saga.step('b', undefined, { id: undefined as never })
        await saga.step('a')
      },
      'it asked for b',
    ],
    [
      'asks twice',
      async (saga: Scope) => {
        await Promise.all([saga.step('a'), saga.step('a')])
      },
      'asked for a twice',
    ],
  ])('that %s parks the instance, and a better one goes on', async (_what, body, problem) => {
    const trial = await waiting()
    trial.deploy(saga('s', base, body as never))
    await trial.signal('k', 'go', 1)
    const report = { reason: 'not-deterministic', problem: expect.stringContaining(problem), from: 'running' }
    expect(trial.outcome('k')).toMatchObject({ status: 'parked', report })
    // Nothing of the wrong way is kept.
    expect(trial.instance('k')?.activities.map(({ id }) => id)).toEqual(['a', 'signal:go#1'])
    trial.deploy(first)
    await trial.retry('k')
    expect(trial.outcome('k')).toEqual({ status: 'completed', result: 'b done' })
    expect(log).toEqual(['a', 'b'])
  })

  it('that goes astray shows nothing', async () => {
    const trial = sagaTest(
      saga('s', base, async (saga) => {
        saga.show('before')
        await saga.step('a')
        saga.show('waiting')
        await saga.signal('go')
      }),
    )
    await trial.start('k', null)
    trial.deploy(
      saga('s', base, async (saga) => {
        saga.show('lost')
        await saga.step('b')
      }),
    )
    await trial.signal('k', 'go', 1)
    expect(trial.instance('k')).toMatchObject({ status: 'parked', shown: 'waiting' })
  })

  it('that takes new ways for new instances goes on with old ones', async () => {
    const trial = await waiting()
    trial.deploy(
      saga('s', { ...base, version: 2 }, async (saga) => {
        if (saga.patched('check')) await saga.step('x')
        await saga.step('a')
        await saga.signal('go')
        const isNew = saga.patched('end')
        await saga.step('b')
        return [saga.version, isNew]
      }),
    )
    await trial.start('new', null)
    await trial.signal('new', 'go', 1)
    await trial.signal('k', 'go', 1)
    expect(trial.outcome('k')).toEqual({ status: 'completed', result: [1, true] })
    expect(trial.outcome('new')).toEqual({ status: 'completed', result: [2, true] })
    expect(log).toEqual(['a', 'x', 'a', 'b', 'b'])
  })

  it('that lacks a step parks the instance, which can be compensated by hand', async () => {
    const trial = await waiting()
    const { b: _b, ...fewer } = steps
    trial.deploy(saga('s', { ...base, steps: fewer as never }, first.definition.body as never))
    await trial.signal('k', 'go', 1)
    expect(trial.outcome('k')).toMatchObject({ status: 'parked', report: { reason: 'step-unknown' } })
    await trial.compensate('k')
    expect(trial.outcome('k')).toMatchObject({ status: 'parked', report: { from: 'compensating' } })
    await trial.skip('k', 'b')
    expect(trial.outcome('k')?.status).toBe('compensated')
    expect(log).toEqual(['a', 'undo a'])
  })

  it('of an older version parks what a newer one began', async () => {
    const trial = sagaTest(saga('s', { ...base, version: 3 }, first.definition.body as never))
    await trial.start('k', null)
    trial.deploy(first)
    await trial.signal('k', 'go', 1)
    expect(trial.outcome('k')).toMatchObject({ status: 'parked', report: { reason: 'version-unknown' } })
  })
})

describe('a body', () => {
  it('that is not deterministic fails its test', async () => {
    let runs = 0
    const { act } = world()
    const s = saga('s', { start: anything, steps: { a: act('a'), b: act('b') } }, async (saga) => {
      await saga.step('a', ++runs)
      await saga.step('b')
    })
    await expect(sagaTest(s).start('k', null)).rejects.toMatchObject({
      code: 'SAGA_NOT_DETERMINISTIC',
      details: { problem: expect.stringContaining('The input of a was 1, now it is 2') },
    })
  })

  it('that waits for something else has some time for it', async () => {
    const gate = Promise.withResolvers<number>()
    const s = saga('s', { start: anything, stallTimeout: '10s' }, async () => gate.promise)
    const trial = sagaTest(s, { replay: false })
    await trial.start('k', null)
    await trial.advance('9s')
    expect(trial.instance('k')).toBeUndefined()
    await trial.advance('1s')
    expect(trial.outcome('k')).toMatchObject({ status: 'parked', report: { reason: 'stalled' } })
    gate.resolve(7)
    await trial.retry('k')
    expect(trial.outcome('k')).toEqual({ status: 'completed', result: 7 })
  })

  it('that waits for something else, though what it asked for before is due, has no more time than that', async () => {
    const options = { start: anything, stallTimeout: '10s' } as const
    const trial = sagaTest(saga('s', options, (saga) => saga.sleep('nap', '1m')))
    await trial.start('k', null)
    trial.deploy(saga('s', options, () => new Promise(() => undefined)))
    await trial.advance('1m')
    expect(trial.instance('k')?.status).toBe('running')
    await trial.advance('10s')
    expect(trial.outcome('k')).toMatchObject({ status: 'parked', report: { reason: 'stalled' } })
  })

  it('that is to be parked while a step still runs is not woken by what falls due meanwhile', async () => {
    const gate = Promise.withResolvers<string>()
    const steps = { slow: step({ run: () => gate.promise, timeout: '1h' }) }
    const s = saga('s', { start: anything, steps }, async (saga) => {
      const slow = saga.step('slow')
      const longer = saga.sleep('longer', '2m')
      await saga.sleep('nap', '1m')
      await Promise.all([slow, longer, saga.signal('unknown' as never)])
    })
    const trial = sagaTest(s, { replay: false })
    await trial.start('k', null)
    await trial.advance('3m')
    gate.resolve('done')
    await trial.idle()
    expect(trial.outcome('k')).toMatchObject({ status: 'parked', report: { reason: 'step-unknown' } })
  })

  it('whose result is no JSON is parked', async () => {
    const s = saga('s', { start: anything }, () => new Map())
    const trial = sagaTest(s)
    await trial.start('k', null)
    expect(trial.outcome('k')).toMatchObject({ status: 'parked', report: { reason: 'not-json' } })
  })

  it('that asks for too much is parked', async () => {
    const big = step({ run: () => 'x'.repeat(1_000_000) })
    const s = saga('s', { start: anything, steps: { big } }, async (saga) => {
      for (let n = 0; ; n++) await saga.step('big', undefined, { id: String(n) })
    })
    const trial = sagaTest(s, { replay: false })
    await trial.start('k', null)
    expect(trial.outcome('k')).toMatchObject({ status: 'parked', report: { reason: 'journal-full' } })
  })
})

describe('the size of a journal', () => {
  it('is that of its entries as they are now, however often they have changed', async () => {
    let failures = 99
    const act = step({
      run: (text: string) => {
        if (failures-- > 0) throw new RangeError('not yet')
        return text.length
      },
      retry: fixed({ delay: '1m', max: 1000 }),
    })
    const s = saga('s', { start: anything, steps: { act } }, (saga) => saga.step('act', 'x'.repeat(100_000)))
    const trial = sagaTest(s, { replay: false })
    await trial.start('k', null)
    await trial.advance('99m')
    expect(trial.outcome('k')).toEqual({ status: 'completed', result: 100_000 })
  })
})

describe('a process that dies', () => {
  const places: Interruption[] = ['before', 'after']
  it.each(places)('%s any commit loses nothing, and does nothing under a second key', async (place) => {
    for (let at = 1; at <= 12; at++) {
      const effects = new Map<string, number>()
      const act = (name: string): Step<unknown, string> =>
        step({
          run: (_input: unknown, ctx) => {
            effects.set(ctx.key, (effects.get(ctx.key) ?? 0) + 1)
            return name
          },
          undo: (_done, ctx) => void effects.set(ctx.key, (effects.get(ctx.key) ?? 0) + 1),
        })
      const steps = { a: act('a'), b: act('b'), c: act('c'), d: step({ run: failing, undo: () => undefined }) }
      const s = saga('s', { start: anything, steps, signals: { go: z.number() } }, async (saga) => {
        await saga.step('a')
        await saga.sleep('rest', '1m')
        const n = await saga.signal('go')
        await Promise.all([saga.step('b', n), saga.step('c')])
        await saga.step('d')
      })
      let died = false
      const trial = sagaTest(s, {
        interrupt: (commit) => {
          if (died || commit !== at) return undefined
          died = true
          return place
        },
      })
      await trial.start('k', null)
      await trial.signal('k', 'go', 1)
      await trial.advance('1m')
      await trial.idle()
      expect(trial.outcome('k')?.status, `dies ${place} commit ${at}`).toBe('compensated')
      // Each step and each undo had one key, whatever it took.
      expect([...effects.keys()]).toHaveLength(6)
      expect(trial.instance('k')?.signalCount, 'a signal is taken once').toBe(0)
    }
  })
})
