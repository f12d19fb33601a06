import type {
  CommitOutcome,
  Conflict,
  StateWrite,
  StreamDescription,
  TopicPosition,
  WriteBatch,
} from '../engine/index.ts'
import type { Message } from '../message/index.ts'
import type { CommandMemory } from './command-memory.ts'
import { accepted, type CommandOutcome, rejected, rejectedByTombstone } from './command-outcome.ts'
import { checkedDecision, evolved, settledState } from './decide.ts'
import type { Decider } from './decider.ts'
import { beforeRetry, type DeskSetup, EventTypes, inContextOf, type WaitingCommand } from './desk-setup.ts'
import { type EventIdConflict, earlierDecision } from './earlier-decision.ts'
import { EventIdTakenError } from './errors.ts'
import { commitWithViews, type InlineWriter } from './inline-views.ts'
import { isRejection, type Rejection } from './rejection.ts'
import { type StreamState, StreamStates } from './stream-states.ts'

type Waiting = WaitingCommand<CommandOutcome>

/** Commands of one stream that are decided one after the other and committed together. */
const togetherMax = 64

/** What was decided about some commands of one stream, before it is committed. */
export interface StreamDecision {
  readonly batch: WriteBatch
  /** For each command, in order: its events or its rejection. */
  readonly answers: readonly (readonly Message[] | Rejection)[]
  /** Events of all of them. */
  readonly events: readonly Message[]
  /** The state after it. */
  readonly after: StreamState
}

/**
 * Handles the commands of a decider: load, decide, append if the stream is as it was read; one after the other within a
 * stream, side by side across streams. Commands of one stream that wait together share a commit.
 */
export class StreamDesk {
  readonly states: StreamStates
  readonly types: EventTypes
  readonly memory: CommandMemory
  readonly #setup: DeskSetup
  readonly #decider: Decider
  readonly #views: InlineWriter
  readonly #lanes = new Map<string, Waiting[]>()

  constructor(setup: DeskSetup, decider: Decider, memory: CommandMemory, views: InlineWriter) {
    this.#setup = setup
    this.#decider = decider
    this.#views = views
    this.memory = memory
    this.types = new EventTypes(decider.events)
    this.states = new StreamStates(setup, decider, this.types)
  }

  /**
   * What becomes of a command, once that is durable.
   *
   * @throws CommandConflictError `COMMAND_CONFLICT`, DecisionInvalidError `DECISION_INVALID`, what the decider throws, and what the
   *   engine throws
   */
  execute(command: Message): Promise<CommandOutcome> {
    return new Promise((resolve, reject) => {
      const stream = this.#decider.stream(command)
      const waiting = { command, resolve, reject }
      const lane = this.#lanes.get(stream)
      if (lane !== undefined) {
        lane.push(waiting)
        return
      }
      const opened = [waiting]
      this.#lanes.set(stream, opened)
      this.#run(stream, opened).catch(reject)
    })
  }

