import { isDeepStrictEqual } from 'node:util'
import { z } from 'zod'
import {
  command,
  decider,
  event,
  fixed,
  type Message,
  reject,
  type Saga,
  saga,
  service,
  step,
  type View,
  view,
} from '../../src/index.ts'
import type { Life } from '../life.ts'
import { outcomeOfFailure } from '../publishing.ts'
import type { Found, FoundEvent, Parts, Process, Setting, Workload } from '../workload.ts'

const amount = z.object({ account: z.string(), amount: z.int() })
type Amount = z.infer<typeof amount>
const key = (data: Amount): string => data.account
const Deposit = command('Deposit', { data: amount, key })
const Withdraw = command('Withdraw', { data: amount, key })
const Deposited = event('Deposited', { topic: 'bank', data: amount, key })
const Withdrawn = event('Withdrawn', { topic: 'bank', data: amount, key })
const wage = z.object({ payment: z.string(), account: z.string(), amount: z.int() })
const WageDue = event('WageDue', { topic: 'wages', data: wage, key: (data) => data.payment })

const clientCount = 4
const accountCount = 3
const delayMsMax = 30_000
const streamOf = (name: string): string => `account-${name}`

const account = decider('account', {
  commands: [Deposit, Withdraw],
  events: [Deposited, Withdrawn],
  stream: ({ data }) => streamOf(data.account),
  initialState: { balance: 0 },
  decide: {
    Deposit: ({ data }) => Deposited(data),
    Withdraw: ({ data }, state) =>
      data.amount > state.balance ? reject('OVERDRAWN', String(state.balance)) : Withdrawn(data),
  },
  evolve: {
    Deposited: (state, { data }) => ({ balance: state.balance + data.amount }),
    Withdrawn: (state, { data }) => ({ balance: state.balance - data.amount }),
  },
  snapshot: { everyEvents: 5 },
  // A life may be idle for longer than what is usual, and clients ask once more in the next one.
  remember: '1d',
})

/** What moved under a key. */
interface Balance {
  readonly balance: number
  readonly count: number
}

/** An event counts under its account, and under this. */
const allAccounts = 'all'
/** With the last event of a round its account is forgotten. */
const roundLength = 3

function moved({ balance, count }: Balance, by: number, name: string): Balance | undefined {
  return name !== allAccounts && count === roundLength - 1 ? undefined : { balance: balance + by, count: count + 1 }
}

interface VersionedBalance extends Balance {
  readonly version: number
}

function balancesOf(name: string, version: number, inline: boolean): View<VersionedBalance> {
  const versioned = (balance: Balance | undefined): VersionedBalance | undefined => balance && { ...balance, version }
  return view(name, {
    version,
    events: [Deposited, Withdrawn],
    key: (happened) => [happened.data.account, allAccounts],
    initial: { version, balance: 0, count: 0 },
    inline,
    on: {
      Deposited: (state, { data }, under) => versioned(moved(state, data.amount, under)),
      Withdrawn: (state, { data }, under) => versioned(moved(state, -data.amount, under)),
    },
  })
}

interface Sent {
  readonly message: Message<string, Amount>
  /** What a client was told, once it was told. */
  told: 'accepted' | 'rejected' | 'sent' | undefined
  /** Each time that it was sent it was to be decided no earlier than at one of these times, in milliseconds since 1970. */
  readonly notBeforeMs: number[]
  /** Moments at which it was sent first, and at which its client heard of its outcome first. */
  readonly sentAt: number
  toldAt: number | undefined
  /** What its client asked and was told no, in moments. */
  readonly overdrawn: { readonly askedAt: number; readonly toldAt: number }[]
}

function amountOf({ type, data }: Pick<FoundEvent, 'type' | 'data'>): number {
  const { amount: by } = data as Amount
  return type === Deposited.type ? by : -by
}

/** What views have under each key once they have taken in these events; `undefined`: they have forgotten it. */
function balancesAfter(events: readonly FoundEvent[]): ReadonlyMap<string, Balance | undefined> {
  const balances = new Map<string, Balance | undefined>()
  for (const happened of events) {
    for (const name of [(happened.data as Amount).account, allAccounts]) {
      balances.set(name, moved(balances.get(name) ?? { balance: 0, count: 0 }, amountOf(happened), name))
    }
  }
  return balances
}

/** Clients ask and send commands to accounts that cannot be overdrawn, and repeat those of which they know no outcome. */
export class Bank implements Workload {
  readonly #setting: Setting
  readonly #hasInlineView: boolean
  /** Whether each process brings a new version of the views, which is built beside the one before. */
  readonly #rebuilds: boolean
  /** As the process that was started last knows them. */
  #views: readonly View<VersionedBalance>[] = []
  readonly #commands = new Map<string, Sent>()
  #payroll: Saga<z.infer<typeof wage>, void> | undefined
  #wageCount = 0

