import type { Conflict, Engine, StateWrite } from '../engine/index.ts'
import type { Clock, Json } from '../kernel/index.ts'
import { type AnyEventDefinition, identityOf, isCurrent, type Message } from '../message/index.ts'
import type { CommandOutcome, RememberedOutcome } from './command-outcome.ts'
import { CommandIdTakenError } from './errors.ts'

/**
 * Remembers what became of the commands of one decider, by id and source, for at least one window of time and at most two.
 *
 * The outcome of a command is written in the commit of its events, and expects that none is there yet: so nobody has to look
 * first, and of two processes that handle the same command one gets through. Time is cut into buckets of one window, each
 * its own namespace; what is older is cleared. A commit also expects that the command does not stand in the bucket before its
 * own, nor, in the second half of its own, in the one after it: clocks of processes may differ by up to half a window.
 */
export class CommandMemory {
  readonly #engine: Engine
  readonly #group: string
  readonly #prefix: string
  readonly #windowMs: number
  readonly #clock: Pick<Clock, 'nowMs'>
  readonly #events: ReadonlyMap<string, AnyEventDefinition>
  #clearedBefore = Number.NEGATIVE_INFINITY

  /** @param events What the commands lead to: remembered events are told as the program at hand knows them. */
  constructor(
    engine: Engine,
    group: string,
    windowMs: number,
    clock: Pick<Clock, 'nowMs'>,
    events: readonly AnyEventDefinition[] = [],
  ) {
    this.#engine = engine
    this.#group = group
    this.#prefix = `commands:${group}:`
    this.#windowMs = windowMs
    this.#clock = clock
    this.#events = new Map(events.map((definition) => [definition.type, definition]))
  }

  /** Remembers an outcome, and expects that none is there. */
  writes(command: Message, outcome: RememberedOutcome): StateWrite[] {
    const key = identityOf(command)
    const windows = this.#clock.nowMs() / this.#windowMs
    const bucket = Math.floor(windows)
    if (bucket > this.#clearedBefore) this.#clearOld(bucket)
    const value = { ...outcome, command: command.type } as unknown as Json
    const writes: StateWrite[] = [
      { kind: 'set', namespace: this.#prefix + bucket, key, value, expectedRevision: 0 },
      { kind: 'delete', namespace: this.#prefix + (bucket - 1), key, expectedRevision: 0 },
    ]
    if (windows - bucket >= 0.5) {
      writes.push({ kind: 'delete', namespace: this.#prefix + (bucket + 1), key, expectedRevision: 0 })
    }
    return writes
  }

  /** The command whose outcome stood there already, if a commit was refused for that. */
  about<Waiting extends { readonly command: Message }>(
    conflict: Conflict,
    waiting: readonly Waiting[],
  ): Waiting | undefined {
    if (conflict.kind !== 'revision' || !conflict.namespace.startsWith(this.#prefix)) return undefined
    return waiting.find(({ command }) => identityOf(command) === conflict.key)
  }

  /**
   * What became of a command; `undefined`: nobody has handled it within the window.
   *
   * @throws CommandIdTakenError `COMMAND_ID_TAKEN`: what was handled under its id is a command of another type.
   */
  async recall(command: Message): Promise<CommandOutcome | undefined> {
    const key = identityOf(command)
    const bucket = this.#bucket()
    for (const one of [bucket, bucket - 1, bucket + 1]) {
      const entry = await this.#engine.state.get(this.#prefix + one, key)
      if (entry === undefined) continue
      const remembered = entry.value as unknown as RememberedOutcome & { readonly command?: string }
      // Without a type it was written by an earlier version.
      const { command: type = command.type } = remembered
      if (type !== command.type) throw new CommandIdTakenError(this.#group, command, type)
      return this.#again(remembered)
    }
    return undefined
  }

  async #again(remembered: RememberedOutcome): Promise<CommandOutcome> {
    if ('rejected' in remembered) {
      const [code, reason, details] = remembered.rejected
      return { kind: 'rejected', code, reason, details, repeated: true }
    }
    const again = { kind: 'accepted', published: [], repeated: true } as const
    if ('events' in remembered) {
      return { ...again, events: remembered.events.map((event) => this.#asOfNow(event)), position: undefined }
    }
    const { stream, from, count } = remembered
    const events: Message[] = []
    let position: number | undefined
    if (count > 0) {
      for await (const event of this.#engine.events.readStream(stream, { fromVersion: from, limit: count })) {
        // Where the stream was truncated, what is found first comes later than these.
        if (event.version >= from + count) break
        events.push(this.#asOfNow(event.message))
        position = event.position
      }
    }
    return { ...again, events, position }
  }

  #asOfNow(event: Message): Message {
    const definition = this.#events.get(event.type)
    return definition === undefined || isCurrent(definition, event) ? event : definition.read(event)
  }

  /**
   * Which life of a command this is: ids of its events are made of it. Whoever handles a command again after it was forgotten has it
   * take effect again, as events of their own.
   */
  get life(): number {
    return this.#bucket()
  }

  #bucket(): number {
    return Math.floor(this.#clock.nowMs() / this.#windowMs)
  }

  /** Beside the work: nobody waits for it, and what is not cleared now is cleared with the next bucket. */
  #clearOld(bucket: number): void {
    this.#clearedBefore = bucket
    const clear = async (): Promise<void> => {
      const old = (await this.#engine.state.namespaces(this.#prefix)).filter((name) => {
        const of = Number(name.slice(this.#prefix.length))
        // One more than is looked at: a process whose clock is behind may still look at it.
        return Number.isInteger(of) && of < bucket - 2
      })
      for (const namespace of old) await this.#clear(namespace)
    }
    clear().catch(() => {
      this.#clearedBefore = Number.NEGATIVE_INFINITY
    })
  }

  async #clear(namespace: string): Promise<void> {
    for (;;) {
      const page = await this.#engine.state.range(namespace, { limit: clearedTogether })
      if (page.length === 0) return
      await this.#engine.commit({ state: page.map(({ key }) => ({ kind: 'delete', namespace, key })) })
    }
  }
}

/** Small commits: a bucket may hold millions, and others wait while one of them is written. */
const clearedTogether = 500
