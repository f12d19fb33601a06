import { checkOptions } from '../committing/index.ts'
import {
  type ClosedBooks,
  type CommandOutcome,
  closeBooks,
  type Decider,
  type View,
  type ViewReader,
} from '../domain/index.ts'
import type { Engine, TopicPosition } from '../engine/index.ts'
import { sleep } from '../kernel/index.ts'
import type { AnyQueryDefinition, Message, QueryResult } from '../message/index.ts'
import {
  AppStoppedError,
  type DeadLetters,
  DelayedCommands,
  deadLetterNamespace,
  deadLettersOf,
  type Handler,
  happensWithin,
  type Lag,
  onRequests,
  Patience,
  patientEngine,
  type TimerTime,
  topicsOf,
} from '../runtime/index.ts'
import type { Choreography, Saga, SignalSet } from '../saga/index.ts'
import type { TableCopies, TableView } from '../tables/index.ts'
import { caughtUp, placesOf } from './caught-up.ts'
import { CommandBus } from './command-bus.ts'
import { answerParts, deskSetupOf, desksByType, inlineCopiesOf } from './command-desks.ts'
import { HandlerUnknownError, SagaUnknownError, ViewUnknownError } from './errors.ts'
import type { LiveAppOptions } from './live-app-options.ts'
import { LiveProcesses } from './live-processes.ts'
import { LiveSaga } from './live-saga.ts'
import { LiveSubscriptions } from './live-subscriptions.ts'
import { LiveViews } from './live-views.ts'
import type { Part } from './parts.ts'
import { checkCommand, publishAll } from './publishing.ts'
import { quietAt } from './quiet.ts'
import { ReplyListener } from './reply-listener.ts'
import type { AskOptions, ProcessClient, RunningApp, SagaClient } from './running-app.ts'
import { enlist, subscriptionsOf } from './running-subscriptions.ts'
import { isTableView, tablesReader } from './table-views.ts'

/** How long `idle()` waits between two looks when nothing that it knows of happens: other members may be at work. */
const idleLookMinMs = 10
const idleLookMaxMs = 250

/** Beyond the time that handlers have to finish, stopping takes no longer than this: commits, and leaving the groups. */
const stopMsMore = 10_000

/** An app that runs. */
export class LiveApp implements RunningApp {
  readonly name: string
  readonly engine: Engine
  readonly failed: Promise<never>
  readonly deadLetters: DeadLetters
  readonly #options: LiveAppOptions
  readonly #parts: readonly Part[]
  readonly #bus: CommandBus
  readonly #delayed: DelayedCommands
  readonly #subscriptions: LiveSubscriptions
  readonly #sagas = new Map<string, LiveSaga>()
  readonly #views: LiveViews
  readonly #patience: Patience
  /** Of what nobody waits for, also while the app starts. */
  readonly #background: Patience
  readonly #end = new AbortController()
  #fail: (error: unknown) => void = () => undefined
  /** Takes this start off the lists of those that run. */
  #retire: () => void = () => undefined
  #failure: { readonly error: unknown } | undefined
  #stopping: Promise<void> | undefined

