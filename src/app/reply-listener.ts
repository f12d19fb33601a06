import { Replied, repliesTo, replyTopic, replyTopicAttribute } from '../domain/index.ts'
import type { Engine } from '../engine/index.ts'
import { type DataOf, identityOf, type Message } from '../message/index.ts'
import type { TopicResolver } from '../runtime/index.ts'

type Reply = DataOf<typeof Replied>

/** Replies are read by those that run: they are of no use after that. */
const retentionMs = 60 * 60 * 1000
const waitMs = 5000

/**
 * Asks other apps: sends a message that names the topic of this app's replies, and reads there from then on. Every process of
 * the app reads all replies, as any of them may have asked.
 */
export class ReplyListener {
  readonly #engine: Engine
  readonly #topics: TopicResolver
  readonly #topic: string
  readonly #signal: AbortSignal
  readonly #onError: (error: unknown) => void
  /** Those who wait, by what they asked. */
  readonly #waiting = new Map<string, Set<(reply: Reply) => void>>()
  #listening: Promise<void> | undefined

  constructor(options: {
    readonly engine: Engine
    readonly topics: TopicResolver
    readonly app: string
    readonly signal: AbortSignal
    readonly onError: (error: unknown) => void
  }) {
    this.#engine = options.engine
    this.#topics = options.topics
    this.#topic = replyTopic(options.app)
    this.#signal = options.signal
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
    signal.throwIfAborted()
    const topic = this.#topics.topicOf(message)
    if (!this.#topics.isReady(topic)) await this.#topics.create(topic)
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
    await this.#engine.topics.ensure(this.#topic, { partitions: 1, retentionMs })
    const offset = await this.#engine.topics.locate(this.#topic, 0, 'latest')
    this.#read(offset).catch((error: unknown) => {
      if (!this.#signal.aborted) this.#onError(error)
    })
  }

  async #read(from: number): Promise<void> {
    for (let offset = from; !this.#signal.aborted; ) {
      const request = { topic: this.#topic, partition: 0, offset, waitMs, signal: this.#signal }
      const { records, nextOffset } = await this.#engine.topics.read(request)
      offset = nextOffset
      for (const record of records) {
        if (record.kind !== 'message' || record.message.type !== Replied.type) continue
        for (const resolve of this.#waiting.get(repliesTo(record.message)) ?? []) resolve(record.message.data as Reply)
      }
    }
  }
}

/** The message, with the name of the topic on which its reply is waited for. */
function withReplyTopic(message: Message, topic: string): Message {
  return Object.freeze({ ...message, [replyTopicAttribute]: topic })
}
