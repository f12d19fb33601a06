import type { RunningApp } from '../../src/app/index.ts'
import type { EmbeddedEngine } from '../../src/embedded/index.ts'
import type { RawRecord } from '../../src/engine/index.ts'
import { sleep, systemClock } from '../../src/kernel/index.ts'
import { eventsOfKey, Once, Soaked } from './soak-app.ts'
import type { SteppingClock } from './stepping-clock.ts'

const kibibyte = 1024
/** By the wall, from one round to the next. */
const stepMs = 1000
const topics = {
  bytes: { partitions: 2, retentionBytes: 512 * kibibyte },
  time: { partitions: 1, retentionMs: 3 * stepMs },
  latest: { partitions: 1, cleanup: 'compact', tombstoneRetentionMs: stepMs },
} as const
const appKeys = 40
const twiceKeys = 8
/** More than the runtime's cache of state holds. */
const keysInMemory = 20_500
const keysAtOnce = 500
const turns = 12
const recordsAtOnce = 16
const lastingKeys = 100
const streamCount = 4
const eventsKept = 10
const tagCount = 50
const value = 'x'.repeat(512)

/** Whatever may come and go in a file, round after round; at the end of a round nothing of it is left that was not there after the one before. */
export class SoakLoad {
  readonly #engine: EmbeddedEngine
  readonly #running: RunningApp
  readonly #clock: SteppingClock
  #round = 0
  /** Records, events, changes of state and messages that were committed so far. */
  eventCount = 0

  private constructor(engine: EmbeddedEngine, running: RunningApp, clock: SteppingClock) {
    this.#engine = engine
    this.#running = running
    this.#clock = clock
  }

  static async start(engine: EmbeddedEngine, running: RunningApp, clock: SteppingClock): Promise<SoakLoad> {
    for (const [name, config] of Object.entries(topics)) await engine.topics.ensure(name, config)
    return new SoakLoad(engine, running, clock)
  }

  /** Handles as many keys as a handler keeps the state of in memory, so that this does not fill up amidst what is measured. */
  async fill(): Promise<void> {
    for (let n = 0; n < keysInMemory; n += keysAtOnce) {
      const messages = Array.from({ length: keysAtOnce }, (_, k) => Soaked({ id: `fill-${n + k}`, n: eventsOfKey - 1 }))
      await this.#running.publish(messages)
      await this.#running.idle()
      await this.#engine.topics.maintain()
    }
  }

  /** Does everything once more, and waits until all that is to follow from it has. */
  async round(): Promise<void> {
    this.#round++
    await Promise.all([this.#publish(), this.#records(), this.#state(), this.#streams()])
    await this.#running.idle()
    this.#clock.step(stepMs)
    while ((await this.#engine.timers.list({ limit: 1 })).length > 0) await sleep(2, systemClock)
    await this.#running.idle()
    await this.#engine.topics.maintain()
  }

  /** Keys that never come again, and messages that come again. */
  async #publish(): Promise<void> {
    const keys = Array.from({ length: appKeys }, (_, n) => `${this.#round}-${n}`)
    for (let n = 0; n < eventsOfKey; n++) await this.#running.publish(keys.map((id) => Soaked({ id, n })))
    const twice = keys.slice(0, twiceKeys).map((id) => Once({ id, n: 0 }))
    await this.#running.publish(twice)
    await this.#running.publish(twice)
    this.eventCount += appKeys * eventsOfKey + 2 * twiceKeys
  }

  async #records(): Promise<void> {
    for (let turn = 0; turn < turns; turn++) {
      const records = Array.from({ length: recordsAtOnce }, (): RawRecord => ({ key: null, value }))
      const lasting = Array.from({ length: recordsAtOnce }, (_, n): RawRecord => {
        return { key: `k${(turn * recordsAtOnce + n) % lastingKeys}`, value }
      })
      const passing = Array.from({ length: 4 }, (_, n) => `p${this.#round}-${turn}-${n}`)
      const latest = [
        ...lasting,
        ...passing.map((key): RawRecord => ({ key, value })),
        ...passing.map((key): RawRecord => ({ key, value: null })),
      ]
      await this.#engine.commit({
        publish: [
          { topic: 'bytes', records },
          { topic: 'time', records },
          { topic: 'latest', records: latest },
        ],
      })
      this.eventCount += records.length * 2 + latest.length
    }
  }

  /** Keys that are there for one round, and one that is always overwritten. */
  async #state(): Promise<void> {
    const namespace = 'soak'
    for (let turn = 0; turn < turns; turn++) {
      const keys = Array.from({ length: recordsAtOnce }, (_, n) => `${turn}-${n}`)
      await this.#engine.commit({
        state: [
          { kind: 'set', namespace, key: 'always', value: this.#round },
          ...keys.map((key) => ({ kind: 'set', namespace, key: `${this.#round}-${key}`, value }) as const),
          ...keys.map((key) => ({ kind: 'delete', namespace, key: `${this.#round - 1}-${key}` }) as const),
        ],
      })
      this.eventCount += keys.length * 2
    }
  }

  /** Streams that are cut to their end, and streams that are deleted and begin anew. */
  async #streams(): Promise<void> {
    const { events } = this.#engine
    for (let turn = 0; turn < turns; turn++) {
      const append = Array.from({ length: streamCount }, (_, n) => {
        const message = Soaked({ id: `stream-${n}`, n: turn })
        return {
          stream: `${n % 2 === 0 ? 'cut' : 'gone'}-${n}`,
          events: [{ message, tags: [`tag-${turn % tagCount}`] }],
        }
      })
      await this.#engine.commit({ append })
      this.eventCount += append.length
    }
    for (let n = 0; n < streamCount; n++) {
      const { version } = (await events.describeStream(`cut-${n}`)) ?? {}
      if (version !== undefined) await events.truncateStream(`cut-${n}`, Math.max(1, version - eventsKept))
      else await events.deleteStream(`gone-${n}`)
    }
  }
}
