import { z } from 'zod'
import { cancel, event, type Message, on, publish, schedule, service } from '../../src/index.ts'
import type { Life } from '../life.ts'
import { PublishLog } from '../publishing.ts'
import {
  dataOf,
  type Found,
  type FoundRecord,
  type Parts,
  type Process,
  type Setting,
  type Workload,
} from '../workload.ts'

const AlarmAsked = event('AlarmAsked', {
  topic: 'alarms',
  data: z.object({ alarm: z.string(), n: z.int(), afterMs: z.int() }),
  key: (data) => data.alarm,
})
const AlarmCancelled = event('AlarmCancelled', {
  topic: 'alarms',
  data: z.object({ alarm: z.string() }),
  key: (data) => data.alarm,
})
const rang = z.object({ alarm: z.string(), n: z.int(), dueMs: z.int(), rangMs: z.int() })
const Rang = event('Rang', { topic: 'rings', data: rang, key: (data) => data.alarm })
// What was done to the timer, in the order of the commits: each is published beside it.
const AlarmSet = event('AlarmSet', {
  topic: 'rings',
  data: z.object({ alarm: z.string(), n: z.int() }),
  key: (data) => data.alarm,
})
const AlarmSilenced = event('AlarmSilenced', {
  topic: 'rings',
  data: z.object({ alarm: z.string() }),
  key: (data) => data.alarm,
})

type Ring = z.infer<typeof rang>

const clientCount = 3
const alarmMsMax = 90_000

/**
 * Handlers set durable timers, some of which are set anew or cancelled, often while they fire; what rings tells when it was due
 * and when it rang.
 */
export class Alarms implements Workload {
  readonly #setting: Setting
  readonly #log: PublishLog
  readonly #alarms: string[] = []
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
            return publish(Rang({ alarm: timer.key, ...(timer.data as Pick<Ring, 'n' | 'dueMs'>), rangMs }))
          },
        },
      },
      (message, ctx) => {
        const { alarm } = message.data
        if (message.type === 'AlarmCancelled') return [cancel('ring'), publish(AlarmSilenced({ alarm }))]
        const { n, afterMs } = message.data
        const dueMs = ctx.nowMs() + afterMs
        return [schedule('ring', { at: dueMs }, { n, dueMs }), publish(AlarmSet({ alarm, n }))]
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
    const asked = found.records.filter(({ topic }) => topic === 'alarms')
    const rings = Map.groupBy(
      found.records.filter(({ topic }) => topic === 'rings'),
      ({ key }) => key ?? '',
    )
    for (const alarm of new Set(asked.map(({ key }) => key ?? ''))) this.#checkOne(alarm, rings.get(alarm) ?? [])
    history.check(
      asked.length === dataOf(found, AlarmSet.type).length + dataOf(found, AlarmSilenced.type).length,
      'each effect once',
      () => `of ${asked.length} messages not each one set or silenced an alarm once`,
    )
    for (const { alarm, n, dueMs, rangMs } of dataOf<Ring>(found, Rang.type)) {
      history.check(
        rangMs >= dueMs,
        'timers are never early',
        () => `${alarm} rang ${dueMs - rangMs} ms early, for ${n}`,
      )
    }
  }

  /** It rings once for each setting that was neither replaced nor silenced before, and for no other. */
  #checkOne(alarm: string, steps: readonly FoundRecord[]): void {
    let setting: number | undefined
    const isAsExpected = steps.every(({ type, data }) => {
      const { n } = data as Partial<Ring>
      const mayBe = type !== Rang.type || n === setting
      setting = type === AlarmSet.type ? n : undefined
      return mayBe
    })
    this.#setting.history.check(
      isAsExpected && setting === undefined,
      'each effect once',
      () =>
        `${alarm}: ${steps.map(({ type, data }) => `${type} ${(data as Partial<Ring>).n ?? ''}`.trim()).join(', ')}`,
    )
  }

  async #ask(process: Process): Promise<void> {
    const { life } = process
    for (let i = life.draw.int(0, this.#setting.requestCount); i > 0; i--) {
      const message = this.#next(life)
      if ((await this.#log.publish([message], () => process.app().publish(message))) === 'unknown') return
      await life.pause(200)
    }
  }

  #next(life: Life): Message {
    const isKnown = this.#alarms.length > 0 && life.draw.chance(0.5)
    const alarm = isKnown ? life.draw.pick(this.#alarms.slice(-5)) : `alarm-${this.#alarms.length}`
    if (!isKnown) this.#alarms.push(alarm)
    else if (life.draw.chance(0.3)) return AlarmCancelled({ alarm })
    return AlarmAsked({ alarm, n: this.#count++, afterMs: Math.round(life.draw.skewed(1, alarmMsMax)) })
  }
}
