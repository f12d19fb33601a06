import type { Conflict, WriteBatch } from '../engine/index.ts'
import type { Message } from '../message/index.ts'
import type { Boundary, Projections } from './boundary.ts'
import { readBoundary } from './boundary-reading.ts'
import type { CommandMemory } from './command-memory.ts'
import { accepted, type CommandOutcome, rejected, rejectedByTombstone } from './command-outcome.ts'
import { checkedDecision } from './decide.ts'
import { beforeRetry, type DeskSetup, EventTypes, inContextOf } from './desk-setup.ts'
import { earlierDecision } from './earlier-decision.ts'
import type { Gates } from './gates.ts'
import { commitWithViews, type InlineWriter } from './inline-views.ts'
import { isRejection, type Rejection } from './rejection.ts'

/** What was decided about a command, before it is committed. */
export interface BoundaryDecision {
  readonly answer: readonly Message[] | Rejection
  readonly batch: WriteBatch
}

/**
 * Handles the command of a boundary: read, decide, append if nothing that it read has changed. Several streams may be
 * appended to in that one commit.
 */
export class BoundaryDesk {
  readonly memory: CommandMemory
  readonly types: EventTypes
  readonly #setup: DeskSetup
  readonly #boundary: Boundary
  readonly #views: InlineWriter
  readonly #gates: Gates

  constructor(
    setup: DeskSetup,
    boundary: Boundary,
    parts: {
      readonly memory: CommandMemory
      readonly views: InlineWriter
      /** Shared by all boundaries of an app: those that read the same tag wait for each other instead of meeting in the store. */
      readonly gates: Gates
    },
  ) {
    this.#setup = setup
    this.#boundary = boundary
    this.memory = parts.memory
    this.#views = parts.views
    this.#gates = parts.gates
    this.types = new EventTypes(boundary.events)
  }

  /** What becomes of a command, once that is durable. Throws what {@link StreamDesk.execute} throws. */
  async execute(command: Message): Promise<CommandOutcome> {
    const projections = this.#boundary.reads(command)
    return this.#gates.run(tagsOf(projections), () => this.#settle(command))
  }

  /** Reads and decides. */
  async decide(command: Message): Promise<BoundaryDecision> {
    const { engine, group } = this.#setup
    const boundary = this.#boundary
    const reading = await readBoundary(engine.events, boundary.reads(command))
    const answer = inContextOf(this.#setup, command, this.memory.life, () =>
      checkedDecision(boundary.decide(command, reading.values), group, command, this.types),
    )
    if (isRejection(answer)) {
      const { code, reason, details } = answer
      return { answer, batch: { state: this.memory.writes(command, { rejected: [code, reason, details] }) } }
    }
    const byStream = new Map<string, Message[]>()
    for (const event of answer) {
      const stream = boundary.stream(event)
      byStream.set(stream, [...(byStream.get(stream) ?? []), event])
    }
    const hasCondition = reading.condition.query.items.length > 0
    const batch: WriteBatch = {
      append: [...byStream].map(([stream, events]) => ({
        stream,
        events: events.map((event) => this.types.tagged(this.#setup.app, event)),
        ...(hasCondition && { condition: reading.condition }),
        repeated: 'refuse',
      })),
      ...(boundary.publish && answer.length > 0 && { publish: this.types.published(answer) }),
      state: this.memory.writes(command, { events: answer }),
    }
    return { answer, batch }
  }

  async #settle(command: Message): Promise<CommandOutcome> {
    const waiting = [{ command }]
    let conflict: Conflict | undefined
    for (let conflictCount = 0; ; conflictCount++) {
      if (conflict !== undefined) await beforeRetry(this.#setup, conflictCount, conflict)
      const { answer, batch } = await this.decide(command)
      const events = isRejection(answer) ? [] : answer
      const outcome = await commitWithViews(this.#setup.engine, this.#views, batch, events)
      if (outcome.ok) {
        return isRejection(answer) ? rejected(answer) : accepted(answer, outcome.appended, outcome.published)
      }
      conflict = outcome.conflict
      if (conflict.kind === 'stream-deleted') return rejectedByTombstone(conflict.stream)
      if (conflict.kind === 'event-id') {
        const streams = batch.append?.map(({ stream }) => stream) ?? []
        return earlierDecision(this.#setup, command, { events, streams }, conflict)
      }
      if (this.memory.about(conflict, waiting) === undefined) continue
      const known = await this.memory.recall(command)
      if (known !== undefined) return known
    }
  }
}

/** What commands wait for each other by: the tags that are read, and the types where no tag is. */
function tagsOf(projections: Projections): readonly string[] {
  return Object.values(projections).flatMap(({ item }) =>
    item.tags !== undefined && item.tags.length > 0
      ? item.tags.map((tag) => `tag ${tag}`)
      : (item.types ?? []).map((type) => `type ${type}`),
  )
}
