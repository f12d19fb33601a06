import { expect } from 'vitest'
import { accountDecider, Deposit, Deposited, Open, Withdraw, Withdrawn } from '../domain/account.test-support.ts'
import { type View, view } from '../domain/index.ts'
import type { Engine } from '../engine/index.ts'
import { SeededRandom } from '../kernel/index.ts'
import type { Message } from '../message/index.ts'
import { messagesOf } from './app.test-support.ts'
import { type App, app, type RunningApp, service } from './index.ts'

const account = accountDecider({ snapshot: { everyEvents: 7 } })

function balances(
  name: string,
  inline: boolean,
  key: (id: string) => string = (id) => id,
): View<{ readonly balance: number; readonly count: number }> {
  const change = (amount: number) => (state: { balance: number; count: number }) => ({
    balance: state.balance + amount,
    count: state.count + 1,
  })
  return view(name, {
    events: [Deposited, Withdrawn],
    key: ({ data }) => key(data.id),
    initial: { balance: 0, count: 0 },
    on: {
      Deposited: (state, { data }) => change(data.amount)(state),
      Withdrawn: (state, { data }) => change(-data.amount)(state),
    },
    inline,
  })
}

const inline = balances('inline', true)
const following = balances('following', false)
/** One key that all accounts change. */
const total = balances('total', true, () => 'all')

const services = [service('accounts', [account])]

/** A bank whose view follows the topic. */
export const plainBank: App = app('bank', { services, views: [following] })

/** One with inline views besides, whose commits expect their revisions too. */
export const inlineBank: App = app('bank', { services, views: [inline, total, following] })

/** How large the load is. */
export interface LoadSize {
  readonly accounts: number
  readonly commands: number
}

/** Asks and sends random commands from several starts at once, some of them twice. Answers those that were accepted by an ask. */
export async function commandLoad(
  starts: readonly RunningApp[],
  seed: number,
  { accounts, commands }: LoadSize,
): Promise<ReadonlySet<string>> {
  const random = new SeededRandom(seed)
  const below = (count: number): number => Math.floor(random.nextFloat() * count)
  const one = (): RunningApp => starts[below(starts.length)] as RunningApp
  const acceptedIds = new Set<string>()
  for (let n = 0; n < accounts; n++) {
    await one().ask(Open({ id: `a${n}` }))
    await one().ask(Deposit({ id: `a${n}`, amount: 5 }))
  }
  const earlier: Message[] = []
  const work: Promise<unknown>[] = []
  for (let n = 0; n < commands; n++) {
    const data = { id: `a${below(accounts)}`, amount: 1 + below(3) }
    const fresh = below(5) < 3 ? Withdraw(data) : Deposit(data)
    const command = earlier.length > 0 && below(6) === 0 ? (earlier[below(earlier.length)] as Message) : fresh
    earlier.push(command)
    const running = one()
    if (below(3) === 0) work.push(running.send(command))
    else {
      const asked = running.ask(command).then((outcome) => {
        if (outcome.kind === 'accepted') acceptedIds.add(command.id)
      })
      work.push(asked)
    }
    if (n % 40 === 39) await Promise.all(work.splice(0))
  }
  await Promise.all(work)
  for (const running of starts) await running.idle()
  return acceptedIds
}

/** What must hold after any load: no account was ever overdrawn, each command took effect once, and all views and topics agree. */
export async function checkLoad(
  running: RunningApp,
  engine: Engine,
  { acceptedIds, bank, note }: { readonly acceptedIds: ReadonlySet<string>; readonly bank: App; readonly note: string },
): Promise<void> {
  const published = new Map<string, string[]>()
  for (const { data, id } of await messagesOf(engine, 'accounts')) {
    published.set(data.id, [...(published.get(data.id) ?? []), id])
  }
  const causes: string[] = []
  const all = { balance: 0, count: 0 }
  for (const { stream } of await engine.events.listStreams({ prefix: 'account-', limit: 1000 })) {
    const id = stream.slice('account-'.length)
    const ids: string[] = []
    let balance = 0
    let count = 0
    for await (const { message } of engine.events.readStream(stream)) {
      ids.push(message.id)
      causes.push(message.causationid ?? '')
      if (message.type === 'Opened') continue
      const { amount } = message.data as { readonly amount: number }
      balance += message.type === 'Deposited' ? amount : -amount
      count++
      expect(balance, `${note}: ${stream}`).toBeGreaterThanOrEqual(0)
    }
    all.balance += balance
    all.count += count
    if (bank === inlineBank) {
      expect(await running.view(inline).get(id), `${note}: inline ${id}`).toEqual({ balance, count })
    }
    expect(await running.view(following).get(id), `${note}: following ${id}`).toEqual({ balance, count })
    expect(published.get(id), `${note}: topic ${id}`).toEqual(ids)
  }
  if (bank === inlineBank) expect(await running.view(total).get('all'), `${note}: total`).toEqual(all)
  expect(new Set(causes).size, `${note}: each command once`).toBe(causes.length)
  const known = new Set(causes)
  expect(
    [...acceptedIds].filter((id) => !known.has(id)),
    `${note}: accepted and durable`,
  ).toEqual([])
  expect(await running.deadLetters.count(), `${note}: dead letters`).toBe(0)
}