  constructor(options: LiveAppOptions) {
    this.#options = options
    this.name = options.app.name
    this.engine = options.engine
    this.failed = new Promise((_resolve, reject) => {
      this.#fail = reject
    })
    // Who does not look at it is told by idle(), publish() and stop().
    this.failed.catch(() => undefined)
    this.deadLetters = deadLettersOf(options.engine, this.name)
    const { app, engine, clock, topics } = options
    const ctx = { view: <State>(view: View<State>) => this.view(view), nowMs: () => clock.nowMs() }
    this.#parts = [...options.parts, ...answerParts(app, engine, ctx)]
    const onError = (error: unknown): void => void this.#abandon(error)
    const { signal } = this.#end
    this.#patience = new Patience({ clock, app: app.name, handler: null })
    this.#background = new Patience({ clock, app: app.name, handler: null }).begin()
    const patience = this.#patience
    this.#delayed = new DelayedCommands({
      engine: patientEngine(engine, patience),
      clock,
      topics,
      app: app.name,
      onError,
    })
    const { random, sessionTimeoutMs, stopTimeoutMs } = options
    this.#subscriptions = new LiveSubscriptions({
      app: app.name,
      engine,
      clock,
      random,
      topics,
      sessionTimeoutMs,
      stopTimeoutMs,
      query: (query, params, handling) => this.#bus.query(query, params, { signal: handling }),
      onError,
      signal,
    })
    this.#views = new LiveViews({
      app: app.name,
      views: app.views,
      deciders: app.services.flatMap(({ deciders }) => deciders.filter((one) => one.kind === 'decider')),
      engine,
      clock,
      subscribe: (part, haste) => this.#subscriptions.add(part, haste),
      unsubscribe: (group) => this.#subscriptions.remove(group),
      somethingHappens: (lookMs, waiting) => this.#somethingHappens(lookMs, waiting),
      check: () => this.#check(),
      onError,
      patience,
      background: this.#background,
      signal,
    })
    this.#bus = new CommandBus({
      app,
      engine,
      clock,
      topics,
      desks: desksByType(app, options.desks),
      replies: new ReplyListener({ engine, topics, app: app.name, clock, signal, patience, onError }),
      view: (view) => this.view(view),
      signal,
    })
    options.calls.connect(this.#bus, signal)
  }

  /** Joins all groups. What fails on the way is undone, also when the signal aborts meanwhile. */
  async start(signal: AbortSignal | undefined): Promise<void> {
    const leaveList = enlist(this.engine, this.name, this.#subscriptions.byGroup)
    const stopListening = onRequests(this.engine, this.name, (ids) => this.#subscriptions.takeUp(ids))
    this.#retire = () => {
      leaveList()
      stopListening()
    }
    // From here on: what is asked for while views are built, by whomever, is seen once they are.
    const requests = this.engine.state.watch(deadLetterNamespace(this.name), { signal: this.#end.signal, prefix: '' })
    const stop = (): void => void this.stop().catch(() => undefined)
    signal?.addEventListener('abort', stop, { once: true, signal: this.#end.signal })
    try {
      signal?.throwIfAborted()
      for (const part of this.#parts) await this.#subscriptions.add(part)
      // A view that is wholly new is built here, which may take its time.
      await this.#views.start()
      signal?.throwIfAborted()
    } catch (error) {
      if (signal?.aborted === true) {
        await this.stop()
        throw signal.reason
      }
      await this.#abandon(error)
      // What ended the app meanwhile is the cause of what failed here.
      throw this.#failure === undefined ? error : this.#failure.error
    }
    // What works beside the start may have met its end.
    if (this.#failure !== undefined) throw this.#failure.error
    this.#patience.begin()
    if (this.engine.capabilities.keeps.includes('timers')) this.#delayed.start()
    this.#subscriptions.followRequests(requests).catch((error: unknown) => this.#fail(error))
  }

  async publish(messages: Message | readonly Message[]): Promise<readonly TopicPosition[]> {
    this.#check()
    return publishAll(this.name, this.#options, messages)
  }

  async send(command: Message, when?: TimerTime): Promise<void> {
    this.#check()
    checkCommand(command)
    await this.#bus.send(command, when)
  }

  async ask(command: Message, options?: AskOptions): Promise<CommandOutcome<never, never>> {
    this.#check()
    checkCommand(command)
    // Which decider handles it says what its events are: the caller names it, or gets the widest type.
    return (await this.#bus.ask(command, options)) as CommandOutcome<never, never>
  }

  async query<Query extends AnyQueryDefinition>(
    query: Query,
    params?: unknown,
    options?: AskOptions,
  ): Promise<QueryResult<Query>> {
    this.#check()
    return (await this.#bus.query(query, params, options)) as QueryResult<Query>
  }

  async closeBooks<Event extends Message, State>(
    decider: Decider<Message, Event, State>,
    stream: string,
    carry: (state: State) => Event,
  ): Promise<ClosedBooks> {
    this.#check()
    const setup = deskSetupOf(this.#options.app, decider, this.#options)
    const views = inlineCopiesOf(this.#options.app, this.#options)
    return closeBooks(setup, decider, stream, { carry: carry as unknown as (state: unknown) => Message, views })
  }

  view(view: TableView): { readonly copies: TableCopies }
  view<State>(view: View<State>): ViewReader<State>
  view<State>(view: View<State> | TableView): ViewReader<State> | { readonly copies: TableCopies } {
    const reader = isTableView(view) ? tablesReader(view, this.#options) : this.#views.reader(view)
    if (reader === undefined) throw new ViewUnknownError(String(view?.name), this.name)
    return reader
  }

  async waitFor(
    handler: Handler,
    what: CommandOutcome<never, never> | readonly TopicPosition[],
    options: { readonly signal?: AbortSignal } = {},
  ): Promise<void> {
    checkOptions('options', options, ['signal'])
    const part = this.#parts.find((one) => one.handler === handler)
    if (part === undefined) throw new HandlerUnknownError(String(handler?.name), this.name)
    const places = placesOf(what)
    if (places !== undefined) await this.#caughtUp(part, places, options.signal)
  }

  saga<Input, Result, Signals extends SignalSet, Given>(
    saga: Saga<Input, Result, Signals, Given>,
  ): SagaClient<Input, Result, Signals, Given> {
    const { app, engine } = this.#options
    if (!app.sagas.includes(saga)) throw new SagaUnknownError(String(saga?.name), this.name)
    let live = this.#sagas.get(saga.name)
    if (live === undefined) {
      live = new LiveSaga(engine, this.name, saga, () => this.#check(), this.#end.signal)
      this.#sagas.set(saga.name, live)
    }
    return live as unknown as SagaClient<Input, Result, Signals, Given>
  }

  processes(choreography: Choreography): ProcessClient {
    const part = this.#parts.find((one) => one.handler === choreography)
    if (part === undefined) throw new HandlerUnknownError(String(choreography?.name), this.name)
    return new LiveProcesses(this.engine, part.group, choreography.name, () => this.#check())
  }

  async idle(options: { readonly signal?: AbortSignal } = {}): Promise<void> {
    checkOptions('options', options, ['signal'])
    let lookMs = idleLookMinMs
    for (let ends = ''; ; ) {
      this.#check()
      options.signal?.throwIfAborted()
      const before = ends
      const isSettled = this.#views.isSettled && !this.#delayed.isSending
      ends = isSettled ? ((await quietAt(this.engine, this.name)) ?? '') : ''
      this.#check()
      // Only if nothing was published while the groups were looked at, which takes its time, all of them are done.
      if (ends !== '' && ends === before) return
      if (ends === '') await this.#somethingHappens(lookMs, options.signal)
      lookMs = Math.min(idleLookMaxMs, lookMs * 1.5)
    }
  }

  async lag(): Promise<readonly Lag[]> {
    const lags: Lag[] = []
    for (const group of [...this.#parts.map((part) => part.group), ...this.#views.groups]) {
      const partitions = (await this.engine.groups.describe(group))?.lag ?? []
      lags.push({
        handler: group,
        lagMessages: partitions.reduce((sum, one) => sum + one.lagMessages, 0),
        lagSeconds: partitions.reduce((most, one) => Math.max(most, one.lagSeconds), 0),
        partitions,
      })
    }
    return lags
  }

  stop(): Promise<void> {
    this.#stopping ??= this.#stop()
    return this.#stopping
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.stop()
  }

  async #stop(): Promise<void> {
    this.#end.abort(new AppStoppedError(this.name))
    const { ownsEngine, engine, stopTimeoutMs, clock } = this.#options
    const limitMs = stopTimeoutMs + stopMsMore
    const startMs = clock.monotonicMs()
    try {
      const isInTime = this.#failure !== undefined || (await happensWithin(this.#finish(), limitMs, clock))
      // An engine that answers no more holds nobody up.
      if (!isInTime) this.#subscriptions.abandon().catch(() => undefined)
    } finally {
      this.#retire()
      if (ownsEngine) await engine.close({ timeoutMs: Math.max(0, startMs + limitMs - clock.monotonicMs()) })
    }
  }

  async #finish(): Promise<void> {
    const sent = this.#delayed.stop()
    this.#patience.end()
    this.#background.end()
    await sent
    await this.#bus.settled()
    await this.#views.stop()
    await this.#subscriptions.stop()
  }

  /** The engine failed, or something that must not happen did: nothing more is handled. */
  async #abandon(error: unknown): Promise<void> {
    if (this.#failure !== undefined || this.#stopping !== undefined) return
    this.#failure = { error }
    this.#fail(error)
    this.#end.abort()
    this.#retire()
    this.#patience.end()
    this.#background.end()
    await Promise.allSettled([this.#delayed.stop(), this.#subscriptions.abandon()])
  }

  async #somethingHappens(lookMs: number, signal: AbortSignal | undefined): Promise<void> {
    const over = new AbortController()
    const ends = [over.signal, this.#end.signal, ...(signal === undefined ? [] : [signal])]
    const look = sleep(lookMs, this.#options.clock, AbortSignal.any(ends)).catch(() => undefined)
    await Promise.race([look, ...subscriptionsOf(this.engine, this.name).map((one) => one.changed())])
    over.abort()
  }

  async #caughtUp(
    { group, handler }: Part,
    places: readonly TopicPosition[],
    signal: AbortSignal | undefined,
  ): Promise<void> {
    const pause = async (lookMs: number): Promise<void> => {
      this.#check()
      signal?.throwIfAborted()
      await this.#somethingHappens(lookMs, signal)
    }
    await caughtUp({ engine: this.engine, group, topics: topicsOf(handler.events), pause }, places)
  }

  #check(): void {
    if (this.#failure !== undefined) throw this.#failure.error
    if (this.#stopping !== undefined) throw new AppStoppedError(this.name)
  }
}
