import type { CommitOutcome, Engine, PublishWrite, Timer, WriteBatch } from '../engine/index.ts'
import type { Clock, Timer as ClockTimer, Json } from '../kernel/index.ts'
import type { Message } from '../message/index.ts'
import { channels } from '../telemetry/index.ts'
import { commitFailureOf } from './commit-failure.ts'
import { deadLetterOfDelayed } from './dead-letter-entry.ts'
import { deadLetterEvent } from './dead-letter-event.ts'
import { delayedCommand } from './delayed-send.ts'
import { deadLetterNamespace, deadLetterTopic, delayedSendOwner } from './namespaces.ts'
import type { TopicResolver } from './topic-resolver.ts'

/** The wall clock may jump forward: it is looked at this often while a command waits. */
const lookEveryMs = 1000
/** Another process that had a command to send may be gone: the store is asked this often at least. */
const askEveryMs = 60_000
const dueMax = 256
/** Attempts, a look apart, after which a command becomes a dead letter. */
const attemptsMax = 5

interface Failure {
  readonly attempts: number
  readonly firstMs: number
}

/**
 * Sends commands whose time has come: takes the timer away and publishes the command in one commit. Every start of the app does
 * so; of two that find the same timer, one is refused.
 *
 * One that cannot be sent becomes a dead letter of `<app>.delayed-commands` in place of its timer. A redrive puts the timer back.
 */
export class DelayedCommands {
  readonly #engine: Engine
  readonly #clock: Clock
  readonly #topics: TopicResolver
  readonly #app: string
  readonly #owner: string
  readonly #onError: (error: unknown) => void
  #wakeUp: ClockTimer | undefined
  #wakeUpMs = 0
  /** When the store is to be asked next, by the wall clock. */
  #askMs = 0
  #stopListening: () => void = () => undefined
  #sending: Promise<void> | undefined
  /** When the next command that is known of is due. */
  #knownMs = Number.POSITIVE_INFINITY
  #stopped = false
  /** Failed attempts in this process: bounded by what is read at once. */
  readonly #failures = new Map<string, Failure>()

  constructor(options: {
    readonly engine: Engine
    readonly clock: Clock
    readonly topics: TopicResolver
    readonly app: string
    readonly onError: (error: unknown) => void
  }) {
    this.#engine = options.engine
    this.#clock = options.clock
    this.#topics = options.topics
    this.#app = options.app
    this.#owner = delayedSendOwner(options.app)
    this.#onError = options.onError
  }

