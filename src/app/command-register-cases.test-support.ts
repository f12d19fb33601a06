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

    it('is handled by one of two that start together', async () => {
      await using engine = await ground.open()
      // Neither sees the members of the other before both have looked.
      const blind = engineWith(engine, 'groups', { describe: () => Promise.resolve(undefined) })
      const starts = await Promise.allSettled(
        ['one', 'two'].map((name) => app(name, { services: [decides] }).start({ engine: blind })),
      )
      const running = starts.flatMap((one) => (one.status === 'fulfilled' ? [one.value] : []))
      const refused = starts.flatMap((one) => (one.status === 'rejected' ? [one.reason as unknown] : []))
      expect([running.length, refused]).toEqual([1, [expect.objectContaining({ code: 'HANDLER_TAKEN' })]])
      expect(await running[0]?.ask(Open({ id: 'a' }))).toMatchObject({ kind: 'accepted' })
      await running[0]?.stop()
    })
  })
}
