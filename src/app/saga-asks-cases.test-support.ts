import { describe, expect, it } from 'vitest'
import { z } from 'zod'
import { type Amount, accountDecider, Deposit, Open, Withdraw } from '../domain/account.test-support.ts'
import { answer, type CommandOutcome } from '../domain/index.ts'
import { type CommandMessage, query } from '../message/index.ts'
import { fixed } from '../runtime/index.ts'
import { type StepContext, StepRejectedError, saga, step } from '../saga/index.ts'
import { gate } from './app.test-support.ts'
import type { AppGround } from './app-ground.test-support.ts'
import { app, service } from './index.ts'

const transferData = z.object({ from: z.string(), to: z.string(), amount: z.number(), limit: z.boolean().optional() })
type Transfer = z.infer<typeof transferData>

const GetLimit = query('GetLimit', { params: z.object({ id: z.string() }), result: z.number() })
const getLimit = answer(GetLimit, ({ data }) => (data.id === 'poor' ? 10 : 1000))
const account = accountDecider()
const bankService = service('accounts', [account, getLimit])

/** Money goes from one account to another, by commands, and back if the second one does not take it. */
function transfers(options: { readonly losesAnswers?: boolean } = {}) {
  const outcomes: CommandOutcome[] = []
  const asked = gate()
  const settled = async (ctx: StepContext, command: CommandMessage): Promise<void> => {
    asked.open()
    const outcome = await ctx.ask(command)
    outcomes.push(outcome)
    if (options.losesAnswers && ctx.attempt === 1) throw new Error('the answer is lost')
    if (outcome.kind === 'rejected') throw new StepRejectedError(outcome.code)
  }
  const retry = fixed({ delay: 1, max: 5 })
  const steps = {
    check: step({
      run: async ({ from, amount }: Transfer, ctx) => {
        if (amount > (await ctx.query(GetLimit, { id: from }))) throw new StepRejectedError('beyond the limit')
      },
      retry,
    }),
    take: step({
      run: ({ from, amount }: Transfer, ctx) => settled(ctx, Withdraw({ id: from, amount })),
      undo: async ({ input: { from, amount } }, ctx) => {
        // What was rejected may have been so in an attempt that nobody heard of.
        const outcome = await ctx.ask(Withdraw({ id: from, amount }), { key: ctx.runKey })
        if (outcome.kind === 'accepted') await settled(ctx, Deposit({ id: from, amount }))
      },
      retry,
      undoRetry: retry,
    }),
    give: step({
      run: ({ to, amount }: Transfer, ctx) => settled(ctx, Deposit({ id: to, amount })),
      retry,
    }),
  }
  const transfer = saga('transfer', { start: transferData, steps }, async (scope, input) => {
    if (input.limit === true) await scope.step('check', input)
    await scope.step('take', input)
    await scope.step('give', input)
    return 'done'
  })
  return { transfer, outcomes, asked: asked.opened }
}

/** Steps of sagas that ask commands and queries. */
export function testSagaAsks(ground: AppGround): void {
  describe('a step that asks', () => {
    it('has a command decided once, however often it runs, and is undone by another', async () => {
      const { transfer, outcomes } = transfers({ losesAnswers: true })
      await using engine = await ground.open()
      await using running = await app('bank', { services: [bankService], sagas: [transfer] }).start({ engine })
      for (const id of ['rich', 'other']) await running.ask(Open({ id }))
      await running.ask(Deposit({ id: 'rich', amount: 100 }))
      const client = running.saga(transfer)
      expect(await client.run('t1', { from: 'rich', to: 'other', amount: 30 })).toMatchObject({ status: 'completed' })
      expect(outcomes.map(({ kind, repeated }) => `${kind} ${repeated}`)).toEqual([
        'accepted false',
        'accepted true',
        'accepted false',
        'accepted true',
      ])
      // Nobody has opened this one: what was taken is given back.
      expect(await client.run('t2', { from: 'rich', to: 'nobody', amount: 50 })).toMatchObject({
        status: 'compensated',
        failure: { code: 'SAGA_STEP_REJECTED' },
      })
      expect(await client.run('t3', { from: 'rich', to: 'other', amount: 71 })).toMatchObject({ status: 'compensated' })
      expect(await balance(running.ask.bind(running), 'rich')).toBe(70)
      expect(await balance(running.ask.bind(running), 'other')).toBe(30)
    })

    it('gets answers to queries, and is told of a handler that is not there', async () => {
      const { transfer } = transfers()
      await using engine = await ground.open()
      await using running = await app('bank', { services: [bankService], sagas: [transfer] }).start({ engine })
      const outcome = await running.saga(transfer).run('t1', { from: 'poor', to: 'other', amount: 30, limit: true })
      expect(outcome).toMatchObject({ status: 'compensated', failure: { message: expect.stringContaining('limit') } })
      await running.stop()
      const { transfer: lonely } = transfers()
      await using alone = await app('lonely', { sagas: [lonely] }).start({ engine })
      const failed = await alone.saga(lonely).run('t1', { from: 'poor', to: 'other', amount: 30, limit: true })
      expect(failed).toMatchObject({ status: 'compensated', failure: { message: expect.stringContaining('GetLimit') } })
    })

    it('asks another app, and an app that stops meanwhile is no failure of it', async () => {
      const { transfer, asked } = transfers()
      await using engine = await ground.open()
      const bank = app('bank', { services: [bankService] })
      const before = await bank.start({ engine })
      for (const id of ['rich', 'other']) await before.ask(Open({ id }))
      await before.ask(Deposit({ id: 'rich', amount: 100 }))
      await before.stop()
      const front = app('front', { remote: [Open, Deposit, Withdraw], sagas: [transfer] })
      const first = await front.start({ engine, stopTimeout: 50 })
      await first.saga(transfer).start('t1', { from: 'rich', to: 'other', amount: 30 })
      await asked
      await first.stop()
      await using after = await bank.start({ engine })
      await using running = await front.start({ engine })
      expect(await running.saga(transfer).outcome('t1')).toEqual({ status: 'completed', result: 'done' })
      const steps = (await running.saga(transfer).get('t1'))?.activities.map(({ id, attempts }) => [id, attempts])
      expect(steps).toEqual([
        ['take', 0],
        ['give', 0],
      ])
      expect(await balance(after.ask.bind(after), 'rich')).toBe(70)
    })
  })
}

/** What stands in an account, as its decider tells who wants more. */
async function balance(ask: (command: CommandMessage) => Promise<CommandOutcome>, id: Amount['id']): Promise<unknown> {
  const outcome = await ask(Withdraw({ id, amount: 1_000_000 }))
  return outcome.kind === 'rejected' ? (outcome.details as { readonly balance: number }).balance : undefined
}
