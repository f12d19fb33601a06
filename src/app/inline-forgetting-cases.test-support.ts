import { describe, expect, it } from 'vitest'
import { accountDecider, Deposit, Deposited, Open } from '../domain/account.test-support.ts'
import { history, type View, view } from '../domain/index.ts'
import type { Engine } from '../engine/index.ts'
import { SeededRandom } from '../kernel/index.ts'
import type { Message } from '../message/index.ts'
import { engineWith } from './app.test-support.ts'
import type { AppGround } from './app-ground.test-support.ts'
import { type App, app, type RunningApp, service } from './index.ts'

interface Round {
  readonly count: number
  readonly sum: number
}

/** Deposits of an account, and of all, since the last third one, which has the key forgotten. */
function roundsView(version: number): View<Round> {
  return view('rounds', {
    version,
    events: [Deposited],
    key: ({ data }) => [data.id, 'all'],
    initial: { count: 0, sum: 0 },
    on: { Deposited: (state, { data }) => next(state, data.amount) },
    inline: true,
    rebuild: 'when-caught-up',
  })
}

function next({ count, sum }: Round, amount: number): Round | undefined {
  return count === 2 ? undefined : { count: count + 1, sum: sum + amount }
}

const account = accountDecider()
const bankOf = (version: number): App =>
  app('bank', { services: [service('accounts', [account])], views: [roundsView(version)] })

/** What the events that stand in the store make of it. */
async function expectedRounds(engine: Engine): Promise<Readonly<Record<string, Round>>> {
  const rounds: Record<string, Round> = {}
  for await (const { message } of engine.events.readAll({ query: { items: [{ types: ['Deposited'] }] } })) {
    const { id, amount } = (message as Message<'Deposited', { readonly id: string; readonly amount: number }>).data
    for (const key of [id, 'all']) {
      const after = next(rounds[key] ?? { count: 0, sum: 0 }, amount)
      if (after === undefined) delete rounds[key]
      else rounds[key] = after
    }
  }
  return rounds
}

async function foundRounds(running: RunningApp, version: number): Promise<Readonly<Record<string, Round>>> {
  const entries = await running.view(roundsView(version)).range()
  return Object.fromEntries(entries.map(({ key, value }) => [key, value]))
}

/** Inline views that forget keys. */
export function testInlineForgetting(ground: AppGround): void {
  describe('inline views that forget keys', () => {
    it('begin anew with a key that they have forgotten', async () => {
      await using engine = await ground.open()
      await using running = await bankOf(1).start({ engine })
      const reader = running.view(roundsView(1))
      await running.ask(Open({ id: 'a' }))
      for (const amount of [1, 2]) await running.ask(Deposit({ id: 'a', amount }))
      expect(await reader.get('a')).toEqual({ count: 2, sum: 3 })
      await running.ask(Deposit({ id: 'a', amount: 3 }))
      expect([await reader.get('a'), await reader.count()]).toEqual([undefined, 0])
      await running.ask(Deposit({ id: 'a', amount: 4 }))
      expect(await foundRounds(running, 1)).toEqual({ a: { count: 1, sum: 4 }, all: { count: 1, sum: 4 } })
      expect((await history(engine).view(roundsView(1), 'a', { position: 3 }))?.sum).toBe(3)
    })

    it('build on no value that somebody else has forgotten meanwhile, and made anew', async () => {
      const seed = 20_261_122
      const random = new SeededRandom(seed)
      const below = (count: number): number => Math.floor(random.nextFloat() * count)
      await using engine = await ground.open()
      // An engine object of its own knows nothing of the other, like one in another process.
      const elsewhere = engineWith(engine, 'state', {})
      await using first = await bankOf(1).start({ engine })
      await using second = await bankOf(1).start({ engine: elsewhere })
      const ids = ['a', 'b', 'c', 'd', 'e', 'f', 'g', 'h']
      await Promise.all(ids.map((id) => first.ask(Open({ id }))))
      for (let round = 0; round < 60; round++) {
        const running = below(2) === 0 ? first : second
        const some = ids.filter(() => below(2) === 0)
        await Promise.all(
          some.flatMap((id) =>
            Array.from({ length: 1 + below(3) }, () => running.ask(Deposit({ id, amount: 1 + below(90) }))),
          ),
        )
      }
      await Promise.all(
        Array.from({ length: 120 }, () => {
          const id = ids[below(ids.length)] as string
          return (below(2) === 0 ? first : second).ask(Deposit({ id, amount: 1 + below(90) }))
        }),
      )
      expect(await foundRounds(first, 1), `seed ${seed}`).toEqual(await expectedRounds(engine))
    })

    it('tell a key that was made anew from the one that they knew, also at the same revision', async () => {
      await using engine = await ground.open()
      const elsewhere = engineWith(engine, 'state', {})
      await using first = await bankOf(1).start({ engine })
      await using second = await bankOf(1).start({ engine: elsewhere })
      await Promise.all([first.ask(Open({ id: 'a' })), second.ask(Open({ id: 'b' }))])
      for (const amount of [1, 2, 3]) await second.ask(Deposit({ id: 'b', amount }))
      await first.ask(Deposit({ id: 'a', amount: 10 }))
      // Under the key of all: a second one, the third that has it forgotten, and one of the next round.
      for (const amount of [20, 30, 40]) await second.ask(Deposit({ id: 'b', amount }))
      await first.ask(Deposit({ id: 'a', amount: 50 }))
      expect(await first.view(roundsView(1)).get('all')).toEqual({ count: 2, sum: 90 })
    })

    it('forget them in a copy that is built by following, too, and mind it once commits write that', async () => {
      const source = ground.source()
      const ids = ['a', 'b', 'c', 'd', 'e', 'f', 'g']
      {
        await using running = await bankOf(1).start({ engine: source })
        await Promise.all(ids.map((id) => running.ask(Open({ id }))))
        for (let n = 0; n < 150; n++) {
          await running.ask(Deposit({ id: ids[(n * n) % ids.length] as string, amount: 1 + (n % 13) }))
        }
      }
      await using engine = typeof source === 'object' && 'open' in source ? await source.open() : (source as Engine)
      const elsewhere = engineWith(engine, 'state', {})
      await using first = await bankOf(2).start({ engine })
      await using second = await bankOf(2).start({ engine: elsewhere })
      await Promise.all([first.idle(), second.idle()])
      expect((await first.view(roundsView(2)).copies.status()).live.version).toBe(2)
      expect(await foundRounds(first, 2)).toEqual(await expectedRounds(engine))
      for (let n = 0; n < 60; n++) {
        const running = n % 3 === 0 ? first : second
        await running.ask(Deposit({ id: ids[(n * 5) % ids.length] as string, amount: 1 + (n % 17) }))
      }
      expect(await foundRounds(second, 2)).toEqual(await expectedRounds(engine))
    })
  })
}
