import { MillraceError } from '../kernel/index.ts'
import { channels } from '../telemetry/index.ts'
import { OutboxTopicMissingError } from './errors.ts'
import type { ResolvedRelayOptions } from './relay-options.ts'

/** What an engine says of a message, or of a topic, that it will never take. */
const finalCodes: ReadonlySet<string> = new Set([
  'RECORD_TOO_LARGE',
  'RECORD_ARGUMENT_INVALID',
  'ARGUMENT_INVALID',
  'TOPIC_NAME_INVALID',
  'COMPACTED_WITHOUT_KEY',
])
/** How often topics that are not there are looked for. */
const lookEveryMs = 1_000

/** Why a message, or all messages of a topic, will never be taken. */
export type Refusal = MillraceError<string, object>

/** Whether an error is about what is published, and not about the way to the engine. */
export function isRefusal(error: unknown): error is Refusal {
  return error instanceof MillraceError && finalCodes.has(error.code)
}

/**
 * What a relay knows of the topics of its rows: those that are there, those that there can never be, and those that are missing and that
 * it may not create, whose rows wait. It outlasts a session.
 */
export class RelayTopics {
  readonly #options: ResolvedRelayOptions
  readonly #known = new Map<string, Refusal | undefined>()
  readonly #missing = new Set<string>()
  /** Those of which it was told that they are missing. */
  readonly #told = new Set<string>()
  #lookedMs = Number.NEGATIVE_INFINITY

  constructor(options: ResolvedRelayOptions) {
    this.#options = options
  }

  isThere(topic: string): boolean {
    return this.#known.has(topic) && this.#known.get(topic) === undefined
  }

  refusal(topic: string): Refusal | undefined {
    return this.#known.get(topic)
  }

  isMissing(topic: string): boolean {
    return this.#missing.has(topic)
  }

  /** Topics whose rows wait. */
  get missing(): readonly string[] {
    return [...this.#missing]
  }

  /** Finds out what there is to know of topics, once. @throws what the engine throws */
  async learn(topics: Iterable<string>): Promise<void> {
    for (const topic of topics) {
      if (this.#known.has(topic) || this.#missing.has(topic)) continue
      try {
        if (await this.#find(topic)) {
          this.#known.set(topic, undefined)
          this.#told.delete(topic)
        } else this.#miss(topic)
      } catch (error) {
        if (!isRefusal(error)) throw error
        this.#known.set(topic, error)
      }
    }
  }

  /** Something went wrong with topics that were there: they may have been deleted. */
  doubt(topics: Iterable<string>): void {
    for (const topic of topics) if (this.isThere(topic)) this.#known.delete(topic)
  }

  /** Looks now and then whether one of those that are missing has come. They count as missing until {@link lookAgain}. */
  async hasSomeCome(): Promise<boolean> {
    const nowMs = this.#options.clock.monotonicMs()
    if (this.#missing.size === 0 || nowMs - this.#lookedMs < lookEveryMs) return false
    this.#lookedMs = nowMs
    for (const topic of this.#missing) {
      if ((await this.#options.engine.topics.describe(topic)) !== undefined) return true
    }
    return false
  }

  /** Rows of topics that are missing are looked at from the beginning: so they come in their order, should the topic be there. */
  lookAgain(): void {
    this.#missing.clear()
  }

  async #find(topic: string): Promise<boolean> {
    const { engine, createTopics } = this.#options
    if (!createTopics) return (await engine.topics.describe(topic)) !== undefined
    await engine.topics.ensure(topic)
    return true
  }

  #miss(topic: string): void {
    this.#missing.add(topic)
    if (this.#told.has(topic)) return
    this.#told.add(topic)
    if (!channels.relayFailed.hasSubscribers) return
    const error = new OutboxTopicMissingError(this.#options.name.shown, topic)
    channels.relayFailed.publish({ topic, error, delayMs: lookEveryMs })
  }
}
