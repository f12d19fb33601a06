import { Replied, repliesTo, replyTopic, replyTopicAttribute } from '../domain/index.ts'
import { type Engine, OffsetOutOfRangeError, TopicUnknownError } from '../engine/index.ts'
import { type Clock, sleep } from '../kernel/index.ts'
import { type DataOf, identityOf, type Message, withAttributes } from '../message/index.ts'
import type { Patience, TopicResolver } from '../runtime/index.ts'

type Reply = DataOf<typeof Replied>

/** Replies are read by those that run: they are of no use after that. */
const retentionMs = 60 * 60 * 1000
const waitMs = 5000
/** Pause before the topic is made anew once more: it may take its time to go, or to come. */
const againMs = 100

/**
 * Asks other apps: sends a message that names the topic of this app's replies, and reads there from then on. Every process of
 * the app reads all replies, as any of them may have asked.
 */
export class ReplyListener {
  readonly #engine: Engine
  readonly #topics: TopicResolver
  readonly #topic: string
  readonly #clock: Clock
  readonly #signal: AbortSignal
  readonly #patience: Patience
  readonly #onError: (error: unknown) => void
  /** Those who wait, by what they asked. */
  readonly #waiting = new Map<string, Set<(reply: Reply) => void>>()
  #listening: Promise<void> | undefined

  constructor(options: {
    readonly engine: Engine
    readonly topics: TopicResolver
    readonly app: string
    readonly clock: Clock
    readonly signal: AbortSignal
    readonly patience: Patience
    readonly onError: (error: unknown) => void
  }) {
    this.#engine = options.engine
    this.#topics = options.topics
    this.#topic = replyTopic(options.app)
    this.#clock = options.clock
    this.#signal = options.signal
    this.#patience = options.patience
    this.#onError = options.onError
  }

  /** Rejects with the signal's reason. */
  async ask(message: Message, signal: AbortSignal): Promise<Reply> {
    this.#listening ??= this.#listen().catch((error: unknown) => {
      // Who asks next tries again.
      this.#listening = undefined
      throw error
    })
    await this.#listening
    const topic = this.#topics.topicOf(message)
    if (!this.#topics.isReady(topic)) await this.#topics.create(topic)
    signal.throwIfAborted()
    const { promise: reply, resolve, reject } = Promise.withResolvers<Reply>()
    signal.addEventListener('abort', () => reject(signal.reason), { once: true })
    const name = identityOf(message)
    const together = this.#waiting.get(name) ?? new Set()
    this.#waiting.set(name, together.add(resolve))
    try {
      const asked = withReplyTopic(message, this.#topic)
      await Promise.race([this.#engine.commit({ publish: [{ topic, messages: [asked] }] }), reply])
      return await reply
    } finally {
      reply.catch(() => undefined)
      together.delete(resolve)
      if (together.size === 0) this.#waiting.delete(name)
    }
  }

  async #listen(): Promise<void> {
    const offset = await this.#locate('latest')
    this.#read(offset).catch((error: unknown) => {
      if (!this.#signal.aborted) this.#onError(error)
    })
  }

  async #read(from: number): Promise<void> {
    let isAgain = false
    for (let offset = from; !this.#signal.aborted; ) {
      try {
        const request = { topic: this.#topic, partition: 0, offset, waitMs, signal: this.#signal }
        const { records, nextOffset } = await this.#patience.during(
          () => this.#engine.topics.read(request),
          this.#signal,
        )
        offset = nextOffset
        isAgain = false
        for (const record of records) if (record.kind === 'message') this.#tell(record.message)
      } catch (error) {
        // The process stood still for longer than replies are kept, or somebody has deleted the topic: who waits for one that
        // is gone is told when its time is up, and whoever asks from now on is answered.
        if (!(error instanceof OffsetOutOfRangeError || error instanceof TopicUnknownError)) throw error
        if (isAgain) await sleep(againMs, this.#clock, this.#signal)
        isAgain = true
        offset = await this.#patience.during(() => this.#locate('earliest'), this.#signal)
      }
    }
  }

  async #locate(start: 'earliest' | 'latest'): Promise<number> {
    await this.#engine.topics.ensure(this.#topic, { partitions: 1, retentionMs })
    return this.#engine.topics.locate(this.#topic, 0, start)
  }

  /** One that comes late, twice, or for another process finds nobody. */
  #tell(message: Message): void {
    if (message.type !== Replied.type) return
    const data = message.data as Partial<Reply> | null
    const problem = 'the reply is none that this program knows'
    const reply =
      typeof data?.kind === 'string' ? (data as Reply) : ({ kind: 'failed', error: 'UNEXPECTED', problem } as const)
    for (const resolve of this.#waiting.get(repliesTo(message)) ?? []) resolve(reply)
  }
}

/** The message, with the name of the topic on which its reply is waited for. */
function withReplyTopic(message: Message, topic: string): Message {
  return withAttributes(message, { [replyTopicAttribute]: topic })
}
