import { describe, expect, it } from 'vitest'
import { z } from 'zod'
import { saga } from '../saga/index.ts'
import { sagaTest } from './index.ts'
import { anything, world } from './saga.test-support.ts'

describe('children', () => {
  const { log, act } = world()
  const child = saga(
    'child',
    { start: z.object({ bad: z.boolean() }), steps: { c: act('c') } },
    async (saga, { bad }) => {
      await saga.step('c')
      if (bad) throw new RangeError('the child fails')
      return 'from the child'
    },
  )
  const parent = saga(
    'parent',
    { start: z.object({ bad: z.boolean(), late: z.boolean() }), steps: { p: act('p') }, children: { child } },
    async (saga, { bad, late }) => {
      await saga.step('p')
      const answer = await saga.child('child', { bad })
      if (late) throw new RangeError('the parent fails')
      return answer
    },
  )
  const run = async (input: { bad: boolean; late: boolean }) => {
    log.length = 0
    const trial = sagaTest(parent, { others: [child] })
    await trial.start('k', input)
    await trial.idle()
    return trial
  }

  it('answer their parent', async () => {
    const trial = await run({ bad: false, late: false })
    expect(trial.outcome('k')).toEqual({ status: 'completed', result: 'from the child' })
    expect(trial.instance('k/child', child)?.status).toBe('completed')
  })

  it('that fail make it fail', async () => {
    const trial = await run({ bad: true, late: false })
    expect(trial.outcome('k')).toMatchObject({ status: 'compensated', failure: { code: 'SAGA_CHILD_FAILED' } })
    expect(log).toEqual(['p', 'c', 'undo c', 'undo p'])
  })

  it('that have completed are undone with it, in their place', async () => {
    const trial = await run({ bad: false, late: true })
    expect(trial.outcome('k')?.status).toBe('compensated')
    expect(trial.instance('k/child', child)?.status).toBe('compensated')
    expect(log).toEqual(['p', 'c', 'undo c', 'undo p'])
  })

  it('that are not kept any more park it, and it goes on by hand', async () => {
    const short = saga('child', { start: z.object({ bad: z.boolean() }), keep: '1h' }, () => 'from the child')
    const waits = saga('parent', { start: anything, children: { child: short } }, async (saga) => {
      await saga.child('child', { bad: false })
      await saga.sleep('long', '1d')
    })
    const trial = sagaTest(waits, { others: [short] })
    await trial.start('k', null)
    await trial.advance('2h')
    await trial.cancel('k')
    expect(trial.outcome('k')).toMatchObject({
      status: 'parked',
      report: { reason: 'child-gone', from: 'compensating' },
    })
    await trial.skip('k', 'child:child')
    expect(trial.outcome('k')?.status).toBe('compensated')
  })
})
