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

  it('that are not part of the test fail it', async () => {
    const trial = sagaTest(parent)
    await expect(trial.start('k', { bad: false, late: false })).rejects.toMatchObject({
      code: 'SAGA_NOT_UNDER_TEST',
      details: { saga: 'child' },
    })
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

  it('begin no further step once it is cancelled', async () => {
    log.length = 0
    const { promise: opened, resolve: open } = Promise.withResolvers<void>()
    const slow = act('slow', {
      run: async () => {
        await opened
        log.push('slow')
        return null
      },
    })
    const busy = saga('child', { start: anything, steps: { slow, next: act('next') } }, async (saga) => {
      await saga.step('slow')
      await saga.step('next')
    })
    const waits = saga(
      'parent',
      { start: anything, steps: { p: act('p') }, children: { child: busy } },
      async (saga) => {
        await saga.step('p')
        await saga.child('child', null)
      },
    )
    const trial = sagaTest(waits, { others: [busy] })
    await trial.start('k', null)
    await trial.cancel('k')
    expect(trial.instance('k')?.status).toBe('compensating')
    open()
    await trial.idle()
    expect(trial.outcome('k')?.status).toBe('compensated')
    expect(log).toEqual(['p', 'slow', 'undo slow', 'undo p'])
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

  describe('under a key that another instance has', () => {
    const shared = saga(
      'parent',
      { start: z.object({ fails: z.boolean() }), steps: { p: act('p') }, children: { child }, keep: '1h' },
      async (saga, { fails }) => {
        await saga.step('p')
        await saga.child('child', { bad: false }, { key: 'shared' })
        if (fails) throw new RangeError('the parent fails')
        await saga.sleep('long', '30d')
      },
    )
    const two = async () => {
      const trial = sagaTest(shared, { others: [child] })
      await trial.start('first', { fails: false })
      log.length = 0
      return trial
    }

    it('are refused: the parent is told, and the instance of the other one stays as it is', async () => {
      const trial = await two()
      await trial.start('second', { fails: false })
      await trial.idle()
      expect(trial.outcome('second')).toMatchObject({
        status: 'compensated',
        failure: { code: 'SAGA_CHILD_FAILED', message: expect.stringContaining('"shared"') },
      })
      expect(trial.instance('shared', child)?.status).toBe('completed')
      expect(log).toEqual(['p', 'undo p'])
      await trial.cancel('first')
      expect(trial.instance('shared', child)?.status).toBe('compensated')
    })

    it('by an earlier life of their parent are refused too', async () => {
      const trial = sagaTest(shared, { others: [child] })
      await trial.start('first', { fails: true })
      await trial.advance('2h')
      expect(trial.instance('first')).toBeUndefined()
      await trial.start('first', { fails: true })
      expect(trial.outcome('first')).toMatchObject({ failure: { code: 'SAGA_CHILD_FAILED' } })
    })

    it('because theirs is not kept any more leave that one alone', async () => {
      const trial = await two()
      await trial.advance('2d')
      await trial.start('second', { fails: false })
      expect(trial.instance('shared', child)?.status).toBe('completed')
      await trial.cancel('first')
      expect(trial.outcome('first')).toMatchObject({ status: 'parked', report: { reason: 'child-gone' } })
      expect(trial.instance('shared', child)?.status).toBe('completed')
      expect(log).not.toContain('undo c')
    })
  })

  it('whose input does not fit are refused, and their parent is told', async () => {
    const wrong = saga('parent', { start: anything, steps: { p: act('p') }, children: { child } }, async (saga) => {
      await saga.step('p')
      await saga.child('child', { bad: 'very' } as never)
    })
    log.length = 0
    const trial = sagaTest(wrong, { others: [child] })
    await trial.start('k', null)
    expect(trial.outcome('k')).toMatchObject({ status: 'compensated', failure: { code: 'SAGA_CHILD_FAILED' } })
    expect(trial.instance('k')?.activities[1]).toMatchObject({
      id: 'child:child',
      state: 'refused',
      error: { code: 'SAGA_INPUT_INVALID' },
    })
    expect(log).toEqual(['p', 'undo p'])
  })

  it('that their parent waits for are skipped by hand, and then are none of its business', async () => {
    const slow = saga('child', { start: anything, steps: { c: act('c') } }, async (saga) => {
      await saga.step('c')
      await saga.sleep('long', '1d')
    })
    const waits = saga('parent', { start: anything, children: { slow } }, async (saga) => {
      const answer = await saga.child('slow', null)
      await saga.sleep('longer', '2d')
      return answer
    })
    const trial = sagaTest(waits, { others: [slow] })
    log.length = 0
    await trial.start('k', null)
    await trial.skip('k', 'child:slow', 'by hand')
    await trial.advance('25h')
    expect(trial.instance('k')?.activities[0]).toMatchObject({ state: 'skipped', output: 'by hand' })
    await trial.cancel('k')
    expect(trial.outcome('k')?.status).toBe('compensated')
    expect(trial.instance('k/slow', slow)?.status).toBe('completed')
    expect(log).toEqual(['c'])
  })

  it.each(['before', 'after'] as const)(
    'end with their parent, also if the process dies %s any commit',
    async (place) => {
      for (let at = 1; at <= 12; at++) {
        log.length = 0
        let died = false
        const interrupt = (commit: number) => {
          if (died || commit !== at) return undefined
          died = true
          return place
        }
        const trial = sagaTest(parent, { others: [child], interrupt })
        await trial.start('k', { bad: false, late: true })
        await trial.idle()
        const ends = [trial.outcome('k')?.status, trial.instance('k/child', child)?.status]
        expect(ends, `dies ${place} commit ${at}`).toEqual(['compensated', 'compensated'])
        expect([...new Set(log)].sort()).toEqual(['c', 'p', 'undo c', 'undo p'])
      }
    },
  )
})
