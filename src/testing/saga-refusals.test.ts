import { describe, expect, it } from 'vitest'
import { fixed } from '../runtime/index.ts'
import { saga } from '../saga/index.ts'
import { sagaTest } from './index.ts'
import { anything, broken, world } from './saga.test-support.ts'

const { act } = world()
const steps = { a: act('a'), b: act('b', { run: broken, retry: fixed({ delay: '1h', max: 9 }) }) }
const declaration = { start: anything, steps, signals: { go: anything } } as const

describe('to skip', () => {
  it('what cannot be skipped is refused', async () => {
    const one = saga('skips', declaration, async (scope) => {
      await scope.step('a')
      return await scope.step('b')
    })
    const trial = sagaTest(one)
    await trial.start('k', null)
    await expect(trial.skip('k', 'lost')).rejects.toMatchObject({
      code: 'SAGA_SKIP_REFUSED',
      details: { step: 'lost', reason: 'its body has asked for no step or child of this name' },
    })
    await expect(trial.skip('k', 'a')).rejects.toThrow('its body has been told the outcome already')
    await trial.skip('k', 'b', 7)
    expect(trial.outcome('k')).toEqual({ status: 'completed', result: 7 })
    await expect(trial.skip('k', 'b')).rejects.toThrow('it has ended: completed')
  })

  it('an undo is refused once it is undone', async () => {
    let isDown = true
    const undo = (): void => {
      if (isDown) throw new RangeError('down')
    }
    const one = saga('skips', { ...declaration, steps: { a: act('a', { undo }), c: act('c') } }, async (scope) => {
      await scope.step('a')
      await scope.step('c')
      throw new RangeError('no')
    })
    const trial = sagaTest(one)
    await trial.start('k', null)
    await expect(trial.skip('k', 'c')).rejects.toThrow('that is undone already')
    await trial.skip('k', 'a')
    expect(trial.outcome('k')?.status).toBe('compensated')
    isDown = false
  })
})

describe('a retry policy that throws', () => {
  const policy = {
    description: 'of somebody',
    delayMs: (): number => {
      throw new TypeError('no policy')
    },
  }

  it('gives up the step, and says so', async () => {
    const trial = sagaTest(
      saga('thrown', { start: anything, steps: { b: act('b', { run: broken, retry: policy }) } }, (scope) =>
        scope.step('b'),
      ),
    )
    await trial.start('k', null)
    const failure = { code: 'SAGA_STEP_FAILED', message: expect.stringContaining('no policy') }
    expect(trial.outcome('k')).toMatchObject({ status: 'compensated', failure })
  })

  it('does not keep an undo from being tried again', async () => {
    let isDown = true
    const undo = (): void => {
      if (isDown) throw new RangeError('down')
    }
    const one = saga(
      'thrown',
      { start: anything, steps: { a: act('a', { undo, undoRetry: policy }) } },
      async (scope) => {
        await scope.step('a')
        throw new RangeError('no')
      },
    )
    const trial = sagaTest(one)
    await trial.start('k', null)
    expect(trial.instance('k')?.status).toBe('compensating')
    isDown = false
    await trial.advance('1h')
    expect(trial.outcome('k')?.status).toBe('compensated')
  })
})

describe('a signal that comes late', () => {
  const body = (scope: { signal(name: 'go'): Promise<unknown> }): Promise<unknown> => scope.signal('go')

  it('is forgotten by default', async () => {
    const trial = sagaTest(saga('late', declaration, body))
    await trial.start('k', null)
    await trial.signal('k', 'go', 1)
    await trial.signal('k', 'go', 2)
    expect(trial.outcome('k')).toEqual({ status: 'completed', result: 1 })
  })

  it('is a dead letter, if that is wanted', async () => {
    const trial = sagaTest(saga('late', { ...declaration, late: 'dead-letter' }, body))
    await trial.start('k', null)
    await trial.signal('k', 'go', 1)
    await expect(trial.signal('k', 'go', 2)).rejects.toMatchObject({
      code: 'SAGA_LATE',
      details: { key: 'k', told: ['signal go'], status: 'completed' },
    })
    expect(() => saga('late', { ...declaration, late: 'redeliver' as never }, body)).toThrow(/late is redeliver/)
  })
})
