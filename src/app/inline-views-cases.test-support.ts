import { describe, expect, it } from 'vitest'
import {
  accountDecider,
  CarriedForward,
  Deposit,
  Deposited,
  inlineBalances,
  Open,
  Withdraw,
} from '../domain/account.test-support.ts'
import { history, type View, view } from '../domain/index.ts'
import { SeededRandom } from '../kernel/index.ts'
import { topic } from '../runtime/index.ts'
import { engineWith, withCommits } from './app.test-support.ts'
import type { AppGround } from './app-ground.test-support.ts'
import { app, service } from './index.ts'

const total = view('total', {
  events: [Deposited, CarriedForward],
  key: () => 'all',
  initial: { count: 0, sum: 0 },
  on: {
    Deposited: ({ count, sum }, { data }) => ({ count: count + 1, sum: sum + data.amount }),
    CarriedForward: (state) => state,
  },
  inline: true,
})

const account = accountDecider()
const services = [service('accounts', [account])]
const bank = app('bank', { services, views: [inlineBalances] })
const shared = app('bank', { services, views: [total] })
const fragileBank = app('bank', { services, views: [fragileUntil(() => false)] })

/** Cannot take a deposit of thirteen until it is mended. */
function fragileUntil(isMended: () => boolean): View<number> {
  return view('fragile', {
    events: [Deposited],
    key: ({ data }) => data.id,
    initial: 0,
    on: {
      Deposited: (sum, { data }) => {
        if (data.amount === 13 && !isMended()) throw new RangeError('not thirteen')
        return sum + data.amount
      },
    },
    inline: true,
  })
}

