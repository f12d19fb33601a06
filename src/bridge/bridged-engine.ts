import {
  type Capabilities,
  type CommitOutcome,
  type Engine,
  type EngineEnvironment,
  type EventStore,
  type InTransit,
  type ProgressWrite,
  type StateStore,
  type StateWrite,
  type Timers,
  type Topics,
  TopicUnknownError,
  type WriteBatch,
} from '../engine/index.ts'
import { ClosedError } from '../kernel/index.ts'
import { bridgedCapabilities } from './bridged-capabilities.ts'
import { BridgedGroups } from './bridged-groups.ts'
import { BridgedTopics } from './bridged-topics.ts'
import type { ClaimLedger } from './claim-ledger.ts'
import { SequenceAcrossError } from './errors.ts'
import { intoOutboxes } from './outbox.ts'
import { OutboxDesk } from './outbox-desk.ts'

/**
 * Two engines as one: the topics of the first, everything else in the second.
 *
 * What a handler does is one commit of the store: its state, its events, its timers, its progress, and what it publishes,
 * which goes through an outbox there. What is published by itself goes to the topics at once.
 */
export class BridgedEngine implements Engine {
  readonly name: string
  readonly capabilities: Capabilities
  readonly topics: Topics
  readonly groups: BridgedGroups
  readonly events: EventStore
  readonly state: StateStore
  readonly timers: Timers
  readonly #topicsEngine: Engine
  readonly #store: Engine
  readonly #desk: OutboxDesk
  /** Commits wait behind one whose outbox has to be made first, so that they keep their order. */
  #gate: Promise<void> | undefined
  #closing: Promise<void> | undefined

