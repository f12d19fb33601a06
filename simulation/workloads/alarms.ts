import { z } from 'zod'
import { cancel, event, on, publish, schedule, service } from '../../src/index.ts'
import type { Life } from '../life.ts'
import { PublishLog } from '../publishing.ts'
import { dataOf, type Found, type Parts, type Process, type Setting, type Workload } from '../workload.ts'

const AlarmAsked = event('AlarmAsked', {
  topic: 'alarms',
  data: z.object({ alarm: z.string(), afterMs: z.int() }),
  key: (data) => data.alarm,
})
const AlarmCancelled = event('AlarmCancelled', {
  topic: 'alarms',
  data: z.object({ alarm: z.string() }),
  key: (data) => data.alarm,
})
const rang = z.object({ alarm: z.string(), dueMs: z.int(), rangMs: z.int() })
const Rang = event('Rang', { topic: 'rings', data: rang, key: (data) => data.alarm })

const clientCount = 3
const alarmMsMax = 90_000

/** Handlers set durable timers, some of which are cancelled; what rings tells when it was due and when it rang. */
export class Alarms implements Workload {
  readonly #setting: Setting
  readonly #log: PublishLog
  readonly #asked: string[] = []
  readonly #cancelled = new Set<string>()
  #count = 0

  constructor(setting: Setting) {
    this.#setting = setting
    this.#log = new PublishLog(setting.history)
  }

  parts(_life: Life): Parts {
    const { history } = this.#setting
    const set = on(
      [AlarmAsked, AlarmCancelled],
      {
        name: 'alarm',
        timers: {
          ring: (timer, ctx) => {
            history.reach('a timer fired')
            // What was asked for goes with the timer: what the engine says it was due at may be wrong.
            const rangMs = Math.max(ctx.nowMs(), history.wallMsMax)
            return publish(Rang({ alarm: timer.key, dueMs: timer.data as number, rangMs }))
          },
        },
      },
      (message, ctx) => {
        if (message.type === 'AlarmCancelled') return cancel('ring')
        const dueMs = ctx.nowMs() + message.data.afterMs
        return schedule('ring', { at: dueMs }, dueMs)
      },
    )
    return { services: [service('alarms', [set])] }
  }

  clients(process: Process): readonly Promise<void>[] {
    return Array.from({ length: clientCount }, () => this.#ask(process))
  }

  async isOver({ engine }: Process): Promise<boolean> {
    const timers = await engine.timers.list({ limit: 1000 })
    return !timers.some(({ owner }) => owner.includes('alarms'))
  }

  check(found: Found): void {
    const { history } = this.#setting
    this.#log.check(found, new Set([AlarmAsked.type, AlarmCancelled.type]))
    const rings = Map.groupBy(dataOf<z.infer<typeof rang>>(found, Rang.type), ({ alarm }) => alarm)
    const asked = new Set(dataOf<{ alarm: string }>(found, AlarmAsked.type).map(({ alarm }) => alarm))
    for (const alarm of asked) {
      const count = rings.get(alarm)?.length ?? 0
      history.check(
        count === 1 || (count === 0 && this.#cancelled.has(alarm)),
        'each effect once',
        () => `${alarm} rang ${count} times`,
      )
    }
    for (const [alarm, [first]] of rings) {
      history.check(asked.has(alarm), 'readable ⊆ attempted', () => `${alarm} rang, and nobody asked for it`)
      if (first === undefined) continue
      history.check(
        first.rangMs >= first.dueMs,
        'timers are never early',
        () => `${alarm} rang ${first.dueMs - first.rangMs} ms early`,
      )
    }
  }

  async #ask(process: Process): Promise<void> {
    const { life } = process
    for (let i = life.draw.int(0, this.#setting.requestCount); i > 0; i--) {
      const isCancelled = this.#asked.length > 0 && life.draw.chance(0.25)
      const alarm = isCancelled ? life.draw.pick(this.#asked) : `alarm-${this.#count++}`
      if (isCancelled) this.#cancelled.add(alarm)
      else this.#asked.push(alarm)
      const message = isCancelled
        ? AlarmCancelled({ alarm })
        : AlarmAsked({ alarm, afterMs: Math.round(life.draw.skewed(1, alarmMsMax)) })
      if ((await this.#log.publish([message], () => process.app().publish(message))) === 'unknown') return
      await life.pause(200)
    }
  }
}
