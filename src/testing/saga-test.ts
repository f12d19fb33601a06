import {
  type Duration,
  durationMs,
  frozenJson,
  isoTime,
  type Json,
  SeededRandom,
  VirtualClock,
} from '../kernel/index.ts'
import { contextFor, type Message, runInContext } from '../message/index.ts'
import type { Effect, Handler, ScheduleEffect } from '../runtime/index.ts'
import {
  type AnySaga,
  checkedInput,
  type GivenTo,
  inputMessage,
  instanceOf,
  type Journal,
  outcomeOf,
  pastOf,
  replayProblem,
  type Saga,
  type SagaCalls,
  type SagaInput,
  type SagaInstance,
  type SagaOutcome,
  type SagaPast,
  SagaSkipRefusedError,
  type SignalSet,
  sagaGroup,
  sagaHandler,
  sagaTopic,
  skipProblem,
} from '../saga/index.ts'
import { anotherMoment } from './another-moment.ts'
import { SagaNotDeterministicError, SagaNotUnderTestError } from './errors.ts'
import { type AnswersUnderTest, callsUnderTest } from './saga-calls.ts'
import { type Interruption, SagaLane, type SagaTask } from './saga-lane.ts'
import { SagaWitness } from './saga-witness.ts'

/** How a saga is tested. */
export interface SagaTestOptions extends AnswersUnderTest {
  /** Sagas beside the one that is tested: its children. Default: none. */
  readonly others?: readonly AnySaga[]
  /**
   * Runs the body again over the journal after each commit, and fails the test if it does not ask for the same things, or does not
   * publish, send, show or sleep the same.
   * Default `true`.
   */
  readonly replay?: boolean
  /** Default: `2026-01-01T00:00:00Z`. Milliseconds since 1970. */
  readonly startMs?: number
  /** For pauses between attempts, which hold some chance. Default 1. */
  readonly seed?: number
  /** Asked at each commit: lets the process die there, `'before'` it is real or right `'after'`. Default: it lives. */
  readonly interrupt?: (commit: number) => Interruption
}

/** Turns without anything new after which steps are taken to wait for the clock, or for something real. */
const quietTurns = 50

interface World {
  readonly saga: AnySaga
  readonly handler: Handler
  readonly witness: SagaWitness | undefined
  readonly journals: Map<string, Journal>
  readonly lanes: Map<string, SagaLane>
  /** By name and key. */
  readonly timers: Map<string, { cancel(): void }>
}

const app = 'test'

/**
 * Runs a saga without an engine, in memory, on a clock that stands still until it is told to move.
 *
 * Each call resolves when the saga has come to rest: it has ended, waits, or a step takes time. Steps are run as they are;
 * give the saga steps that answer at once, or take their time from `clock`.
 *
 * @example
 * ```ts
 * const test = sagaTest(checkout)
 * await test.start('o1', { orderId: 'o1', total: '9.90' })
 * await test.advance('15m')
 * assert.equal(test.instance('o1')?.status, 'compensated')
 * ```
 */
export function sagaTest<Input, Result, Signals extends SignalSet, Given>(
  saga: Saga<Input, Result, Signals, Given>,
  options: SagaTestOptions = {},
): SagaTest<Input, Result, Signals, Given> {
  return new SagaTest(saga, options)
}

/** A saga under test. Made by {@link sagaTest}. */
export class SagaTest<Input, Result, Signals extends SignalSet, Given = Input> {
  readonly clock: VirtualClock
  /** What was published, in order, but for what sagas tell each other. */
  readonly published: Message[] = []
  /** Commands that were sent, in order, also those that are to wait. */
  readonly sent: Message[] = []
  readonly #saga: AnySaga
  readonly #options: SagaTestOptions
  readonly #random: SeededRandom
  readonly #worlds = new Map<string, World>()
  readonly #busy = new Set<Promise<void>>()
  readonly #failures: unknown[] = []
  readonly #calls: SagaCalls
  #activity = 0
  #commitCount = 0
  #messageCount = 0

  constructor(saga: Saga<Input, Result, Signals, Given>, options: SagaTestOptions) {
    this.#saga = saga
    this.#options = options
    this.#calls = callsUnderTest(options, (error) => this.#failures.push(error))
    this.clock = new VirtualClock(options.startMs)
    this.#random = new SeededRandom(options.seed ?? 1)
    for (const one of [saga, ...(options.others ?? [])]) this.deploy(one)
  }