  private constructor(topics: Engine, store: Engine, environment: EngineEnvironment) {
    this.name = `${topics.name}+${store.name}`
    this.capabilities = bridgedCapabilities(topics, store)
    this.#topicsEngine = topics
    this.#store = store
    this.#desk = new OutboxDesk(topics, store, environment)
    this.groups = new BridgedGroups(topics, store, environment, (topic) => this.#desk.backlog(topic))
    this.topics = new BridgedTopics(topics, this.#desk, this.groups)
    this.events = store.events
    this.state = store.state
    this.timers = store.timers
  }

  /** Puts two open engines together; they are closed with it. */
  static async open(topics: Engine, store: Engine, environment: EngineEnvironment): Promise<BridgedEngine> {
    const engine = new BridgedEngine(topics, store, environment)
    await engine.#desk.open()
    return engine
  }

  commit(batch: WriteBatch, options?: { readonly signal?: AbortSignal }): Promise<CommitOutcome> {
    if (this.#closing !== undefined) return Promise.reject(new ClosedError('The engine'))
    // What has another shape than the compiler was told is told by the engine that would have to write it.
    if (!hasShape(batch)) return this.#store.commit(batch, options)
    const { publish = [], ...rest } = batch
    const isForStore = Object.values(rest).some((writes) => writes !== undefined && writes.length > 0)
    if (!isForStore) return this.#topicsEngine.commit(batch, options)
    try {
      if (publish.length > 0) this.#desk.checkRelays()
      const { progress = [] } = batch
      const missing = publish.map(({ topic }) => topic).filter((topic) => !this.#desk.has(topic))
      const unsure = progress.filter((one) => !this.groups.isWithinKnown(one))
      if (this.#gate === undefined && missing.length === 0 && unsure.length === 0) {
        return this.#commitToStore(batch, options)
      }
      return this.#behindGate(
        async () => {
          await this.#desk.ensureAll(missing)
          for (const one of unsure) await this.groups.checkEnd(one)
        },
        () => this.#commitToStore(batch, options),
      )
    } catch (error) {
      return Promise.reject(error)
    }
  }

  inTransit(): Promise<readonly InTransit[]> {
    return this.#desk.waiting()
  }

  close(options?: { readonly timeoutMs?: number }): Promise<void> {
    this.#closing ??= this.#close(options)
    return this.#closing
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  async #close(options?: { readonly timeoutMs?: number }): Promise<void> {
    if (this.#gate !== undefined) await this.#gate
    // The relays stop by themselves when nothing answers them any more; nobody else is let in meanwhile.
    this.#desk.stop()
    await Promise.all([this.#topicsEngine.close(options), this.#store.close(options)])
    await this.#desk.stopped()
  }

  /** Commits after something was prepared; later commits wait for that too. */
  #behindGate(prepare: () => Promise<void>, commit: () => Promise<CommitOutcome>): Promise<CommitOutcome> {
    const ready = (this.#gate ?? Promise.resolve()).then(prepare)
    const gate = ready
      .catch(() => undefined)
      .then(() => {
        if (this.#gate === gate) this.#gate = undefined
      })
    this.#gate = gate
    return ready.then(commit)
  }

  async #commitToStore(batch: WriteBatch, options?: { readonly signal?: AbortSignal }): Promise<CommitOutcome> {
    const { publish = [], progress = [], state = [], append, timers } = batch
    for (const { topic, producer } of publish) if (producer !== undefined) throw new SequenceAcrossError(topic)
    this.#desk.check(publish)
    const ledgers: ClaimLedger[] = []
    for (const { claim } of progress) {
      const ledger = this.groups.ledgerOf(claim)
      if (ledger === undefined) return { ok: false, conflict: { kind: 'fenced', claim } }
      ledgers.push(ledger)
    }
    const writes: WriteBatch = {
      ...(publish.length > 0 && { publish: intoOutboxes(publish) }),
      ...(append !== undefined && { append }),
      state: [...progressWrites(ledgers, progress), ...state],
      ...(timers !== undefined && { timers }),
    }
    const outcome = await this.#store.commit(writes, options).catch(async (error: unknown) => {
      if (!(error instanceof TopicUnknownError) || publish.length === 0) throw error
      // Another process deleted the topic, and with it the outbox. If it has made it anew, so is the outbox, and nothing was stored yet.
      await this.#desk.renew(publish.map(({ topic }) => topic))
      return this.#store.commit(writes, options)
    })
    if (!outcome.ok) return this.#conflictOf(outcome, progress)
    for (const [i, ledger] of ledgers.entries()) ledger.committed((progress[i] as ProgressWrite).done)
    for (const { topic } of publish) this.#desk.wake(topic)
    return { ok: true, published: [], appended: outcome.appended }
  }

  /** The guard of a claim is told as what it stands for. */
  #conflictOf(outcome: CommitOutcome & { readonly ok: false }, progress: readonly ProgressWrite[]): CommitOutcome {
    const { conflict } = outcome
    if (conflict.kind !== 'revision') return outcome
    const claims = progress.map(({ claim }) => claim)
    const claim = this.groups.fencedBy(claims, conflict.namespace, conflict.key)
    return claim === undefined ? outcome : { ok: false, conflict: { kind: 'fenced', claim } }
  }
}

const partNames: ReadonlySet<string> = new Set(['publish', 'append', 'state', 'timers', 'progress'])

/** Whether it can be walked over: lists of objects, claims and messages among them. */
function hasShape(batch: WriteBatch | undefined): batch is WriteBatch {
  if (!isObject(batch)) return false
  for (const [name, writes] of Object.entries(batch)) {
    if (!partNames.has(name) || (writes !== undefined && !(Array.isArray(writes) && writes.every(isObject))))
      return false
  }
  const { publish = [], progress = [] } = batch
  return (
    publish.every(({ messages = [], records = [] }) => [messages, records].every((list) => isListOfObjects(list))) &&
    progress.every(({ claim, done }) => isObject(claim) && isListOfObjects(done))
  )
}

function isListOfObjects(list: unknown): boolean {
  return Array.isArray(list) && list.every(isObject)
}

function isObject(value: unknown): value is object {
  return typeof value === 'object' && value !== null
}

function progressWrites(ledgers: readonly ClaimLedger[], progress: readonly ProgressWrite[]): readonly StateWrite[] {
  return ledgers.flatMap((ledger, i) => ledger.writes((progress[i] as ProgressWrite).done))
}