  constructor(setting: Setting) {
    this.#setting = setting
    this.#hasInlineView = setting.draw.chance(0.5)
    this.#rebuilds = setting.draw.chance(0.5)
  }

  parts(life: Life): Parts {
    const version = this.#rebuilds ? life.index + 1 : 1
    const following = balancesOf('balances', version, false)
    this.#views = this.#hasInlineView ? [following, balancesOf('inline-balances', version, true)] : [following]
    const payroll = this.#payrollOf()
    this.#payroll = payroll
    return { services: [service('bank', [account])], views: this.#views, sagas: [payroll] }
  }

  clients(process: Process): readonly Promise<void>[] {
    return Array.from({ length: clientCount }, () => this.#work(process))
  }

  async isOver(process: Process): Promise<boolean> {
    for (const one of this.#views) {
      const { live, next } = await process.app().view(one).copies.status()
      if (live.version !== one.version || next !== null) return false
      if (one.version > 1) this.#setting.history.reach('a view was built anew')
    }
    const wages = this.#payroll === undefined ? [] : await process.app().saga(this.#payroll).list()
    if (wages.some(({ status }) => status !== 'completed')) return false
    const timers = await process.engine.timers.list({ limit: 1000 })
    return !timers.some(({ owner }) => owner.includes('delayed'))
  }

  async check(found: Found): Promise<void> {
    const { history } = this.#setting
    const events = found.events.filter(({ type }) => type === Deposited.type || type === Withdrawn.type)
    this.#replay(events)
    this.#checkRejections(events)
    const balances = balancesAfter(events)
    const byCommand = Map.groupBy(events, ({ causationId }) => causationId ?? '')
    for (const [id, { message, told, notBeforeMs }] of this.#commands) {
      const count = byCommand.get(id)?.length ?? 0
      history.check(count <= 1, 'each effect once', () => `command ${id} has ${count} events`)
      const isLost = told === 'accepted' || (told === 'sent' && message.type === Deposit.type)
      if (isLost) history.check(count === 1, 'acknowledged ⊆ readable', () => `command ${id} was ${told}; no event`)
      const earliestMs = Math.min(...notBeforeMs)
      for (const { timestampMs } of byCommand.get(id) ?? [])
        history.check(
          Math.max(timestampMs, history.wallMsMax) >= earliestMs,
          'timers are never early',
          () => `command ${id} was decided ${earliestMs - timestampMs} ms early`,
        )
      if (told === 'rejected')
        history.check(count === 0, 'conditional appends are serializable', () => `command ${id} was rejected; an event`)
    }
    this.#compareTopic(found, events)
    for (const one of this.#views) {
      for (const [name, balance] of balances) {
        const stands = await found.app.view(one).get(name)
        const expected = balance && { ...balance, version: one.version }
        history.check(
          isDeepStrictEqual(stands, expected),
          'the ledger has the sum of the model',
          () => `view ${one.name} has ${JSON.stringify(stands)} on ${name}, not ${JSON.stringify(expected)}`,
        )
        if (balance === undefined) history.reach(one.inline ? 'an inline view forgot a key' : 'a view forgot a key')
      }
    }
  }

  /** One after the other, in the order of the positions, each event must be what its command leads to. */
  #replay(events: readonly FoundEvent[]): void {
    const { history } = this.#setting
    const balances = new Map<string, number>()
    for (const { type, data, causationId, position } of events) {
      const { account: name } = data as Amount
      const after = (balances.get(name) ?? 0) + amountOf({ type, data })
      history.check(after >= 0, 'conditional appends are serializable', () => `${name} has ${after} at ${position}`)
      history.check(this.#commands.has(causationId ?? ''), 'readable ⊆ attempted', () => `${type} at ${position}`)
      balances.set(name, after)
    }
  }

  /**
   * Whoever was told that there is too little was told so of what stood there between question and answer: with all that was
   * acknowledged before the question, and with nothing that was sent after the answer.
   */
  #checkRejections(events: readonly FoundEvent[]): void {
    for (const { message, overdrawn } of this.#commands.values()) {
      const own = events.filter(({ data }) => (data as Amount).account === message.data.account)
      const commands = own.map(({ causationId = '' }) => this.#commands.get(causationId))
      for (const { askedAt, toldAt } of overdrawn) {
        const surely = commands.findLastIndex((one) => (one?.toldAt ?? Number.POSITIVE_INFINITY) < askedAt)
        const perhaps = commands.findLastIndex((one) => (one?.sentAt ?? 0) < toldAt)
        let balance = 0
        let least = surely < 0 ? 0 : Number.POSITIVE_INFINITY
        for (const [i, happened] of own.slice(0, perhaps + 1).entries()) {
          balance += amountOf(happened)
          if (i >= surely) least = Math.min(least, balance)
        }
        this.#setting.history.check(
          least < message.data.amount,
          'conditional appends are serializable',
          () => `command ${message.id} was rejected for ${message.data.amount}, and there were ${least} at least`,
        )
      }
    }
  }

  /** The topic has the events of the store, for each account in the same order. */
  #compareTopic({ records }: Found, events: readonly FoundEvent[]): void {
    const inTopic = Map.groupBy(
      records.filter(({ topic }) => topic === 'bank'),
      ({ key: name }) => name ?? '',
    )
    for (const [stream, inStore] of Map.groupBy(events, (one) => one.stream)) {
      const ids = (inTopic.get(stream.slice(streamOf('').length)) ?? []).map(({ id }) => id)
      this.#setting.history.check(
        ids.join() === inStore.map(({ id }) => id).join(),
        'order per key',
        () => `${stream}: ${inStore.length} events, ${ids.length} in the topic or in another order`,
      )
    }
  }

  /** Pays wages by commands that its steps ask, each of which has its effect once, however often it is asked. */
  #payrollOf(): Saga<z.infer<typeof wage>, void> {
    const pay = step({
      run: async ({ account: name, amount: by }: Amount, ctx) => {
        const message = Deposit({ account: name, amount: by })
        const sentAt = this.#setting.history.moment()
        if (this.#commands.has(ctx.key)) this.#setting.history.reach('a step asked its command again')
        else {
          const asked: Sent = { message, told: 'sent', notBeforeMs: [0], sentAt, toldAt: undefined, overdrawn: [] }
          this.#commands.set(ctx.key, asked)
        }
        await ctx.ask(message)
      },
      retry: fixed({ delay: 20, max: 1000 }),
    })
    return saga('payroll', { start: WageDue, steps: { pay } }, async (scope, { account: name, amount: by }) => {
      await scope.step('pay', { account: name, amount: by })
    })
  }

  async #work(process: Process): Promise<void> {
    const { life } = process
    for (let i = life.draw.int(0, this.#setting.requestCount); i > 0; i--) {
      if (life.draw.chance(0.15)) await this.#payWage(process)
      const sent = this.#next(life)
      try {
        if (life.draw.chance(0.3)) {
          const after = life.draw.chance(0.4) ? life.draw.int(1, delayMsMax) : 0
          sent.notBeforeMs.push(life.clock.nowMs() + after)
          await process.app().send(sent.message, after === 0 ? undefined : { after })
          if (after > 0) this.#setting.history.reach('a command was delayed')
          sent.told ??= 'sent'
        } else {
          sent.notBeforeMs.push(0)
          const askedAt = this.#setting.history.moment()
          const outcome = await process.app().ask(sent.message)
          const toldAt = this.#setting.history.moment()
          sent.toldAt ??= toldAt
          if (outcome.kind === 'rejected' && !outcome.repeated) sent.overdrawn.push({ askedAt, toldAt })
          if (outcome.repeated) this.#setting.history.reach('a command was asked again')
          this.#setting.history.reach(`a command was ${outcome.kind}`)
          sent.told = outcome.kind
        }
      } catch (error) {
        if (outcomeOfFailure(error, this.#setting.history) === 'unknown') return
      }
      await life.pause(60)
    }
  }

  async #payWage(process: Process): Promise<void> {
    const { draw } = process.life
    const data = { account: `a${draw.int(1, accountCount)}`, amount: draw.int(1, 100) }
    try {
      await process.app().publish(WageDue({ payment: `wage-${this.#wageCount++}`, ...data }))
    } catch (error) {
      outcomeOfFailure(error, this.#setting.history)
    }
  }

  /** A new command, or one that was made before: it must not have its effect again. */
  #next(life: Life): Sent {
    const before = [...this.#commands].filter(([id, { message }]) => id === message.id).map(([, sent]) => sent)
    if (before.length > 0 && life.draw.chance(0.2)) return life.draw.pick(before.slice(-10))
    const data = { account: `a${life.draw.int(1, accountCount)}`, amount: life.draw.int(1, 100) }
    const message = life.draw.chance(0.5) ? Deposit(data) : Withdraw(data)
    const sentAt = this.#setting.history.moment()
    const sent: Sent = { message, told: undefined, notBeforeMs: [], sentAt, toldAt: undefined, overdrawn: [] }
    this.#commands.set(message.id, sent)
    return sent
  }
}
