import { type Clock, InvariantError, type Json, type Random, systemClock, systemRandom } from '../kernel/index.ts'
import type { AnyEventDefinition, Message } from '../message/index.ts'
import {
  afterwards,
  byError,
  type CallContext,
  cancel,
  type Effect,
  exponential,
  type Handler,
  none,
  on,
  remove,
  schedule,
  set,
} from '../runtime/index.ts'
import { channels } from '../telemetry/index.ts'
import type { AnySaga, SagaDefinition } from './definition.ts'
import { drive } from './drive.ts'
import { InboxFullError, SagaKeyTakenError, SagaLateError, SagaNotStartedError } from './errors.ts'
import { checkedInput, stamped } from './input-checks.ts'
import { callsOff, inputDefinition, inputEffect, inputType, parentOf, type SagaInput, toldBy } from './inputs.ts'
import { outcomeOf } from './instance.ts'
import {
  type ChildOutcome,
  draftOf,
  errorNote,
  type InboxItem,
  isEnded,
  isThere,
  type Journal,
  type JournalDraft,
  nextDueMs,
  type SagaParent,
} from './journal.ts'
import { type DataSource, isEvent } from './kept-data.ts'
import { type Received, receive, signalAgain } from './receive.ts'
import type { SagaCalls } from './saga-host.ts'
import type { SagaOutcomes } from './saga-outcomes.ts'
import { waitingCountMax } from './waiting.ts'

/** Where a saga runs. */
export interface SagaGround {
  readonly app: string
  readonly clock?: Clock
  readonly random?: Random
  /** Hears what bodies say besides what their journals hold. Default: nobody does. */
  readonly witness?: (key: string, life: string, id: string, said: unknown) => void
  /** Whom steps ask. Default: nobody answers. */
  readonly calls?: SagaCalls
  /** Who waits for outcomes in this process. Default: nobody does. */
  readonly outcomes?: SagaOutcomes
}

type Effects = readonly Effect<Journal | null>[]

/** Consumer group of a saga of an app. */
export function sagaGroup(app: string, saga: string): string {
  return `${app}.saga:${saga}`
}

/** Namespace in which an engine keeps the instances of a saga of an app. */
export function sagaNamespace(app: string, saga: string): string {
  return `saga:${app}.${saga}`
}

/** What the runtime runs: one handler per saga, whose state under a key is the journal of the instance. */
export function sagaHandler(saga: AnySaga, ground: SagaGround): Handler {
  const { definition } = saga
  const worker = new SagaWorker(definition, ground)
  const { key: keyOf } = definition
  const events = [inputDefinition(ground.app, saga.name), ...eventsOf(definition)] as unknown as readonly [
    AnyEventDefinition,
  ]
  return on(
    events,
    {
      name: `saga:${saga.name}`,
      ...(keyOf !== undefined && {
        key: (message: Message) => (message.type === inputType ? (message.partitionkey as string) : keyOf(message)),
      }),
      state: { initial: null as Journal | null },
      // What goes wrong within an instance stands in its journal; this is for what cannot be taken in at all.
      retry: byError(
        [{ on: ['SAGA_INPUT_INVALID', 'SCHEMA_ASYNC', 'SAGA_NOT_STARTED', 'SAGA_LATE'], use: none }],
        exponential({ max: 3 }),
      ),
      concurrency: definition.concurrency,
      // Each step has a time-out of its own, and so has a body that waits for something else.
      timeout: '365d',
      timers: {
        wake: (timer, state, ctx) => worker.wake(timer.key, state, ctx),
        unstarted: (timer, state, ctx) => worker.unstarted(timer.key, timer.data as readonly InboxItem[], state, ctx),
      },
    },
    (message, state, ctx) => worker.handle(message, state, ctx),
  )
}

/** Events that start instances or are signals to them. */
function eventsOf({ start, signals }: SagaDefinition): readonly AnyEventDefinition[] {
  return [...new Set([start, ...Object.values(signals)].filter(isEvent))]
}

/** What an instance was told, and by whom. */
interface Told {
  readonly key: string
  readonly journal: Journal | null
  readonly ctx: CallContext
  /** Tells apart what the instance was told. */
  readonly id: string
  readonly told: readonly string[]
  readonly parent: SagaParent | undefined
}

