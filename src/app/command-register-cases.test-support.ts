import { describe, expect, it } from 'vitest'
import { z } from 'zod'
import { accountDecider, Deposit, Open } from '../domain/account.test-support.ts'
import { answer } from '../domain/index.ts'
import { command, query } from '../message/index.ts'
import { on } from '../runtime/index.ts'
import { engineWith } from './app.test-support.ts'
import type { AppGround } from './app-ground.test-support.ts'
import { app, service } from './index.ts'

const GetText = query('GetText', { params: z.object({}), result: z.string() })
const Notify = command('Notify', { data: z.object({ id: z.string() }), key: (data) => data.id })
const decides = service('accounts', [accountDecider()])
const others = service('others', [answer(GetText, () => 'text'), on(Notify, { name: 'notify' }, () => undefined)])

/** Commands and queries have one handler, whichever apps run. */
export function testHandlerRegister(ground: AppGround): void {
  describe('a command or query that two apps handle', () => {
    it('is left to the one that runs, until that has stopped', async () => {
      await using engine = await ground.open()
      const first = await app('one', { services: [decides, others] }).start({ engine })
      const second = app('two', { services: [service('bank', [accountDecider()]), others] })
      await expect(second.start({ engine })).rejects.toMatchObject({
        code: 'HANDLER_TAKEN',
        details: {
          taken: ['Open', 'Deposit', 'Withdraw', 'Notify', 'GetText'].map((type) => ({
            type,
            group:
              type === 'GetText'
                ? 'one.others.GetText'
                : type === 'Notify'
                  ? 'one.others.notify'
                  : 'one.accounts.account',
            by:
              type === 'GetText' ? 'two.others.GetText' : type === 'Notify' ? 'two.others.notify' : 'two.bank.account',
          })),
        },
      })
      // Nothing of it has begun, and the first goes on.
      expect(await engine.groups.describe('two.bank.account')).toBeUndefined()
      expect(await first.ask(Open({ id: 'a' }))).toMatchObject({ kind: 'accepted' })
      await using front = await app('three', { remote: [Open, Deposit] }).start({ engine })
      expect(await front.ask(Deposit({ id: 'a', amount: 5 }))).toMatchObject({ kind: 'accepted' })
      await using again = await app('one', { services: [decides, others] }).start({ engine })
      await Promise.all([first.stop(), again.stop()])
      await using running = await second.start({ engine })
      expect(await running.ask(Deposit({ id: 'a', amount: 5 }))).toMatchObject({ kind: 'accepted' })
      await expect(app('one', { services: [decides] }).start({ engine })).rejects.toMatchObject({
        code: 'HANDLER_TAKEN',
      })
    })

    it('goes on in the first, if the second looked before it had members', async () => {
      await using engine = await ground.open()
      // One type, so that each try looks once.
      const notes = service('notes', [on(Notify, { name: 'notify' }, () => undefined)])
      const first = app('one', { services: [notes] })
      await (await first.start({ engine })).stop()
      const looked = Promise.withResolvers<undefined>()
      const started = Promise.withResolvers<undefined>()
      let looks = 0
      const slow = engineWith(engine, 'groups', {
        describe: async (group) => {
          const members = await engine.groups.describe(group)
          if (looks++ === 0) {
            looked.resolve(undefined)
            await started.promise
          }
          return members
        },
      })
      const second = app('two', { services: [notes] }).start({ engine: slow })
      await looked.promise
      await using _running = await first.start({ engine })
      started.resolve(undefined)
      await expect(second).rejects.toMatchObject({ code: 'HANDLER_TAKEN' })
    })

    it('goes on in the second, if it began before the first had members', async () => {
      await using engine = await ground.open()
      const joins = Promise.withResolvers<undefined>()
      const started = Promise.withResolvers<undefined>()
      const slow = engineWith(engine, 'groups', {
        join: async (options) => {
          joins.resolve(undefined)
          await started.promise
          return engine.groups.join(options)
        },
      })
      const first = app('one', { services: [decides] }).start({ engine: slow })
      await joins.promise
      await using running = await app('two', { services: [decides] }).start({ engine })
      started.resolve(undefined)
      await expect(first).rejects.toMatchObject({ code: 'HANDLER_TAKEN' })
      expect(await running.ask(Open({ id: 'a' }))).toMatchObject({ kind: 'accepted' })
    })
  })
}
