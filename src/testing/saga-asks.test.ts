import { describe, expect, it } from 'vitest'
import { z } from 'zod'
import type { CommandOutcome } from '../domain/index.ts'
import { command, query } from '../message/index.ts'
import { fixed, none } from '../runtime/index.ts'
import { StepRejectedError, saga, step } from '../saga/index.ts'
import { sagaTest } from './index.ts'
import { anything } from './saga.test-support.ts'

const Reserve = command('Reserve', { data: z.object({ count: z.number() }) })
const Release = command('Release', { data: z.object({ count: z.number() }) })
const GetPrice = query('GetPrice', { params: z.object({ count: z.number() }), result: z.number() })

const accepted: CommandOutcome = { kind: 'accepted', events: [], position: 1, published: [], repeated: false }
const rejected: CommandOutcome = { kind: 'rejected', code: 'FULL', reason: '', details: null, repeated: false }

const steps = {
  seats: step({
    run: async (count: number, ctx) => {
      const price = await ctx.query(GetPrice, { count })
      const outcome = await ctx.ask(Reserve({ count }))
      if (ctx.attempt === 1) throw new Error('the answer is lost')
      if (outcome.kind === 'rejected') throw new StepRejectedError(outcome.code)
      await ctx.ask(Reserve({ count: 1 }))
      return price
    },
    undo: async ({ input: count }, ctx) => {
      const outcome = await ctx.ask(Reserve({ count }), { key: ctx.runKey })
      if (outcome.kind === 'accepted') await ctx.ask(Release({ count }))
    },
    retry: fixed({ delay: '1s', max: 2 }),
  }),
}
const booking = saga('booking', { start: anything, steps, signals: { off: anything } }, async (scope) => {
  const price = await scope.step('seats', 3)
  await scope.signal('off')
  throw new StepRejectedError(`called off at ${price}`)
})

describe('a step under test that asks', () => {
  it('is answered by the test, and asks under one id for each command', async () => {
    const asked: string[] = []
    const test = sagaTest(booking, {
      ask: ({ type, id }) => {
        asked.push(`${type} ${id.slice(id.indexOf('seats'))}`)
        return accepted
      },
      query: (_query, params) => (params as { readonly count: number }).count * 10,
    })
    await test.start('b1', null)
    await test.advance('1s')
    expect(asked).toEqual(['Reserve seats', 'Reserve seats', 'Reserve seats:2'])
    await test.signal('b1', 'off', null)
    expect(asked.slice(3)).toEqual(['Reserve seats', 'Release seats:undo'])
    expect(test.outcome('b1')).toMatchObject({ failure: { message: expect.stringContaining('called off at 30') } })
  })

  it('learns from its own key that nothing has to be undone', async () => {
    const released: string[] = []
    const test = sagaTest(booking, {
      ask: ({ type }) => {
        if (type === Release.type) released.push(type)
        return rejected
      },
      query: () => 1,
    })
    await test.start('b1', null)
    await test.advance('1s')
    expect(test.outcome('b1')).toMatchObject({ status: 'compensated' })
    expect(released).toEqual([])
  })

  it.each([
    ['no command', undefined, {}, 'the command'],
    ['a name', 'Reserve', {}, 'the command'],
    ['no options', Reserve({ count: 1 }), null, 'options is null'],
    ['an empty key', Reserve({ count: 1 }), { key: '' }, 'options.key is empty'],
    ['a key that is no text', Reserve({ count: 1 }), { key: 5 }, 'options.key is 5'],
  ])('is told what is wrong with what it asks: %s', async (_what, asked, options, problem) => {
    const go = step({ run: (_input: null, ctx) => ctx.ask(asked as never, options as never), retry: none })
    const wrong = saga(
      'wrong',
      { start: anything, steps: { go } },
      async (scope) => void (await scope.step('go', null)),
    )
    const test = sagaTest(wrong, { ask: () => accepted })
    await test.start('w', null)
    expect(test.outcome('w')).toMatchObject({ failure: { message: expect.stringContaining(problem) } })
  })

  it('fails a test that does not answer', async () => {
    const test = sagaTest(booking, { query: () => 1 })
    await expect(test.start('b1', null)).rejects.toMatchObject({
      code: 'ASK_NOT_UNDER_TEST',
      details: { option: 'ask', type: 'Reserve' },
    })
    await expect(sagaTest(booking).start('b1', null)).rejects.toMatchObject({ details: { option: 'query' } })
  })
})
