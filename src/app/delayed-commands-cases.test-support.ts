import { describe, expect, it } from 'vitest'
import { z } from 'zod'
import { accountDecider, Open } from '../domain/account.test-support.ts'
import { command } from '../message/index.ts'
import { on } from '../runtime/index.ts'
import { engineWith, gate, messagesOf } from './app.test-support.ts'
import type { AppGround } from './app-ground.test-support.ts'
import { app, service } from './index.ts'

const Write = command('Write', {
  queue: 'letters',
  data: z.object({ id: z.string(), text: z.string() }),
  key: (d) => d.id,
})

const bank = app('bank', { services: [service('accounts', [accountDecider(), on(Write, () => undefined)])] })

/** Commands that are sent later. */
export function testDelayedCommands(ground: AppGround): void {
  describe('a delayed command', () => {
    it('becomes a dead letter when it cannot be sent, and keeps nobody from being sent', async () => {
      const clock = ground.clock()
      await using engine = await ground.open({ clock })
      await using running = await bank.start({ engine, clock })
      const letters = (): Promise<number> => running.deadLetters.count()
      // As a timer it may be that long; as a record it takes more than its topic does.
      await running.send(Write({ id: 'a', text: 'ä'.repeat(700_000) }), { after: '1m' })
      await running.send(Open({ id: 'b' }), { after: '2m' })
      await ground.pass(clock, async () => (await letters()) > 0)
      expect(await running.deadLetters.list()).toMatchObject([
        {
          handler: 'bank.delayed-commands',
          reason: 'timer',
          key: 'a',
          attempts: 5,
          error: { code: 'RECORD_TOO_LARGE' },
        },
      ])
      await running.idle()
      const told = await messagesOf(engine, 'bank.dead-letters')
      expect(told.map(({ subject }) => subject)).toEqual(['bank.delayed-commands'])
      await ground.pass(clock, async () => (await engine.timers.list()).length === 0)
      await running.idle()
      expect(await running.ask(Open({ id: 'b' }))).toMatchObject({ code: 'OPEN' })
      // Nothing has changed, so it comes back; then its topic takes more.
      expect(await running.deadLetters.redrive('all')).toBe(1)
      expect(await letters()).toBe(0)
      await ground.pass(clock, async () => (await letters()) > 0)
      await engine.topics.alter('letters', { recordBytesMax: 4 * 1024 * 1024 })
      await running.deadLetters.redrive('all')
      await ground.pass(clock, async () => (await messagesOf(engine, 'letters')).length > 0)
      expect(await letters()).toBe(0)
    })

    it('is told from one of another source with the same id', async () => {
      const clock = ground.clock()
      await using engine = await ground.open({ clock })
      await using running = await bank.start({ engine, clock })
      await running.send(Write({ id: 'a', text: '' }, { id: '1' }), { after: '1m' })
      await running.send(Write({ id: 'b', text: '' }, { id: '1', source: '/elsewhere' }), { after: '1m' })
      await ground.pass(clock, async () => (await engine.timers.list()).length === 0)
      await running.idle()
      expect((await messagesOf(engine, 'letters')).map(({ data }) => data.id).toSorted()).toEqual(['a', 'b'])
    })

    it('is left alone once the app has failed', async () => {
      const clock = ground.clock()
      await using engine = await ground.open({ clock })
      const failure = gate()
      const watch = async function* (): AsyncGenerator<never> {
        await failure.opened
        yield* []
        throw new Error('the state store is gone')
      }
      await using running = await bank.start({ engine: engineWith(engine, 'state', { watch }), clock })
      await running.send(Open({ id: 'a' }), { after: '1m' })
      failure.open()
      await expect(running.failed).rejects.toThrow('the state store is gone')
      await clock.advance('5m')
      await new Promise((resolve) => setTimeout(resolve, 20))
      expect(await engine.timers.list()).toHaveLength(1)
    })
  })
}
