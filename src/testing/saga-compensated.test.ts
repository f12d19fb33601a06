import { describe, expect, it } from 'vitest'
import { z } from 'zod'
import { command, event, type Message } from '../message/index.ts'
import { publish, send } from '../runtime/index.ts'
import { type CompensatedEffects, StepRejectedError, saga } from '../saga/index.ts'
import { type Interruption, sagaTest } from './index.ts'
import { anything, failing, world } from './saga.test-support.ts'

const id = z.object({ id: z.string() })
const Cancelled = event('Cancelled', { topic: 'orders', data: id.extend({ why: z.string() }), key: (d) => d.id })
const Notify = command('Notify', { data: id })

describe('what a saga says once everything is undone', () => {
  const { log, act } = world()
  const steps = { a: act('a'), b: act('b', { run: failing }) }

  it('goes out after the last undo, once, with the input and the reason', async () => {
    log.length = 0
    const s = saga(
      's',
      {
        start: id,
        steps,
        compensated: (input, { key, failure }) => {
          log.push(`told ${key}`)
          return [publish(Cancelled({ ...input, why: failure.message })), false, send(Notify(input))]
        },
      },
      async (saga) => {
        await saga.step('a')
        await saga.step('b')
      },
    )
    const trial = sagaTest(s)
    await trial.start('k', { id: 'o1' })
    expect(log).toEqual(['a', 'undo a', 'told k'])
    expect(trial.published).toMatchObject([{ type: 'Cancelled', data: { id: 'o1', why: 'refused' } }])
    expect(trial.sent).toMatchObject([{ type: 'Notify' }])
  })

  it('has the same ids after a crash at any commit', async () => {
    const s = saga(
      's',
      { start: id, steps, compensated: (input) => publish(Cancelled({ ...input, why: '' })) },
      async (saga) => {
        await saga.step('a')
        throw new StepRejectedError('no')
      },
    )
    const ids = new Set<string>()
    for (let commit = 0; commit <= 6; commit++) {
      for (const moment of ['before', 'after'] as const) {
        const trial = sagaTest(s, { interrupt: (n) => (n === commit ? moment : undefined) })
        await trial.start('k', { id: 'o1' })
        await trial.idle()
        expect(trial.outcome('k')?.status).toBe('compensated')
        expect(trial.published).toHaveLength(1)
        for (const message of trial.published) ids.add(message.id)
      }
    }
    expect(ids.size).toBe(1)
  })

  it('is said when somebody cancels, and not when the body returns', async () => {
    const s = saga(
      's',
      { start: id, compensated: (input, { failure }) => publish(Cancelled({ ...input, why: failure.message })) },
      (saga) => saga.sleep('long', '1d'),
    )
    const trial = sagaTest(s)
    await trial.start('o1', { id: 'o1' })
    await trial.start('o2', { id: 'o2' })
    await trial.cancel('o1', 'the customer called')
    await trial.advance('1d')
    expect(trial.outcome('o2')?.status).toBe('completed')
    expect(trial.published.map(({ data }) => data)).toEqual([
      { id: 'o1', why: expect.stringContaining('the customer called') },
    ])
  })

  it('knows how far the body came, in step with what it published', async () => {
    log.length = 0
    const told = (why: string): Message => Cancelled({ id: 'k', why })
    const how = (shown: unknown): string => `shown ${JSON.stringify(shown)}`
    const s = saga(
      's',
      {
        start: anything,
        steps: { a: act('a'), b: act('b') },
        compensated: (_input, { shown }) => publish(told(how(shown))),
      },
      async (saga) => {
        await saga.step('a')
        saga.show('a is done')
        saga.publish(told('a'))
        await saga.step('b')
        saga.show('b is done')
        saga.publish(told('b'))
        throw new StepRejectedError('enough')
      },
    )
    const ends = async (interrupt: (commit: number) => Interruption): Promise<unknown[]> => {
      const trial = sagaTest(s, { interrupt })
      await trial.start('k', null)
      await trial.idle()
      return trial.published.map(({ data }) => (data as { readonly why: string }).why)
    }
    const whole = ['a', 'b', 'shown "b is done"']
    expect(await ends(() => undefined)).toEqual(whole)
    for (let at = 1; at <= 6; at++) {
      for (const moment of ['before', 'after'] as const) {
        expect(await ends((commit) => (commit === at ? moment : undefined))).toEqual(whole)
      }
    }
    const nothing = saga(
      's',
      { start: anything, compensated: (_input, { shown }) => publish(told(how(shown))) },
      () => {
        throw new StepRejectedError('at once')
      },
    )
    const trial = sagaTest(nothing)
    await trial.start('k', null)
    expect(trial.published.map(({ data }) => (data as { readonly why: string }).why)).toEqual(['shown undefined'])
  })

  it.each([
    ['throws', () => JSON.parse('{') as unknown, 'threw'],
    ['answers a promise', async () => undefined, 'not what publish() and send() make'],
    [
      'answers a promise that fails',
      () => Promise.reject(new RangeError('late')),
      'not what publish() and send() make',
    ],
    ['answers something else', () => ({ kind: 'set', value: 1 }), 'not what publish() and send() make'],
  ])('parks it when it %s, with everything undone, until it is corrected', async (_what, wrong, problem) => {
    log.length = 0
    const declare = (compensated: () => unknown) =>
      saga('s', { start: anything, steps, compensated: compensated as () => CompensatedEffects }, async (saga) => {
        await saga.step('a')
        await saga.step('b')
      })
    const trial = sagaTest(declare(wrong))
    await trial.start('k', null)
    expect(trial.instance('k')?.parked).toMatchObject({ reason: 'compensated-threw', from: 'compensating' })
    expect(trial.instance('k')?.parked?.problem).toContain(problem)
    trial.deploy(declare(() => publish(Cancelled({ id: 'k', why: 'late' }))))
    await trial.retry('k')
    expect(trial.outcome('k')?.status).toBe('compensated')
    expect(trial.published).toHaveLength(1)
    expect(log).toEqual(['a', 'undo a'])
  })
})
