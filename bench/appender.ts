import type { AppendWrite, Engine } from '../src/engine/index.ts'
import { OrderPlaced, orderDataOf } from './events.ts'
import { inFlight } from './publishing.ts'

/** Streams that appends go to in turn. */
export const streamCount = 10_000
/** Appends that are always under way. */
export const callers = 256

/** Appends that know the version of their stream, or what they read by a tag, as deciders do. */
export class Appender {
  readonly #engine: Engine
  readonly #versions = new Int32Array(streamCount)
  readonly #positions = new Float64Array(streamCount)
  readonly latenciesMs: number[] = []
  #turn = 0

  constructor(engine: Engine) {
    this.#engine = engine
  }

  async append(commits: number, withTag: boolean): Promise<void> {
    await inFlight({ commits, inFlight: callers, latenciesMs: this.latenciesMs }, async () => {
      // A step that shares no factor with the number of streams visits them all, and none twice at a time.
      const stream = (this.#turn++ * 7919) % streamCount
      const outcome = await this.#engine.commit({ append: [this.#write(stream, withTag)] })
      if (!outcome.ok) throw new Error(`an append was refused: ${JSON.stringify(outcome.conflict)}`)
      this.#versions[stream] = outcome.appended[0]?.lastVersion ?? 0
      this.#positions[stream] = outcome.appended[0]?.lastPosition ?? 0
    })
  }

  #write(stream: number, withTag: boolean): AppendWrite {
    const message = OrderPlaced(orderDataOf(this.#turn))
    const name = `order-${stream}`
    const tag = `order:${stream}`
    const expected = this.#versions[stream] as number
    if (!withTag) return { stream: name, expected, events: [{ message }] }
    const condition = {
      query: { items: [{ types: ['OrderPlaced'], tags: [tag] }] },
      after: this.#positions[stream] as number,
    }
    return { stream: name, expected, condition, events: [{ message, tags: [tag] }] }
  }
}
