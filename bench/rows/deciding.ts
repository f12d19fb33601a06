import { join } from 'node:path'
import { z } from 'zod'
import { embedded } from '../../src/embedded/index.ts'
import {
  app,
  boundary,
  command,
  decider,
  event,
  type Message,
  projection,
  type RunningApp,
  reject,
  service,
  type View,
  view,
} from '../../src/index.ts'
import { inFlight } from '../publishing.ts'
import type { BenchRow, Figure, RowSettings } from '../row.ts'
import { alternate, percentile, rateOf } from '../statistics.ts'
import { SyncLoop } from '../sync-loop.ts'

const streamCount = 10_000
const callers = 256

const data = z.object({ accountId: z.string(), amount: z.number() })
const Deposit = command('Deposit', { data, key: (d) => d.accountId })
const Withdraw = command('Withdraw', { data, key: (d) => d.accountId })
const Deposited = event('Deposited', { data, key: (d) => d.accountId })
const Withdrawn = event('Withdrawn', { data, key: (d) => d.accountId })

const accountOf = (publish: boolean) =>
  decider('account', {
    commands: [Deposit, Withdraw],
    events: [Deposited, Withdrawn],
    stream: (one) => `account-${one.data.accountId}`,
    initialState: { balance: 0 },
    decide: {
      Deposit: (one) => Deposited(one.data),
      Withdraw: (one, state) => (one.data.amount > state.balance ? reject('OVERDRAWN') : Withdrawn(one.data)),
    },
    evolve: {
      Deposited: (state, one) => ({ balance: state.balance + one.data.amount }),
      Withdrawn: (state, one) => ({ balance: state.balance - one.data.amount }),
    },
    publish,
  })

/** Kept up to date in the commits of the commands. */
const turnover = (name: string, key: (accountId: string) => string): View =>
  view(name, {
    events: [Deposited, Withdrawn],
    key: (one) => key(one.data.accountId),
    initial: 0,
    on: {
      Deposited: (sum, one) => sum + one.data.amount,
      Withdrawn: (sum, one) => sum + one.data.amount,
    },
    inline: true,
  })

const ids = z.object({ courseId: z.string(), studentId: z.string() })
const Subscribe = command('Subscribe', { data: ids })
const Subscribed = event('Subscribed', { data: ids, tags: (d) => [`course:${d.courseId}`, `student:${d.studentId}`] })
const countOf = (tag: string) =>
  projection({ events: [Subscribed], tags: [tag], initial: 0, on: { Subscribed: (count) => count + 1 } })
const subscribe = boundary('subscribe', {
  command: Subscribe,
  events: [Subscribed],
  reads: (one) => ({
    taken: countOf(`course:${one.data.courseId}`),
    courses: countOf(`student:${one.data.studentId}`),
  }),
  decide: (one, { taken, courses }) => (taken >= 100 || courses >= 100 ? reject('FULL') : Subscribed(one.data)),
  publish: false,
})

/** Commands one after the other; every tenth account gets more than it has withdrawn. */
function commandOf(index: number, streams: number): Message {
  const accountId = String((index * 7919) % streams)
  return index % 3 === 2 ? Withdraw({ accountId, amount: 15 }) : Deposit({ accountId, amount: 10 })
}

async function ask(
  running: RunningApp,
  commits: number,
  from: number,
  latenciesMs: number[],
  streams = streamCount,
): Promise<void> {
  await inFlight({ commits, inFlight: callers, latenciesMs }, (index) => running.ask(commandOf(from + index, streams)))
}

async function run({ quick, folder }: RowSettings): Promise<readonly Figure[]> {
  const commits = quick ? 10_000 : 40_000
  const rounds = quick ? 3 : 5
  const start = (name: string, publish: boolean, views: readonly View[] = []): Promise<RunningApp> =>
    app('bank', { services: [service('accounts', [accountOf(publish)])], views }).start({
      engine: embedded({ path: join(folder, `${name}.db`) }),
    })
  await using stored = await start('stored', false)
  await using published = await start('published', true)
  await using viewed = await start('viewed', false, [turnover('by-account', (accountId) => accountId)])
  await using shared = await start('shared', false, [turnover('of-all', () => 'all')])
  await using hot = await start('hot', false)
  await using school = await app('school', { services: [service('courses', [subscribe])] }).start({
    engine: embedded({ path: join(folder, 'school.db') }),
  })
  using loop = new SyncLoop(folder)
  const latenciesMs: number[] = []
  const group = Buffer.alloc(callers * 250, 'x')
  let next = 0
  const nextRound = (): number => {
    next += commits
    return next
  }
  await ask(stored, streamCount, 0, [])
  await ask(published, streamCount, 0, [])
  await ask(viewed, streamCount, 0, [])
  const found = await alternate(rounds, {
    stored: () => rateOf(commits, () => ask(stored, commits, nextRound(), latenciesMs)),
    published: () => rateOf(commits, () => ask(published, commits, nextRound(), [])),
    viewed: () => rateOf(commits, () => ask(viewed, commits, nextRound(), [])),
    shared: () => rateOf(commits / 10, () => ask(shared, commits / 10, nextRound(), [])),
    hot: () => rateOf(commits / 4, () => ask(hot, commits / 4, nextRound(), [], 1)),
    tags: () =>
      rateOf(commits / 4, () => {
        const from = nextRound()
        return inFlight({ commits: commits / 4, inFlight: callers }, (index) => {
          const [course, student] = [((from + index) * 7919) % streamCount, ((from + index) * 104_729) % streamCount]
          return school.ask(Subscribe({ courseId: String(course), studentId: String(student) }))
        })
      }),
    sync: () =>
      rateOf(commits, () => {
        for (let i = 0; i < commits / callers; i++) loop.write(group)
      }),
  })
  const limit = { what: 'write+fdatasync', value: found.sync }
  const notes = ['each remembers the outcome by the id of its command; commands are created and validated in the loop']
  return [
    {
      what: 'load, decide, append',
      value: found.stored,
      unit: 'commands/s',
      limit,
      target: { of: 'value', atLeast: 20_000 },
      notes,
    },
    {
      what: 'and publish to a topic in the same commit',
      value: found.published,
      unit: 'commands/s',
      limit,
      target: { of: 'value', atLeast: 20_000 },
    },
    { what: 'with an inline view, a key for each stream', value: found.viewed, unit: 'commands/s', limit },
    { what: 'with an inline view, one key for all', value: found.shared, unit: 'commands/s', limit },
    { what: 'all on one stream', value: found.hot, unit: 'commands/s', limit },
    { what: 'over two tags of an event each, by a boundary', value: found.tags, unit: 'commands/s', limit },
    { what: 'latency p50, load, decide, append', value: percentile(latenciesMs, 0.5), unit: 'ms' },
    { what: 'latency p99, load, decide, append', value: percentile(latenciesMs, 0.99), unit: 'ms' },
  ]
}

/** Commands by the short way: no topic between who asks and the decider. */
export const deciding: BenchRow = { title: 'Commands on deciders over 10,000 streams, 256 in flight', run }