const noAnswer = (): Promise<never> => Promise.reject(new InvariantError('nobody answers here'))
const nobody: SagaCalls = { ask: noAnswer, query: noAnswer }

class SagaWorker {
  readonly #definition: SagaDefinition
  readonly #app: string
  readonly #group: string
  readonly #clock: Clock
  readonly #random: Random
  readonly #witness: SagaGround['witness']
  readonly #outcomes: SagaOutcomes | undefined
  readonly #calls: SagaCalls

  constructor(definition: SagaDefinition, ground: SagaGround) {
    const { app, clock = systemClock, random = systemRandom, witness, outcomes, calls = nobody } = ground
    this.#definition = definition
    this.#app = app
    this.#group = sagaGroup(app, definition.name)
    this.#clock = clock
    this.#random = random
    this.#witness = witness
    this.#outcomes = outcomes
    this.#calls = calls
  }

  handle(message: Message, journal: Journal | null, ctx: CallContext): Effects | Promise<Effects> {
    const key = this.#keyOf(message)
    const { version } = this.#definition
    let input: SagaInput
    try {
      input = this.#inputOf(message, journal)
    } catch (error) {
      // A parent would wait for its child: a dead letter alone does not tell it.
      const parent = message.type === inputType ? parentOf(message.data as SagaInput | null) : undefined
      if (parent === undefined) throw error
      return this.#answer(parent, { status: 'refused', failure: errorNote(error) })
    }
    const received = receive(journal, input, message, version, this.#clock.nowMs())
    return this.#follow(received, { key, journal, ctx, id: message.id, told: [toldBy(input)], parent: parentOf(input) })
  }

  wake(key: string, journal: Journal | null, ctx: CallContext): Effects | Promise<Effects> {
    if (journal === null) return []
    const { wakeMs: _wake, ...rest } = journal
    if (isKeptOnly(journal) && this.#expiryMs(journal) <= this.#clock.nowMs()) {
      if (journal.status !== 'expected' || this.#definition.missing === 'ignore') return [remove()]
      // By themselves, so that they can be given up while the instance is forgotten.
      return [remove(), schedule('unstarted', { at: this.#clock.nowMs() }, journal.inbox)]
    }
    return this.#drive(key, journal, draftOf(rest), ctx, undefined)
  }

  /** Signals that nothing has come of are given up; redriven, they are taken in if their instance has been started since. */
  unstarted(
    key: string,
    signals: readonly InboxItem[],
    journal: Journal | null,
    ctx: CallContext,
  ): Effects | Promise<Effects> {
    const told = signals.map((signal) => `signal ${signal.name}`)
    const received = signalAgain(journal, signals, ctx.key, this.#clock.nowMs())
    return this.#follow(received, { key, journal, ctx, id: ctx.key, told, parent: undefined })
  }

  #follow(received: Received, at: Told): Effects | Promise<Effects> {
    const { key, journal, ctx, id, told, parent } = at
    const { name } = this.#definition
    switch (received.kind) {
      case 'ignored':
        return []
      case 'late':
        if (this.#definition.late === 'ignore') return []
        throw new SagaLateError(name, key, told, journal?.status ?? 'unknown')
      case 'inbox-full':
        throw new InboxFullError(name, key, waitingCountMax)
      case 'absent':
        throw new SagaNotStartedError(name, key, told)
      case 'gone':
        return this.#answer(parent, { status: 'gone' })
      case 'taken':
        return this.#answer(parent, { status: 'refused', failure: errorNote(new SagaKeyTakenError(name, key)) })
      case 'kept':
        return this.#finish(key, journal, received.draft, [])
      case 'drives':
        return this.#drive(key, journal, received.draft, ctx, id)
    }
  }

  async #drive(
    key: string,
    before: Journal | null,
    draft: JournalDraft,
    ctx: CallContext,
    messageId: string | undefined,
  ): Promise<Effects> {
    const witness = this.#witness
    if (messageId !== undefined && draft.taken?.includes(messageId) !== true) {
      draft.taken = [...(draft.taken ?? []), messageId]
    }
    const host = {
      definition: this.#definition,
      app: this.#app,
      group: this.#group,
      source: `/${this.#app}/saga/${this.#definition.name}`,
      key,
      clock: this.#clock,
      random: this.#random,
      signal: ctx.signal,
      calls: this.#calls,
      isAgain: ctx.attempt > 1,
      ...(witness !== undefined && { witness: witness.bind(undefined, key) }),
      isCalledOff: () => ctx.waitsBehind((message) => message.type === inputType && callsOff(draft, message.data)),
      checkpoint: (next: Journal, effects: readonly Effect[]) =>
        ctx.checkpoint([set(next), ...effects, ...this.#tell(key, next)]),
    }
    const { journal, effects, isCalledOff } = await drive(host, draft)
    const after = draftOf(journal)
    const taken = after.taken?.filter((id) => id !== messageId) ?? []
    if (taken.length > 0) after.taken = taken
    else delete after.taken
    return this.#finish(key, before, after, effects, isCalledOff ? this.#clock.nowMs() : undefined)
  }

  /** The journal, and the timer that wakes the instance up: when it has something to do, unless a time is given. */
  #finish(
    key: string,
    before: Journal | null,
    draft: JournalDraft,
    effects: readonly Effect[],
    atMs?: number,
  ): Effects {
    const wakeMs = atMs ?? (isKeptOnly(draft) ? this.#expiryMs(draft) : nextDueMs(draft))
    const timer =
      wakeMs === draft.wakeMs ? undefined : wakeMs === undefined ? cancel('wake') : schedule('wake', { at: wakeMs })
    if (wakeMs === undefined) delete draft.wakeMs
    else draft.wakeMs = wakeMs
    if (channels.saga.hasSubscribers && before?.status !== draft.status) {
      const problem = draft.parked?.problem ?? draft.failure?.message ?? null
      channels.saga.publish({
        handler: this.#group,
        key,
        status: draft.status,
        before: before?.status ?? null,
        problem,
      })
    }
    return [set(draft), ...effects, ...(timer === undefined ? [] : [timer]), ...this.#tell(key, draft)]
  }

  /** Who waits for the outcome is told as soon as it is durable. */
  #tell(key: string, journal: Journal): Effects {
    const outcomes = this.#outcomes
    const outcome = outcomes === undefined ? undefined : outcomeOf(journal)
    return outcome === undefined ? [] : [afterwards(() => outcomes?.tell(key, outcome))]
  }

  #expiryMs({ endedMs, changedMs }: Journal): number {
    return (endedMs ?? changedMs) + this.#definition.keepMs
  }

  #keyOf(message: Message): string {
    const { key } = this.#definition
    return (key === undefined || message.type === inputType ? message.partitionkey : key(message)) as string
  }

  /** An event starts an instance or is a signal to it; if it can be both, it depends on whether there is one. */
  #inputOf(message: Message, journal: Journal | null): SagaInput {
    const { start, signals } = this.#definition
    const data = message.data as Json
    if (message.type === inputType) {
      const input = message.data as SagaInput
      // Of an instance that is there already a start says nothing new, whatever it carries.
      return input?.kind === 'start' && isThere(journal) ? input : checkedInput(this.#definition, input)
    }
    const signal = Object.entries(signals).find(([, source]) => isEvent(source) && source.type === message.type)
    const isStart = isEvent(start) && start.type === message.type
    if (isStart && (signal === undefined || !isThere(journal) || journal.id === message.id))
      return stamped({ kind: 'start', input: data }, start)
    const [name, source] = signal as [string, DataSource]
    return stamped({ kind: 'signal', name, data }, source)
  }

  #answer(parent: SagaParent | undefined, outcome: ChildOutcome): Effects {
    if (parent === undefined) return []
    const { saga, key, entry, id } = parent
    return [inputEffect(this.#app, saga, key, { kind: 'child', entry, id, outcome })]
  }
}

/** Nothing will happen to it any more, but that it is forgotten. */
function isKeptOnly({ status }: Pick<Journal, 'status'>): boolean {
  return isEnded(status) || status === 'expected'
}
