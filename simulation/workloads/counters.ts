import { z } from 'zod'
import type { CommitOutcome, Engine, EventQuery, WriteBatch } from '../../src/engine/index.ts'
import { event, topic } from '../../src/index.ts'
import type { Life } from '../life.ts'
import { outcomeOfFailure } from '../publishing.ts'
import { dataOf, type Found, type Parts, type Process, type Setting, type Workload } from '../workload.ts'

const Counted = event('Counted', { data: z.object({ counter: z.string(), value: z.int() }) })
const Stamped = event('Stamped', { topic: 'stamps', data: z.object({ n: z.int() }) })
const stamps = topic('stamps', { partitions: 1 })

const counterCount = 2
const clientCount = 3
const namespace = 'simulated-counters'
const streamOf = (counter: string): string => `counter-${counter}`

/** How a client makes sure that nobody has counted in between. */
const ways = ['version', 'condition', 'revision'] as const

interface Tally {
  acknowledged: number
  attempted: number
}

/**
 * Clients of the engine itself, without an app in between: they read a number and write the next one if it is still so, by the
 * version of a stream, by an append condition, by the revision of a key; and an idempotent producer numbers what it sends.
 */
export class Counters implements Workload {
  readonly #setting: Setting
  readonly #tallies = new Map<string, Tally>()
  #stamped = 0
  #stampsAcknowledged = new Set<number>()

  constructor(setting: Setting) {
    this.#setting = setting
  }

  parts(_life: Life): Parts {
    return { topics: [stamps] }
  }

  clients(process: Process): readonly Promise<void>[] {
    return [...Array.from({ length: clientCount }, () => this.#count(process)), this.#stamp(process)]
  }

  async check(found: Found): Promise<void> {
    const { history } = this.#setting
    for (const way of ways) {
      for (let i = 0; i < counterCount; i++) {
        const counter = `${way}-${i}`
        const value = way === 'revision' ? await this.#keyed(found.engine, counter) : this.#appended(found, counter)
        const { acknowledged, attempted } = this.#tallies.get(counter) ?? { acknowledged: 0, attempted: 0 }
        history.check(
          acknowledged <= value && value <= attempted,
          'conditional appends are serializable',
          () => `${counter} is ${value}; ${acknowledged} were acknowledged of ${attempted}`,
        )
      }
    }
    const numbers = dataOf<{ n: number }>(found, Stamped.type).map(({ n }) => n)
    history.check(
      numbers.every((n, i) => i === 0 || n > (numbers[i - 1] as number)),
      'each effect once',
      () => `an idempotent producer left ${numbers.join()}`,
    )
    for (const n of this.#stampsAcknowledged)
      history.check(numbers.includes(n), 'acknowledged ⊆ readable', () => `stamp ${n} is gone`)
  }

  /** The events of a counter count from 1 without a gap. */
  #appended(found: Found, counter: string): number {
    const values = found.events.filter(({ stream }) => stream === streamOf(counter)).map(({ data }) => data as Counting)
    this.#setting.history.check(
      values.every(({ value }, i) => value === i + 1),
      'conditional appends are serializable',
      () => `${counter} counts ${values.map(({ value }) => value).join()}`,
    )
    return values.length
  }

  async #keyed(engine: Engine, counter: string): Promise<number> {
    return ((await engine.state.get(namespace, counter))?.value as number | undefined) ?? 0
  }

  async #count({ life, engine }: Process): Promise<void> {
    for (let i = life.draw.int(0, this.#setting.requestCount); i > 0; i--) {
      const way = life.draw.pick(ways)
      const counter = `${way}-${life.draw.int(0, counterCount - 1)}`
      try {
        const batch = await this.#increment(engine, way, counter)
        if (life.draw.chance(0.5)) await life.pause(20)
        const tally = this.#tallies.get(counter) ?? { acknowledged: 0, attempted: 0 }
        this.#tallies.set(counter, tally)
        tally.attempted++
        const outcome = await engine.commit(batch)
        if (outcome.ok) tally.acknowledged++
        // What was refused was not written: it is no attempt that could stand there.
        else this.#refused(outcome, tally)
      } catch (error) {
        if (outcomeOfFailure(error, this.#setting.history) === 'unknown') return
      }
      await life.pause(10)
    }
  }

  #refused(outcome: CommitOutcome, tally: Tally): void {
    if (outcome.ok) return
    this.#setting.history.reach(`a conflict: ${outcome.conflict.kind}`)
    tally.attempted--
  }

  async #increment(engine: Engine, way: (typeof ways)[number], counter: string): Promise<WriteBatch> {
    if (way === 'revision') {
      const entry = await engine.state.get(namespace, counter)
      const value = ((entry?.value as number | undefined) ?? 0) + 1
      return { state: [{ kind: 'set', namespace, key: counter, value, expectedRevision: entry?.revision ?? 0 }] }
    }
    const query: EventQuery = { items: [{ types: [Counted.type], tags: [counter] }] }
    let last = { value: 0, version: 0, position: 0 }
    for await (const { message, version, position } of engine.events.readAll({
      query,
      direction: 'backward',
      limit: 1,
    }))
      last = { value: (message.data as Counting).value, version, position }
    const events = [{ message: Counted({ counter, value: last.value + 1 }), tags: [counter] }]
    const stream = streamOf(counter)
    return way === 'version'
      ? { append: [{ stream, events, expected: last.version === 0 ? 'none' : last.version }] }
      : { append: [{ stream, events, condition: { query, after: last.position } }] }
  }

  /** Sends some batches twice, as after an answer that was lost. */
  async #stamp(process: Process): Promise<void> {
    const { life, engine } = process
    try {
      const { producerId, epoch } = await engine.topics.registerProducer('stamper')
      for (let sequence = 0, i = life.draw.int(0, this.#setting.requestCount); i > 0; i--, sequence++) {
        const n = this.#stamped++
        const message = Stamped({ n })
        const publish = [
          { topic: 'stamps', partition: 0, messages: [message], producer: { producerId, epoch, sequence } },
        ]
        const sent = Array.from({ length: life.draw.int(1, 2) }, () => engine.commit({ publish }))
        if ((await Promise.all(sent)).every(({ ok }) => ok)) this.#stampsAcknowledged.add(n)
        await life.pause(20)
      }
    } catch (error) {
      outcomeOfFailure(error, this.#setting.history)
    }
  }
}

interface Counting {
  readonly value: number
}
