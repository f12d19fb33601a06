import { checkOptions } from '../committing/index.ts'
import type { CommandDesk, CommandOutcome, ViewReader } from '../domain/index.ts'
import { checkedResult, outcomeOfReply, type View } from '../domain/index.ts'
import { ArgumentInvalidError, type Engine } from '../engine/index.ts'
import { type Clock, durationMs, OptionsInvalidError, sleep } from '../kernel/index.ts'
import type { AnyQueryDefinition, Message } from '../message/index.ts'
import { delayedSend, dueTime, type TimerTime, type TopicResolver } from '../runtime/index.ts'
import { sentOnlyTypes } from './command-handlers.ts'
import { AskFailedError, AskTimeoutError, HandlerMissingError } from './errors.ts'
import type { AppParts } from './parts.ts'
import type { ReplyListener } from './reply-listener.ts'
import type { AskOptions } from './running-app.ts'

/** What a bus is made of. */
export interface CommandBusOptions {
  readonly app: AppParts
  readonly engine: Engine
  readonly clock: Clock
  readonly topics: TopicResolver
  /** Who handles which command in this process, by type. */
  readonly desks: ReadonlyMap<string, CommandDesk>
  readonly replies: ReplyListener
  readonly view: <State>(view: View<State>) => ViewReader<State>
  /** Aborts when the app stops. */
  readonly signal: AbortSignal
}

const timeoutDefault = '30s'
const askOptions = ['timeout', 'signal', 'of']

/** Brings commands and queries to their one handler. */
export class CommandBus {
  readonly #options: CommandBusOptions
  readonly #sentOnly: ReadonlySet<string>
  readonly #remote: ReadonlySet<string>

  constructor(options: CommandBusOptions) {
    this.#options = options
    this.#sentOnly = sentOnlyTypes(options.app.services)
    this.#remote = new Set(options.app.remote.map(({ type }) => type))
  }

  async send(command: Message, when?: TimerTime): Promise<void> {
    const { app, engine, topics, clock } = this.#options
    if (!topics.isHandled(command.type)) throw this.#missing(command.type)
    if (when !== undefined) {
      const dueMs = dueTime(when, clock.nowMs())
      if (dueMs === undefined) throw new OptionsInvalidError('send()', [{ option: 'when', problem: 'is no time' }])
      await engine.commit({ timers: [delayedSend(app.name, command, dueMs)] })
      return
    }
    const publish = [{ topic: topics.topicOf(command), messages: [command] }]
    await topics.publish(publish, () => engine.commit({ publish }))
  }

  async ask(command: Message, options: AskOptions = {}): Promise<CommandOutcome> {
    checkOptions('options', options, askOptions)
    const { type } = command
    const desk = this.#options.desks.get(type)
    if (desk === undefined) {
      if (!this.#remote.has(type)) throw this.#missing(type)
      const reply = await this.#remotely(command, options)
      if (reply.kind === 'accepted' || reply.kind === 'rejected') return outcomeOfReply(reply)
      throw new AskFailedError(type, command.id, reply.kind === 'failed' ? reply.error : 'UNEXPECTED', problemOf(reply))
    }
    if (options.timeout === undefined && options.signal === undefined) return desk.execute(command)
    return this.#inTime(command, options, () => desk.execute(command))
  }

  /** Resolves when all commands that are being handled here are. */
  async settled(): Promise<void> {
    await Promise.all([...new Set(this.#options.desks.values())].map((desk) => desk.settled()))
  }

  async query(definition: AnyQueryDefinition, params: unknown, options: AskOptions = {}): Promise<unknown> {
    checkOptions('options', options, askOptions)
    const { app, clock } = this.#options
    if (definition?.messageKind !== 'query') {
      throw new ArgumentInvalidError('the query', 'is not the definition of one, as query() makes it')
    }
    const create = definition as unknown as (params: unknown) => Message
    const query = create(params)
    const own = app.services.flatMap(({ answers }) => answers).find(({ name }) => name === definition.type)
    if (own !== undefined) {
      const { view } = this.#options
      return this.#inTime(query, options, () => own.run(query, { view, nowMs: () => clock.nowMs() }))
    }
    if (!this.#remote.has(definition.type)) throw this.#missing(definition.type)
    const reply = await this.#remotely(query, options)
    if (reply.kind === 'answered') return checkedResult(definition, reply.result)
    throw new AskFailedError(
      query.type,
      query.id,
      reply.kind === 'failed' ? reply.error : 'UNEXPECTED',
      problemOf(reply),
    )
  }

  /** Nobody reads the reply when the app has stopped. */
  #remotely(message: Message, options: AskOptions): ReturnType<ReplyListener['ask']> {
    return this.#inTime(message, options, (signal) =>
      this.#options.replies.ask(message, AbortSignal.any([signal, this.#options.signal])),
    )
  }

  /** Waits no longer than the caller wants. */
  async #inTime<Result>(
    asked: Message,
    { timeout = timeoutDefault, signal }: AskOptions,
    work: (signal: AbortSignal) => Promise<Result>,
  ): Promise<Result> {
    const timeoutMs = durationMs(timeout)
    // Who had given up before shall find nothing done.
    signal?.throwIfAborted()
    const over = new AbortController()
    const ended = AbortSignal.any(signal === undefined ? [over.signal] : [over.signal, signal])
    const late = sleep(timeoutMs, this.#options.clock, ended).then(() => {
      throw new AskTimeoutError(asked.type, asked.id, timeoutMs)
    })
    try {
      return await Promise.race([work(ended), late])
    } finally {
      late.catch(() => undefined)
      over.abort()
    }
  }

  #missing(type: string): HandlerMissingError {
    const because = this.#sentOnly.has(type)
      ? 'its handler was made by on(), which replies to nobody; send() it'
      : 'none of its services does, nor does it say that another app would'
    return new HandlerMissingError(type, this.#options.app.name, because)
  }
}

function problemOf(reply: { readonly kind: string; readonly problem?: string }): string {
  return reply.problem ?? `the reply says "${reply.kind}"`
}