  start(): void {
    this.#stopListening = this.#engine.timers.onScheduled(this.#owner, (dueMs) => {
      this.#knownMs = Math.min(this.#knownMs, dueMs)
      this.#arm(dueMs)
    })
    this.#arm(this.#clock.nowMs())
  }

  /** Whether commands whose time has come are being looked for or sent. */
  get isSending(): boolean {
    return this.#sending !== undefined
  }

  /** Resolves when nothing is being sent any more. */
  async stop(): Promise<void> {
    this.#stopped = true
    this.#stopListening()
    this.#wakeUp?.cancel()
    await this.#sending
  }

  #arm(dueMs: number): void {
    if (this.#stopped) return
    const nowMs = this.#clock.nowMs()
    if (dueMs < this.#askMs) this.#askMs = dueMs
    const longestMs = dueMs === Number.POSITIVE_INFINITY ? askEveryMs : lookEveryMs
    const atMs = Math.max(nowMs, Math.min(this.#askMs, nowMs + longestMs))
    if (this.#wakeUp !== undefined) {
      if (atMs >= this.#wakeUpMs) return
      this.#wakeUp.cancel()
    }
    this.#wakeUpMs = atMs
    // Whoever has nothing else to do may end: what is due is sent at the next start.
    this.#wakeUp = this.#clock.setTimer(() => this.#look(), atMs - nowMs, { unref: true })
  }

  #look(): void {
    this.#wakeUp = undefined
    const nowMs = this.#clock.nowMs()
    if (nowMs < this.#askMs) {
      this.#arm(this.#knownMs)
      return
    }
    // What comes up meanwhile is looked for when that is done.
    if (this.#sending !== undefined) return
    this.#askMs = nowMs + askEveryMs
    this.#sending = this.#sendDue().then(
      (nextMs) => {
        this.#sending = undefined
        this.#knownMs = nextMs
        this.#arm(nextMs)
      },
      (error: unknown) => {
        this.#sending = undefined
        if (!this.#stopped) this.#onError(error)
      },
    )
  }

  /** When to look again, in milliseconds since 1970. */
  async #sendDue(): Promise<number> {
    const nowMs = this.#clock.nowMs()
    const due = await this.#engine.timers.due(this.#owner, nowMs, dueMax)
    const isDone = await Promise.all(due.map((timer) => this.#trySend(timer)))
    if (isDone.includes(false)) return nowMs + lookEveryMs
    if (due.length === dueMax) return nowMs
    return (await this.#engine.timers.nextDueMs(this.#owner)) ?? Number.POSITIVE_INFINITY
  }

  /** `false`: it is to be tried again. */
  async #trySend(timer: Timer): Promise<boolean> {
    const { id } = timer
    try {
      await this.#send(timer)
    } catch (error) {
      const kind = commitFailureOf(error)
      if (kind === 'engine') throw error
      if (kind === 'passing') return false
      const { attempts, firstMs } = this.#failures.get(id) ?? { attempts: 0, firstMs: this.#clock.nowMs() }
      this.#failures.set(id, { attempts: attempts + 1, firstMs })
      if (attempts + 1 < attemptsMax) return false
      await this.#giveUp(timer, error, { attempts: attempts + 1, firstMs })
    }
    this.#failures.delete(id)
    return true
  }

  async #giveUp(timer: Timer, error: unknown, failure: Failure): Promise<void> {
    const [app, nowMs] = [this.#app, this.#clock.nowMs()]
    const { partitionkey: key, type } = delayedCommand(timer.payload) as Partial<Message>
    const letter = deadLetterOfDelayed(app, timer, {
      error,
      ...failure,
      nowMs,
      key: typeof key === 'string' ? key : null,
    })
    const batch: WriteBatch = {
      state: [{ kind: 'set', namespace: deadLetterNamespace(app), key: letter.id, value: letter as unknown as Json }],
      timers: [{ kind: 'fire', owner: timer.owner, id: timer.id, revision: timer.revision }],
    }
    const topic = deadLetterTopic(app)
    const teller = { group: letter.handler, source: `/${app}`, clock: this.#clock }
    const event = deadLetterEvent(letter, undefined, teller, this.#topics.recordBytesMaxOf(topic))
    const commit = (publish: readonly PublishWrite[]): Promise<CommitOutcome> =>
      this.#engine.commit({ ...batch, publish })
    // What tells of it may not fit where it goes: the dead letter itself stands all the same.
    const outcome = await commit(event === undefined ? [] : [{ topic, messages: [event] }]).catch(
      (refusal: unknown) => {
        if (commitFailureOf(refusal) !== 'content') throw refusal
        return commit([])
      },
    )
    if (!outcome.ok || !channels.deadLettered.hasSubscribers) return
    const { handler, partition, offset, attempts: attempt, id } = letter
    const what = {
      handler,
      topic: letter.topic,
      partition,
      offset,
      key: letter.key,
      type: type ?? null,
      messageId: null,
    }
    channels.deadLettered.publish({ ...what, attempt, error, id })
  }

  /** A conflict: somebody else has sent it, or it was sent anew for another time. */
  async #send({ owner, id, revision, payload }: Timer): Promise<void> {
    const command = delayedCommand(payload)
    const topic = this.#topics.topicOf(command)
    if (!this.#topics.isReady(topic)) await this.#topics.create(topic)
    await this.#engine.commit({
      publish: [{ topic, messages: [command] }],
      timers: [{ kind: 'fire', owner, id, revision }],
    })
  }
}