/** Views in the commits of events. */
export function testInlineViews(ground: AppGround): void {
  describe('inline views', () => {
    it('fail a command that they cannot take in, and nothing else', async () => {
      const fragile = fragileUntil(() => false)
      await using engine = await ground.open()
      await using running = await app('bank', { services, views: [inlineBalances, fragile] }).start({ engine })
      await Promise.all(['a', 'b'].map((id) => running.ask(Open({ id }))))
      const deposits = [1, 13, 2].flatMap((amount) => ['a', 'b'].map((id) => ({ id, amount: id === 'b' ? 1 : amount })))
      const outcomes = await Promise.allSettled(deposits.map((data) => running.ask(Deposit(data))))
      expect(outcomes.map(({ status }) => status)).toEqual([
        'fulfilled',
        'fulfilled',
        'rejected',
        'fulfilled',
        'fulfilled',
        'fulfilled',
      ])
      expect(await running.view(inlineBalances).get('a')).toBe(3)
      expect(await running.view(fragile).get('a')).toBe(3)
      expect([await running.view(fragile).get('b'), await running.deadLetters.count()]).toEqual([3, 0])
      const amounts = await Array.fromAsync(engine.events.readStream('account/a'), ({ message }) => message.data)
      expect(JSON.stringify(amounts)).not.toContain('13')
    })

    it('let a command be redriven while another process changes what it changes', async () => {
      let isMended = false
      await using engine = await ground.open()
      let redrivenCount = 0
      const overtaken = withCommits(engine, async ({ append: appended = [], state = [] }) => {
        const isRedriven = state.some(({ kind, namespace }) => kind === 'delete' && namespace === 'dead-letters:bank')
        if (!isRedriven || appended.length === 0 || ++redrivenCount > 1) return
        const value = { count: 10, sum: 10 }
        await engine.commit({ state: [{ kind: 'set', namespace: 'view:bank.total:v1', key: 'all', value }] })
      })
      const one = app('bank', { services, views: [fragileUntil(() => isMended), total] })
      await using running = await one.start({ engine: overtaken })
      await running.ask(Open({ id: 'a' }))
      await running.send(Deposit({ id: 'a', amount: 13 }))
      await running.idle()
      expect(await running.deadLetters.count()).toBe(1)
      isMended = true
      await running.deadLetters.redrive('all')
      await running.idle()
      expect(await running.deadLetters.count()).toBe(0)
      expect(await running.view(total).get('all')).toEqual({ count: 11, sum: 23 })
      expect(redrivenCount).toBe(2)
    })

    it('take nothing of what is published', async () => {
      await using engine = await ground.open()
      await using running = await app('bank', { views: [total], topics: [topic('accounts')] }).start({ engine })
      await running.publish(Deposited({ id: 'a', amount: 5 }))
      await running.idle()
      expect(await running.view(total).get('all')).toBeUndefined()
    })

    it('show what was asked as soon as it is answered', async () => {
      await using engine = await ground.open()
      await using running = await bank.start({ engine })
      await Promise.all(['a', 'b'].map((id) => running.ask(Open({ id }))))
      await Promise.all(
        Array.from({ length: 40 }, async (_, n) => {
          const outcome = await running.ask(Deposit({ id: n % 2 === 0 ? 'a' : 'b', amount: n }))
          await running.view(inlineBalances).waitFor(outcome)
        }),
      )
      const sums = [0, 1].map((rest) => Array.from({ length: 40 }, (_, n) => n).filter((n) => n % 2 === rest))
      const totals = sums.map((numbers) => numbers.reduce((sum, n) => sum + n, 0))
      expect([await running.view(inlineBalances).get('a'), await running.view(inlineBalances).get('b')]).toEqual(totals)
    })

    it('are built from the store when they are new', async () => {
      const source = ground.source()
      {
        const without = app('bank', { services: [service('accounts', [account])] })
        await using running = await without.start({ engine: source })
        for (const id of ['a', 'b']) {
          await running.ask(Open({ id }))
          await Promise.all(Array.from({ length: 300 }, () => running.ask(Deposit({ id, amount: 1 }))))
          await running.ask(Withdraw({ id, amount: 100 }))
        }
      }
      await using running = await bank.start({ engine: source })
      expect(await running.view(inlineBalances).range()).toEqual([
        { key: 'a', value: 200 },
        { key: 'b', value: 200 },
      ])
      await running.ask(Deposit({ id: 'a', amount: 5 }))
      expect(await running.view(inlineBalances).get('a')).toBe(205)
    })

    it('stay exact when all streams change one key, by asks, sends and closed books of two starts, as of two processes', async () => {
      const seed = 20_261_121
      const random = new SeededRandom(seed)
      const below = (count: number): number => Math.floor(random.nextFloat() * count)
      await using engine = await ground.open()
      // An engine object of its own knows nothing of the other, like one in another process.
      const elsewhere = engineWith(engine, 'state', {})
      await using first = await shared.start({ engine })
      await using second = await shared.start({ engine: elsewhere })
      const idOf = (n: number): string => `a${n}`
      await Promise.all(Array.from({ length: 30 }, (_, n) => first.ask(Open({ id: idOf(n) }))))
      const work: Promise<unknown>[] = []
      let count = 0
      let sum = 0
      for (let n = 0; n < 600; n++) {
        const running = below(3) === 0 ? second : first
        const id = idOf(below(30))
        if (below(20) === 0) {
          work.push(
            running.closeBooks(account, `account-${id}`, ({ balance }) => CarriedForward({ id, amount: balance })),
          )
          continue
        }
        const amount = 1 + below(9)
        count++
        sum += amount
        const deposit = Deposit({ id, amount })
        work.push(below(4) === 0 ? running.send(deposit) : running.ask(deposit))
        if (work.length >= 50) await Promise.all(work.splice(0))
      }
      await Promise.all(work)
      await Promise.all([first.idle(), second.idle()])
      expect(await first.deadLetters.list()).toEqual([])
      expect(await first.view(total).get('all'), `seed ${seed}`).toEqual({ count, sum })
    })

    it('fail a command that was sent, and tell another app that asked', async () => {
      await using engine = await ground.open()
      await using running = await fragileBank.start({ engine })
      await using front = await app('front', { remote: [Open, Deposit] }).start({ engine })
      await front.ask(Open({ id: 'a' }))
      await expect(front.ask(Deposit({ id: 'a', amount: 13 }))).rejects.toMatchObject({
        code: 'ASK_FAILED',
        details: { error: 'UNEXPECTED' },
      })
      await running.send(Deposit({ id: 'a', amount: 13 }))
      await running.idle()
      expect(await running.deadLetters.list()).toMatchObject([{ error: { message: 'not thirteen' } }])
      expect((await history(engine).state(account, 'account-a')).version).toBe(1)
    })
  })
}