  /** Puts another declaration of a saga in the place of the one with its name, as a new version of the program does. */
  deploy(saga: AnySaga): void {
    // Another program may say other things.
    const tell = (key: string, problem: string): void => this.#fail(saga, key, problem)
    const witness = this.#options.replay === false ? undefined : new SagaWitness(tell)
    const handler = sagaHandler(saga, {
      app,
      clock: this.clock,
      random: this.#random,
      calls: this.#calls,
      ...(witness !== undefined && { witness: witness.hear.bind(witness) }),
    })
    const topic = sagaTopic(app, saga.name)
    const before = this.#worlds.get(topic)
    const kept = before ?? { journals: new Map(), timers: new Map() }
    this.#worlds.set(topic, { saga, handler, witness, journals: kept.journals, timers: kept.timers, lanes: new Map() })
  }

  /** Starts an instance. */
  start(key: string, input: Given): Promise<void> {
    return this.#tell(key, { kind: 'start', input: input as Json })
  }

  signal<Name extends keyof Signals & string>(key: string, name: Name, data: GivenTo<Signals[Name]>): Promise<void> {
    return this.#tell(key, { kind: 'signal', name, data: data as Json })
  }

  cancel(key: string, reason = 'it was asked for'): Promise<void> {
    return this.#tell(key, { kind: 'cancel', reason })
  }

  retry(key: string): Promise<void> {
    return this.#tell(key, { kind: 'retry' })
  }

  /** @throws SagaSkipRefusedError `SAGA_SKIP_REFUSED` */
  async skip(key: string, step: string, output: unknown = null): Promise<void> {
    const journal = this.#worlds.get(sagaTopic(app, this.#saga.name))?.journals.get(key)
    const problem = journal === undefined ? undefined : skipProblem(journal, step)
    if (problem !== undefined) throw new SagaSkipRefusedError(this.#saga.name, key, step, problem)
    return this.#tell(key, { kind: 'skip', step, output: output as Json })
  }

  compensate(key: string, reason = 'it was asked for'): Promise<void> {
    return this.#tell(key, { kind: 'compensate', reason })
  }

  /** Sends an event to all sagas here that it starts, or to which it is a signal. */
  send(event: Message): Promise<void> {
    for (const world of this.#worlds.values()) {
      const { handler } = world
      if (!handler.events.some(({ type }) => type === event.type)) continue
      const key = handler.key === undefined ? event.partitionkey : handler.key(event)
      this.#push(world, key as string, { kind: 'message', message: event })
    }
    return this.#settle()
  }

  /** Moves the clock, and lets everything happen that falls due on the way. */
  async advance(duration: Duration): Promise<void> {
    const endMs = this.clock.monotonicMs() + durationMs(duration)
    for (;;) {
      await this.#settle()
      const nextMs = this.clock.nextTimerMs
      const leftMs = endMs - this.clock.monotonicMs()
      if (nextMs === undefined || nextMs > leftMs) {
        await this.clock.advance(leftMs)
        return this.#settle()
      }
      await this.clock.advance(nextMs)
    }
  }

  /** Resolves when nothing is at work any more, whatever time the steps take. */
  async idle(): Promise<void> {
    while (this.#busy.size > 0) await Promise.all(this.#busy)
    await this.#settle()
  }

  /** An instance as it was committed last. */
  instance(key: string, saga: AnySaga = this.#saga): SagaInstance<Input, Result> | undefined {
    const journal = this.#worlds.get(sagaTopic(app, saga.name))?.journals.get(key)
    return journal === undefined ? undefined : (instanceOf(saga.name, key, journal) as SagaInstance<Input, Result>)
  }

  /** What happened to an instance, and how it was at any point. */
  past(key: string): SagaPast<Input, Result> | undefined {
    const { name } = this.#saga
    const journal = this.#worlds.get(sagaTopic(app, name))?.journals.get(key)
    return journal === undefined ? undefined : (pastOf(name, key, journal) as SagaPast<Input, Result>)
  }

  /** How an instance ended, or why it does not; `undefined`: it goes on. */
  outcome(key: string): SagaOutcome<Result> | undefined {
    const journal = this.#worlds.get(sagaTopic(app, this.#saga.name))?.journals.get(key)
    return journal === undefined ? undefined : (outcomeOf(journal) as SagaOutcome<Result> | undefined)
  }

  /** How many commits there were: checkpoints, and ends of what was done for a message or a timer. */
  get commitCount(): number {
    return this.#commitCount
  }

  async #tell(key: string, input: SagaInput): Promise<void> {
    const world = this.#worlds.get(sagaTopic(app, this.#saga.name)) as World
    const given = frozenJson(input as unknown as Json) as unknown as SagaInput
    checkedInput(world.saga.definition, given)
    const id = `test-${++this.#messageCount}`
    const context = { source: '/test', nextId: () => id, nowMs: () => this.clock.nowMs() }
    const message = runInContext(context, () => inputMessage(app, world.saga.name, key, given))
    this.#push(world, key, { kind: 'message', message })
    await this.#settle()
  }

  #push(world: World, key: string, task: SagaTask): void {
    let lane = world.lanes.get(key)
    if (lane === undefined) {
      lane = this.#laneOf(world, key)
      world.lanes.set(key, lane)
    }
    this.#activity++
    const run: Promise<void> = lane
      .push(task)
      .catch((error: unknown) => void this.#failures.push(error))
      .finally(() => {
        this.#activity++
        this.#busy.delete(run)
      })
    this.#busy.add(run)
  }

  #laneOf(world: World, key: string): SagaLane {
    const { handler, saga, journals, witness } = world
    return new SagaLane({
      handler,
      key,
      nowMs: () => this.clock.nowMs(),
      journal: () => (journals.get(key) ?? null) as Json,
      apply: (effects) => this.#apply(world, key, effects),
      interrupt: () => {
        this.#commitCount++
        const interruption = this.#options.interrupt?.(this.#commitCount)
        if (interruption !== undefined) witness?.forget(key)
        return interruption
      },
      origin: () => originMessage(journals.get(key)),
      inContext: (message, fn) => {
        const options = { source: `/test/saga/${saga.name}`, clock: this.clock, handlerId: sagaGroup(app, saga.name) }
        return runInContext(contextFor(message, options), fn)
      },
    })
  }