  /** Decides commands of one stream, given its state. Those on which the decider throws get their error and are left out. */
  decide(stream: string, from: StreamState, waiting: Waiting[]): StreamDecision {
    const { group } = this.#setup
    const answers: (readonly Message[] | Rejection)[] = []
    const events: Message[] = []
    const writes: StateWrite[] = []
    let { state, version, eventCount, characterCount } = from
    for (const one of [...waiting]) {
      try {
        const answer = inContextOf(this.#setup, one.command, this.memory.life, () =>
          checkedDecision(this.#decider.decide(one.command, state), group, one.command, this.types),
        )
        let next = state
        if (!isRejection(answer)) {
          const place = { handler: group, stream, version: version + 1 }
          for (const event of answer) next = evolved(this.#decider, this.types, next, event, place)
          next = settledState(next)
        }
        const isRefused = isRejection(answer)
        writes.push(
          ...this.memory.writes(
            one.command,
            isRefused
              ? { rejected: [answer.code, answer.reason, answer.details] }
              : { stream, from: version + 1, count: answer.length },
          ),
        )
        answers.push(answer)
        if (isRefused) continue
        state = next
        version += answer.length
        eventCount += answer.length
        for (const event of answer) {
          events.push(event)
          characterCount += this.states.charactersOf(event.data)
        }
      } catch (error) {
        waiting.splice(waiting.indexOf(one), 1)
        one.reject(error)
      }
    }
    const evolvedTo = { state, version, eventCount, characterCount, snapshotMs: from.snapshotMs }
    const snapshot = this.states.snapshotDue(stream, evolvedTo)
    const batch: WriteBatch = {
      ...(events.length > 0 && {
        append: [
          {
            stream,
            expected: from.version,
            events: events.map((event) => this.types.tagged(this.#setup.app, event)),
            repeated: 'refuse',
          },
        ],
      }),
      ...(events.length > 0 && this.#decider.publish && { publish: this.types.published(events) }),
      state: [...writes, ...snapshot.writes],
    }
    return { batch, answers, events, after: snapshot.state }
  }

  async #run(stream: string, lane: Waiting[]): Promise<void> {
    // What else comes in this turn for the stream shares the commit.
    await Promise.resolve()
    while (lane.length > 0) {
      const waiting = lane.splice(0, togetherMax)
      try {
        await this.#settle(stream, waiting)
      } catch (error) {
        this.states.forget(stream)
        // One that the engine refuses, for its size perhaps, must not take its neighbours along.
        if (waiting.length > 1) for (const one of waiting) await this.#alone(stream, one)
        else waiting[0]?.reject(error)
      }
    }
    this.#lanes.delete(stream)
  }

  async #alone(stream: string, one: Waiting): Promise<void> {
    try {
      await this.#settle(stream, [one])
    } catch (error) {
      this.states.forget(stream)
      one.reject(error)
    }
  }

  async #settle(stream: string, waiting: Waiting[]): Promise<void> {
    let isCertain = false
    let found: StreamDescription | undefined
    for (let conflictCount = 0; waiting.length > 0; ) {
      const cached = isCertain ? undefined : this.states.cached(stream)
      const from = cached ?? (await this.states.read(stream, found))
      const decision = this.decide(stream, from, waiting)
      if (waiting.length === 0) return
      if (decision.batch.append === undefined && !isCertain) {
        // Nothing is appended, so no expected version proves that this was the last word.
        found = await this.#look(stream, waiting)
        isCertain = true
        if (waiting.length === 0 || (found?.version ?? 0) !== from.version) continue
      }
      const outcome = await commitWithViews(this.#setup.engine, this.#views, decision.batch, decision.events)
      if (outcome.ok) return this.#resolve(stream, waiting, decision, outcome)
      if (outcome.conflict.kind === 'event-id') return this.#idTaken(stream, waiting, decision.events, outcome.conflict)
      // One less is no reason to wait.
      if (await this.#repeated(outcome.conflict, waiting)) conflictCount = 0
      else await beforeRetry(this.#setup, ++conflictCount, outcome.conflict)
      found = await this.#look(stream, waiting)
      isCertain = true
    }
  }

  /** What the store says of a stream. Those who wait for one that takes no more events, ever, are told. */
  async #look(stream: string, waiting: Waiting[]): Promise<StreamDescription | undefined> {
    const found = await this.#setup.engine.events.describeStream(stream)
    if (found?.tombstoned === true) for (const one of waiting.splice(0)) one.resolve(rejectedByTombstone(stream))
    return found
  }

  #resolve(
    stream: string,
    waiting: readonly Waiting[],
    decision: StreamDecision,
    { appended, published }: Extract<CommitOutcome, { ok: true }>,
  ): void {
    this.states.put(stream, decision.after)
    // With one command in the commit, which is the rule, all that was published is its own.
    const places = waiting.length === 1 ? undefined : placesById(decision.batch, published)
    for (const [index, one] of waiting.entries()) {
      const answer = decision.answers[index] as readonly Message[] | Rejection
      if (isRejection(answer)) {
        one.resolve(rejected(answer))
        continue
      }
      const own = places === undefined ? published : answer.flatMap(({ id }) => places.get(id) ?? [])
      one.resolve(accepted(answer, answer.length === 0 ? [] : appended, own))
    }
  }

  /** An event has an id that stands in the store already. */
  async #idTaken(
    stream: string,
    waiting: readonly Waiting[],
    events: readonly Message[],
    conflict: EventIdConflict,
  ): Promise<void> {
    const [one] = waiting
    // Whose it is, is found out with each by itself.
    if (one === undefined || waiting.length > 1) throw new EventIdTakenError(this.#setup.group, stream, conflict.id)
    const earlier = await earlierDecision(this.#setup, one.command, { events, streams: [stream] }, conflict)
    this.states.forget(stream)
    one.resolve(earlier)
  }

  /** A command that had been handled before gets its outcome; the others are decided anew. */
  async #repeated(conflict: Conflict, waiting: Waiting[]): Promise<boolean> {
    const known = this.memory.about(conflict, waiting)
    if (known === undefined) return false
    const outcome = await this.memory.recall(known.command)
    if (outcome === undefined) return false
    waiting.splice(waiting.indexOf(known), 1)
    known.resolve(outcome)
    return true
  }
}

/** Where each event was published; nowhere, if it leaves later, through an outbox. */
function placesById({ publish = [] }: WriteBatch, published: readonly TopicPosition[]): Map<string, TopicPosition> {
  const ids = publish.flatMap(({ messages = [] }) => messages.map(({ id }) => id))
  return new Map(published.map((place, index) => [ids[index] as string, place]))
}
