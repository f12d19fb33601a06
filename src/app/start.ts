import type { CommandDesk } from '../domain/index.ts'
import type { Engine, EngineSource } from '../engine/index.ts'
import {
  type Clock,
  type Duration,
  durationMs,
  isPassing,
  type OptionProblem,
  OptionsInvalidError,
  optionMs,
  type Random,
  sleep,
  systemClock,
  systemRandom,
  unknownOptions,
} from '../kernel/index.ts'
import {
  handlerNamespace,
  Patience,
  type TopicDifference,
  TopicDiffersError,
  TopicResolver,
  topicsOf,
} from '../runtime/index.ts'
import { outcomesOf, type SagaCalls, sagaGroup, sagaHandler, sagaNamespace } from '../saga/index.ts'
import { type CommandDesks, commandDesks } from './command-desks.ts'
import { handledTypes } from './command-handlers.ts'
import { confirmHandlers, registerHandlers } from './command-register.ts'
import { LiveApp } from './live-app.ts'
import { groupOf } from './names.ts'
import type { AppParts, Part } from './parts.ts'
import type { RunningApp } from './running-app.ts'
import { refuseStart } from './start-refusals.ts'
import { StepCalls } from './step-calls.ts'
import { isTableView } from './table-views.ts'

/** How an app is started. */
export interface StartOptions {
  /** An engine that is open (it stays open when the app stops), or one to open (it is closed when the app stops). */
  readonly engine: Engine | EngineSource
  /** Stops the app when it aborts; before the start is done, the start rejects with its reason. */
  readonly signal?: AbortSignal
  /** Default: the system's clock. */
  readonly clock?: Clock
  /** Default: the system's randomness. */
  readonly random?: Random
  /** How long `stop()` lets handlers finish before their signals abort. Default `'10s'`. */
  readonly stopTimeout?: Duration
  /**
   * How long a process may give no sign of life before others take its partitions over, 1 s to 30 min. Shorter finds a dead
   * one sooner; longer spares a slow one. Default `'45s'`, as Kafka's `session.timeout.ms`.
   */
  readonly sessionTimeout?: Duration
}

/** For so long a start is tried again that fails for a reason that passes, in milliseconds. */
const startMsMax = 30_000

/** Starts an app: what `app.start()` documents. */
export async function startApp(app: AppParts, options: StartOptions): Promise<RunningApp> {
  checkStart(options)
  const { signal, clock = systemClock } = options
  const patience = new Patience({ clock, app: app.name, handler: null })
  const startMs = clock.monotonicMs()
  for (let tryCount = 1; ; tryCount++) {
    signal?.throwIfAborted()
    try {
      return await tryToStart(app, options, clock)
    } catch (error) {
      const leftMs = startMs + startMsMax - clock.monotonicMs()
      if (!isPassing(error) || leftMs <= 0) throw error
      await sleep(Math.min(leftMs, patience.pauseMs(error, tryCount)), clock, signal)
    }
  }
}

/** What fails undoes all of it. */
async function tryToStart(app: AppParts, options: StartOptions, clock: Clock): Promise<RunningApp> {
  const random = options.random ?? systemRandom
  const stopTimeoutMs = durationMs(options.stopTimeout ?? stopDefault)
  const sessionTimeoutMs = durationMs(options.sessionTimeout ?? sessionDefault)
  const given = options.engine
  refuseStart(app, given)
  const isOpen = 'commit' in given
  const engine = isOpen ? given : await given.open({ clock, random })
  try {
    const topics = new TopicResolver(engine)
    topics.knowCommands(handledTypes(app.services, app.remote))
    const desks = commandDesks(app, { engine, clock, random })
    const calls = new StepCalls()
    const parts = partsOf(app, { desks, engine, clock, random, calls })
    await createTopics(app, parts, topics)
    await registerHandlers(app, engine)
    const running = new LiveApp({
      app,
      parts,
      calls,
      desks,
      engine,
      ownsEngine: !isOpen,
      clock,
      random,
      topics,
      stopTimeoutMs,
      sessionTimeoutMs,
    })
    await running.start(options.signal)
    try {
      await confirmHandlers(app, engine)
    } catch (error) {
      await running.stop()
      throw error
    }
    return running
  } catch (error) {
    if (!isOpen) await engine.close()
    throw error
  }
}

