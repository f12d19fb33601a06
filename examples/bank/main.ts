// A bank account that is event-sourced: what happened is kept, and what is follows from it, now and at any time.
// Run it with: node examples/bank/main.ts
import { embedded } from '../../src/embedded/index.ts'
import { app, type CommandOutcome, history, service, VirtualClock } from '../../src/index.ts'
import {
  account,
  balances,
  Deposit,
  GetBalance,
  getBalance,
  OpenAccount,
  statements,
  streamOf,
  Withdraw,
} from './account.ts'

const bank = app('bank', { services: [service('accounts', [account, getBalance])], views: [balances, statements] })

const print = (line: string): boolean => process.stdout.write(`${line}\n`)

/** An outcome in one word, and why. */
function shown(outcome: CommandOutcome): string {
  const again = outcome.repeated ? ', as before' : ''
  return outcome.kind === 'accepted' ? `accepted${again}` : `rejected${again}: ${outcome.code}, ${outcome.reason}`
}

// A clock that is moved by hand, so that the example prints the same each day.
const dayMs = 24 * 60 * 60 * 1000
const clock = new VirtualClock(Date.parse('2026-01-01T00:00:00Z'))
await using engine = await embedded({ path: ':memory:' }).open({ clock })
await using running = await bank.start({ engine, clock })

const accountId = '4711'
const firstDeposit = Deposit({ accountId, amount: 100 })
const days = [
  [OpenAccount({ accountId, owner: 'Ada' }), firstDeposit],
  [Withdraw({ accountId, amount: 30 })],
  [Deposit({ accountId, amount: 50 })],
  // The last one is a command that was sent already: it has the same outcome and no effect.
  [Withdraw({ accountId, amount: 500 }), firstDeposit],
]
for (const commands of days) {
  for (const one of commands) {
    const outcome = await running.ask(one)
    const { balance } = await running.query(GetBalance, { accountId })
    const what = [one.type, 'amount' in one.data ? one.data.amount : ''].join(' ').trimEnd()
    print(`${what.padEnd(12)} ${shown(outcome)}; balance ${balance}`)
  }
  clock.setWallClock(clock.nowMs() + dayMs)
}

const past = history(engine)
print('\nThe balance at the end of each day:')
for (const day of ['2025-12-31', '2026-01-01', '2026-01-02', '2026-01-03']) {
  const { state, version } = await past.state(account, streamOf(accountId), { time: `${day}T23:59:59Z` })
  print(`  ${day}  ${String(state.balance).padStart(4)}  (version ${version})`)
}

print('\nWhat changed since version 2, and why:')
const { changes } = await past.difference(account, streamOf(accountId), { version: 2 })
for (const { path, before, after } of changes) print(`  ${path}: ${JSON.stringify(before)} → ${JSON.stringify(after)}`)
for (const { event, cause } of (await past.why(streamOf(accountId))).slice(2)) {
  print(`  version ${event.version}: ${event.message.type}, because of ${cause.type}`)
}

await running.idle()
print('\nThe statement:')
for (const { what, amount, balance } of (await running.view(statements).get(accountId))?.lines ?? []) {
  print(`  ${what.padEnd(10)} ${String(amount).padStart(4)}  ${String(balance).padStart(4)}`)
}
