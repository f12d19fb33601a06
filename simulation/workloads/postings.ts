import { z } from 'zod'
import { append, event, fixed, type Message, on, publish, service, set } from '../../src/index.ts'
import type { Life } from '../life.ts'
import { OutsideError } from '../outside.ts'
import { PublishLog } from '../publishing.ts'
import { dataOf, type Found, type Parts, type Process, type Setting, type Workload } from '../workload.ts'

const posting = z.object({ account: z.string(), n: z.int(), amount: z.int() })
const tally = z.object({ account: z.string(), n: z.int(), count: z.int(), sum: z.int() })
const Posted = event('Posted', { topic: 'postings', data: posting, key: (data) => data.account })
const Tallied = event('Tallied', { topic: 'tallies', data: tally, key: (data) => data.account })

const accountCount = 5
const batchMax = 4
const poisonPeriod = 11
/** No engine takes a stream of such a name. */
const impossibleStream = 's'.repeat(2_000)

/**
 * Producers post to accounts; a handler with state keeps a ledger and publishes each step of it. Some attempts fail, by themselves or
 * because the engine refuses what they ask for, some messages become dead letters and hold back their keys, and what a producer has
 * no answer for it posts again.
 */
export class Postings implements Workload {
  readonly #setting: Setting
  readonly #log: PublishLog
  /** Whether producers post again under the same id, and the handler tells. */
  readonly #repeats: boolean
  readonly #isAsync: boolean
  readonly #hasPoison: boolean
  readonly #isEarly: boolean
  /** Whether some messages come as other programs make them, such as a queue of their own: whole, but not frozen. */
  readonly #isForeign: boolean
  /** Whether each posting waits for the answer of the one before. */
  readonly #waits: boolean
  /** Whether it is the engine that refuses poison. */
  readonly #isRefused: boolean
  /** Long enough, for some, that attempts are kept in the store. */
  readonly #retryMs: number
  readonly #next = new Map<string, number>()
  /** What each producer posted last, and in one life had no answer for. */
  readonly #open = new Map<string, Message[]>()

  constructor(setting: Setting) {
    this.#setting = setting
    this.#log = new PublishLog(setting.history)
    this.#repeats = setting.draw.chance(0.5)
    // Of two under way the first one may be refused alone, and a process that dies before it hears of that posts both again.
    this.#waits = this.#repeats && setting.mayBeFull
    this.#isAsync = setting.draw.chance(0.5)
    this.#hasPoison = setting.draw.chance(0.5)
    this.#isEarly = setting.draw.chance(0.5)
    this.#isForeign = setting.draw.chance(0.5)
    this.#isRefused = setting.draw.chance(0.5)
    this.#retryMs = setting.draw.chance(0.3) ? 1000 : 15
  }

  parts(life: Life): Parts {
    const { history } = this.#setting
    const draw = life.draw.fork()
    const keep = on(
      Posted,
      {
        name: 'ledger',
        early: this.#isEarly,
        state: { initial: { n: -1, count: 0, sum: 0 } },
        onDeadLetter: 'park-key',
        retry: fixed({ delay: this.#retryMs, max: 2 }),
        ...(this.#repeats && { dedupe: { window: '2h' } }),
        requires: 'exactly-once',
      },
      (posted, state) => {
        const { account, n, amount } = posted.data
        history.check(n > state.n, 'order per key', () => `${account} handles ${n} after ${state.n}`)
        const next = { n, count: state.count + 1, sum: state.sum + amount }
        const effects = [set(next), publish(Tallied({ account, ...next }))]
        // Some fail now and then, and some as long as this process lives.
        const isPoison = this.#hasPoison && n % poisonPeriod === life.index % poisonPeriod
        const fails = draw.chance(0.03) || isPoison
        const settled = () => {
          if (!fails || life.isHealing) return effects
          if (!isPoison || !this.#isRefused) throw new OutsideError('The handler fails.')
          history.reach('the engine refused what a handler asked for')
          return [...effects, append(impossibleStream, posted)]
        }
        return this.#isAsync ? life.pause(20).then(settled) : settled()
      },
    )
    return { services: [service('postings', [keep])] }
  }

  clients(process: Process): readonly Promise<void>[] {
    return Array.from({ length: accountCount }, (_, i) => this.#produce(process, `account-${i}`))
  }

  check(found: Found): void {
    const { history } = this.#setting
    this.#log.check(found, new Set([Posted.type]))
    const posted = Map.groupBy(unique(found.records.filter(({ type }) => type === Posted.type)), ({ key }) => key ?? '')
    const tallied = Map.groupBy(dataOf<z.infer<typeof tally>>(found, Tallied.type), ({ account }) => account)
    for (const account of new Set([...posted.keys(), ...tallied.keys()])) {
      const rows = (posted.get(account) ?? []).map(({ data }) => data as z.infer<typeof posting>)
      const steps = tallied.get(account) ?? []
      history.check(
        isRising(rows.map(({ n }) => n)),
        'order per key',
        () => `${account}: ${rows.map(({ n }) => n).join()}`,
      )
      history.check(
        isRising(steps.map(({ n }) => n)),
        'order per key',
        () => `${account}: ${steps.map(({ n }) => n).join()}`,
      )
      history.check(
        steps.length === rows.length && steps.every(({ count }, i) => count === i + 1),
        'each effect once',
        () => `${account}: ${rows.length} postings, steps ${steps.map(({ count }) => count).join()}`,
      )
      const sum = rows.reduce((total, { amount }) => total + amount, 0)
      history.check(
        (steps.at(-1)?.sum ?? 0) === sum,
        'the ledger has the sum of the model',
        () => `${account}: ${steps.at(-1)?.sum}, not ${sum}`,
      )
    }
  }

  async #produce(process: Process, account: string): Promise<void> {
    const { life } = process
    const again = this.#open.get(account) ?? []
    this.#open.set(account, [])
    if (this.#repeats && again.length > 0) await this.#post(process, account, again)
    const count = life.draw.int(0, this.#setting.requestCount)
    const answers: Promise<boolean>[] = []
    for (let i = 0; i < count; i++) {
      const batch = Array.from({ length: life.draw.int(1, batchMax) }, () => this.#posting(life, account))
      const answer = this.#post(process, account, batch)
      answers.push(answer)
      // Now and then the next one does not wait for the answer.
      if ((life.draw.chance(0.5) || this.#waits) && !(await answer)) break
      await life.pause(40)
    }
    await Promise.all(answers)
  }

  /** Whether it makes sense to go on. */
  async #post(process: Process, account: string, batch: readonly Message[]): Promise<boolean> {
    const open = this.#open.get(account) as Message[]
    open.push(...batch)
    const given = batch.map((message) =>
      this.#isForeign && process.life.draw.chance(0.3) ? structuredClone(message) : message,
    )
    const outcome = await this.#log.publish(batch, () => process.app().publish(given))
    // One that was refused must not come after later ones.
    if (outcome !== 'unknown') for (const message of batch) open.splice(open.indexOf(message), 1)
    return outcome !== 'unknown'
  }

  #posting(life: Life, account: string): Message {
    const n = this.#next.get(account) ?? 0
    this.#next.set(account, n + 1)
    return Posted({ account, n, amount: life.draw.int(1, 100) })
  }
}

/** The first record of each id: what was posted again stands there again. */
function unique<T extends { readonly id: string }>(records: readonly T[]): readonly T[] {
  const seen = new Set<string>()
  return records.filter(({ id }) => !seen.has(id) && seen.add(id))
}

function isRising(numbers: readonly number[]): boolean {
  return numbers.every((n, i) => i === 0 || n > (numbers[i - 1] as number))
}