const stopDefault: Duration = '10s'
const sessionDefault: Duration = '45s'
const sessionMsMin = 1000
const sessionMsMax = 30 * 60 * 1000

const startOptions = ['engine', 'signal', 'clock', 'random', 'stopTimeout', 'sessionTimeout']

function checkStart(options: Partial<StartOptions> | undefined): void {
  const problems: OptionProblem[] = unknownOptions(options ?? {}, startOptions)
  const { engine, signal, clock, random, stopTimeout = stopDefault, sessionTimeout = sessionDefault } = options ?? {}
  if (typeof engine !== 'object' || engine === null || !('commit' in engine || 'open' in engine)) {
    problems.push({ option: 'engine', problem: 'is no engine, such as embedded({ path }) makes' })
  }
  if (signal !== undefined && !(signal instanceof AbortSignal)) {
    problems.push({ option: 'signal', problem: 'is no AbortSignal' })
  }
  if (clock !== undefined && typeof clock?.setTimer !== 'function') {
    problems.push({ option: 'clock', problem: 'is no clock, such as systemClock' })
  }
  if (random !== undefined && typeof random?.nextFloat !== 'function') {
    problems.push({ option: 'random', problem: 'is no source of randomness, such as systemRandom' })
  }
  optionMs('stopTimeout', stopTimeout, 0, problems)
  optionMs('sessionTimeout', sessionTimeout, sessionMsMin, problems, sessionMsMax)
  if (problems.length > 0) throw new OptionsInvalidError('app.start()', problems)
}

/** Group, state and handler of each handler, decider and saga. Those of views are found as they are built. */
function partsOf(
  app: AppParts,
  {
    desks,
    engine,
    clock,
    random,
    calls,
  }: {
    readonly desks: CommandDesks
    readonly engine: Engine
    readonly clock: Clock
    readonly random: Random
    readonly calls: SagaCalls
  },
): readonly Part[] {
  const parts: Part[] = []
  for (const service of app.services) {
    const tables = service.handlers.filter(isTableView)
    for (const view of tables) view.runBeside(tables)
    for (const handler of service.handlers) {
      const group = groupOf(app.name, service.name, handler.name)
      parts.push({ group, handler, source: `/${app.name}/${service.name}`, stateNamespace: handlerNamespace(group) })
    }
    for (const { name } of service.deciders) {
      const group = groupOf(app.name, service.name, name)
      const { handler } = desks.get(group) as CommandDesk
      parts.push({ group, handler, source: `/${app.name}/${service.name}`, stateNamespace: handlerNamespace(group) })
    }
  }
  for (const saga of app.sagas) {
    const group = sagaGroup(app.name, saga.name)
    const stateNamespace = sagaNamespace(app.name, saga.name)
    const outcomes = outcomesOf(engine, stateNamespace)
    const handler = sagaHandler(saga, { app: app.name, clock, random, outcomes, calls })
    parts.push({ group, handler, source: `/${app.name}/saga/${saga.name}`, stateNamespace })
  }
  return parts
}

async function createTopics(app: AppParts, parts: readonly Part[], topics: TopicResolver): Promise<void> {
  const deciders = app.services.flatMap((service) => service.deciders)
  const names = new Set([
    ...app.topics.map((declared) => declared.name),
    ...parts.flatMap(({ handler }) => topicsOf(handler.events)),
    // Commits of deciders keep those that are inline, so nothing is subscribed.
    ...app.views.filter(({ inline }) => !inline).flatMap(({ handler }) => topicsOf(handler.events)),
    ...deciders.flatMap(({ commands }) => topicsOf(commands)),
    ...deciders.filter(({ publish }) => publish).flatMap(({ events }) => topicsOf(events)),
    ...app.services.flatMap(({ answers }) => topicsOf(answers.map(({ query }) => query))),
  ])
  const created = await Promise.allSettled([
    topics.createDeadLetters(app.name),
    ...Array.from(names, (name) => topics.create(name)),
  ])
  const differences: TopicDifference[] = []
  for (const one of created) {
    if (one.status === 'fulfilled') continue
    if (!(one.reason instanceof TopicDiffersError)) throw one.reason
    differences.push(...one.reason.details.differences)
  }
  if (differences.length > 0) throw new TopicDiffersError(differences)
}
