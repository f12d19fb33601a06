import type { Engine, Timer } from '../engine/index.ts'
import type { Clock, Timer as ClockTimer } from '../kernel/index.ts'
import { delayedCommand, delayedSendOwner, type TopicResolver } from '../runtime/index.ts'

/** The wall clock may jump forward: it is looked at this often while a command waits. */
const lookEveryMs = 1000
/** Another process that had a command to send may be gone: the store is asked this often at least. */
const askEveryMs = 60_000
const dueMax = 256

/**
 * Sends commands whose time has come: takes the timer away and publishes the command in one commit. Every start of the app does
 * so; of two that find the same timer, one is refused.
 */
export class DelayedCommands {
  readonly #engine: Engine
  readonly #clock: Clock
  readonly #topics: TopicResolver
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
    await Promise.all(due.map((timer) => this.#send(timer)))
    if (due.length === dueMax) return nowMs
    return (await this.#engine.timers.nextDueMs(this.#owner)) ?? Number.POSITIVE_INFINITY
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