  async #apply(world: World, key: string, effects: readonly Effect<unknown>[]): Promise<void> {
    this.#activity++
    for (const effect of effects) {
      switch (effect.kind) {
        case 'set':
          // As the store gives it back.
          world.journals.set(key, frozenJson(JSON.parse(JSON.stringify(effect.value))) as Journal)
          break
        case 'remove':
          world.journals.delete(key)
          break
        case 'schedule':
          this.#schedule(world, key, effect)
          break
        case 'cancel':
          world.timers.get(`${effect.id} ${key}`)?.cancel()
          break
        case 'publish':
          this.#publish(effect.messages, effect.topic)
          break
        case 'send':
          this.sent.push(effect.command)
          break
        case 'append':
        case 'write':
        case 'within':
        case 'afterwards':
          break
      }
    }
    await this.#replay(world, key)
  }

  #publish(messages: readonly Message[], topic: string | undefined): void {
    const world = topic === undefined ? undefined : this.#worlds.get(topic)
    for (const message of messages) {
      if (world === undefined) this.#publishOutside(message, topic)
      else this.#push(world, message.partitionkey as string, { kind: 'message', message })
    }
  }

  #publishOutside(message: Message, topic = ''): void {
    const ofSagas = sagaTopic(app, '')
    if (topic.startsWith(ofSagas)) this.#failures.push(new SagaNotUnderTestError(topic.slice(ofSagas.length)))
    else this.published.push(message)
  }

  #schedule(world: World, key: string, { id, when, data }: ScheduleEffect): void {
    const dueMs = (when as { readonly at: number }).at
    world.timers.get(`${id} ${key}`)?.cancel()
    // Whoever is deployed by then.
    const fire = (): void => {
      const topic = sagaTopic(app, world.saga.name)
      this.#push(this.#worlds.get(topic) as World, key, { kind: 'timer', id, data, dueMs })
    }
    world.timers.set(`${id} ${key}`, this.clock.setTimer(fire, Math.max(0, dueMs - this.clock.nowMs())))
  }

  async #replay({ saga, journals, witness }: World, key: string): Promise<void> {
    const journal = journals.get(key)
    if (journal === undefined || this.#options.replay === false) return
    const host = {
      definition: saga.definition,
      app,
      group: sagaGroup(app, saga.name),
      source: `/test/saga/${saga.name}`,
      key,
      clock: this.clock,
      random: new SeededRandom(1),
      signal: new AbortController().signal,
      calls: this.#calls,
      isAgain: false,
      ...(witness !== undefined && { witness: witness.hear.bind(witness, key) }),
      isCalledOff: () => false,
      checkpoint: () => Promise.resolve(),
    }
    anotherMoment()
    const problem = await replayProblem(host, journal)
    if (problem !== undefined) this.#fail(saga, key, problem)
  }

  #fail({ name }: AnySaga, key: string, problem: string): void {
    this.#failures.push(new SagaNotDeterministicError(name, key, problem))
  }

  async #settle(): Promise<void> {
    let seen = this.#activity
    for (let quiet = 0; this.#busy.size > 0 && quiet < quietTurns; ) {
      await new Promise((resolve) => setImmediate(resolve))
      quiet = this.#activity === seen ? quiet + 1 : 0
      seen = this.#activity
    }
    if (this.#failures.length > 0) throw this.#failures.shift()
  }
}

/** What the messages of a timer inherit from. */
function originMessage(journal: Journal | undefined): Message {
  return Object.freeze({
    specversion: '1.0',
    id: journal?.id ?? 'test',
    source: '/test',
    type: 'test',
    time: isoTime(0),
    ...journal?.origin,
    datacontenttype: 'application/json',
    dataversion: 1,
    data: null,
  } as const)
}
