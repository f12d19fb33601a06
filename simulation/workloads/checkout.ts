import { z } from 'zod'
import { event, fixed, type Saga, type Step, StepRejectedError, saga, step } from '../../src/index.ts'
import type { Life } from '../life.ts'
import { PublishLog } from '../publishing.ts'
import { dataOf, type Found, type Parts, type Process, type Setting, type Workload } from '../workload.ts'

const order = z.object({ order: z.string(), isRefused: z.boolean(), restMs: z.int() })
type Order = z.infer<typeof order>
const CheckoutAsked = event('CheckoutAsked', { topic: 'checkouts', data: order, key: (data) => data.order })
const CheckedOut = event('CheckedOut', {
  topic: 'checkouts',
  data: z.object({ order: z.string() }),
  key: (data) => data.order,
})

const stepNames = ['reserve', 'charge', 'ship'] as const
type StepName = (typeof stepNames)[number]
const clientCount = 2
const restMsMax = 20_000

/** Sagas of three steps in the outside world, the last of which is refused for some: all done, or all undone in reverse. */
export class Checkout implements Workload {
  readonly #setting: Setting
  readonly #log: PublishLog
  readonly #orders = new Map<string, Order>()
  /** As the app that was started last knows it. */
  #declared: Saga<Order, string> | undefined

  constructor(setting: Setting) {
    this.#setting = setting
    this.#log = new PublishLog(setting.history)
  }

  parts(life: Life): Parts {
    this.#declared = this.#saga(life)
    return { sagas: [this.#declared] }
  }

  clients(process: Process): readonly Promise<void>[] {
    return Array.from({ length: clientCount }, () => this.#ask(process))
  }

  async isOver(process: Process): Promise<boolean> {
    if (this.#declared === undefined) return true
    const running = await process.app().saga(this.#declared).list()
    return running.every(({ status }) => status === 'completed' || status === 'compensated' || status === 'parked')
  }

  async check(found: Found): Promise<void> {
    this.#log.check(found, new Set([CheckoutAsked.type]))
    const asked = dataOf<Order>(found, CheckoutAsked.type)
    const told = Map.groupBy(dataOf<{ order: string }>(found, CheckedOut.type), (one) => one.order)
    for (const one of asked) this.#checkOne(one, told.get(one.order)?.length ?? 0)
    const { history, outside } = this.#setting
    const effects = outside.effects.filter(({ subject }) => this.#orders.has(subject))
    const keys = new Set(effects.map(({ subject, what }) => `${subject} ${what}`))
    history.check(keys.size === effects.length, 'each effect once', () => 'a step had its effect under two keys')
  }

  #checkOne({ order: name, isRefused }: Order, toldCount: number): void {
    const { history, outside } = this.#setting
    const effects = outside.about(name).map(({ what }) => what)
    const done = effects.filter((what) => !what.startsWith('undo '))
    const undone = effects.filter((what) => what.startsWith('undo ')).map((what) => what.slice('undo '.length))
    const isUndone = undone.length > 0 || done.length < stepNames.length
    history.reach(isUndone ? 'a saga was undone' : 'a saga was done')
    history.check(
      isUndone ? isRefused && done.length === stepNames.length - 1 : !isRefused,
      'a saga ends all done or all undone',
      () => `${name} did ${done.join()}, undid ${undone.join()}`,
    )
    history.check(
      !isUndone || undone.join() === done.toReversed().join(),
      'a saga ends all done or all undone',
      () => `${name} did ${done.join()}, and undid ${undone.join()}`,
    )
    history.check(
      toldCount === (isUndone ? 0 : 1),
      'each effect once',
      () => `${name} did ${effects.join()}, and published its end ${toldCount} times`,
    )
  }

  #saga(life: Life): Saga<Order, string> {
    const steps = {
      reserve: this.#step('reserve', life),
      charge: this.#step('charge', life),
      ship: this.#step('ship', life),
    }
    return saga('checkout', { start: CheckoutAsked, steps }, async (scope, one) => {
      await scope.step('reserve', one)
      await scope.step('charge', one)
      if (one.restMs > 0) await scope.sleep('rest', one.restMs)
      await scope.step('ship', one)
      scope.publish(CheckedOut({ order: one.order }))
      return one.order
    })
  }

  #step(name: StepName, life: Life): Step<Order, string> {
    const { outside, history } = this.#setting
    return step({
      run: async (one: Order, ctx): Promise<string> => {
        if (name === 'ship' && one.isRefused) throw new StepRejectedError('no such street')
        await outside.call(life, { key: ctx.key, subject: one.order, what: name })
        return name
      },
      undo: async ({ input }, ctx) => {
        const { order: subject } = input
        // One that was interrupted before it had its effect leaves nothing to undo.
        if (!outside.has(ctx.runKey)) return
        if (history.planted === 'undo-forgotten' && name === 'reserve') return
        const first: StepName = history.planted === 'undo-forward' && name === 'charge' ? 'reserve' : name
        await outside.call(life, { key: `${ctx.runKey}-undo-${first}`, subject, what: `undo ${first}` })
        if (first !== name)
          await outside.call(life, { key: `${ctx.runKey}-undo-${name}`, subject, what: `undo ${name}` })
      },
      retry: fixed({ delay: 20, max: 100 }),
      undoRetry: fixed({ delay: 20, max: 100 }),
    })
  }

  async #ask(process: Process): Promise<void> {
    const { life } = process
    for (let i = life.draw.int(0, Math.ceil(this.#setting.requestCount / 2)); i > 0; i--) {
      const one: Order = {
        order: `order-${this.#orders.size}`,
        isRefused: life.draw.chance(0.4),
        restMs: life.draw.chance(0.3) ? life.draw.int(1, restMsMax) : 0,
      }
      this.#orders.set(one.order, one)
      const message = CheckoutAsked(one)
      if ((await this.#log.publish([message], () => process.app().publish(message))) === 'unknown') return
      await life.pause(100)
    }
  }
}
