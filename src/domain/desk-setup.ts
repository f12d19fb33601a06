import type { Conflict, Engine, NewEvent, PublishWrite } from '../engine/index.ts'
import { type Clock, type Random, sleep } from '../kernel/index.ts'
import {
  type AnyEventDefinition,
  causeTypeAttribute,
  contextFor,
  type Extensions,
  type Message,
  runInContext,
} from '../message/index.ts'
import { CommandConflictError } from './errors.ts'
import { tagsWithOrigin } from './event-origin.ts'

/** Where a decider works. */
export interface DeskSetup {
  readonly engine: Engine
  readonly clock: Clock
  readonly random: Random
  readonly app: string
  /** `<app>.<service>.<decider>`. */
  readonly group: string
  /** Source of the events, such as `/bank/accounts`. */
  readonly source: string
}

/** A command that waits for its outcome. */
export interface WaitingCommand<Outcome> {
  readonly command: Message
  readonly resolve: (outcome: Outcome) => void
  readonly reject: (error: unknown) => void
}

/** Conflicts in a row after which a command is given up. */
const conflictsMax = 30
/** Reading again takes its time as it is; only who meets others again and again steps back. */
const atOnceMax = 3
const delayMaxMs = 200

/**
 * Waits before a command is decided anew: not at all the first times, then longer and longer, each time a random part of it, so that
 * those that met do not meet again.
 *
 * @throws CommandConflictError `COMMAND_CONFLICT`: too many conflicts in a row.
 */
export async function beforeRetry(setup: DeskSetup, conflictCount: number, conflict: Conflict): Promise<void> {
  if (conflictCount > conflictsMax) throw new CommandConflictError(setup.group, conflictCount, conflict)
  if (conflictCount <= atOnceMax) return
  const longestMs = Math.min(delayMaxMs, 2 ** (conflictCount - atOnceMax))
  await sleep(setup.random.nextFloat() * longestMs, setup.clock)
}

/** Decides in the context of the command: what happens inherits from it, with the same ids at each attempt of one life. */
export function inContextOf<Result>(setup: DeskSetup, command: Message, life: number, decide: () => Result): Result {
  const { source, clock, group } = setup
  const extensions = extensionsOf(command.type)
  return runInContext(contextFor(command, { source, clock, handlerId: `${group}:${life}`, extensions }), decide)
}

/** By type of command: bounded by the definitions of the program, as no decider takes others. */
const extensionsByType = new Map<string, Extensions>()

function extensionsOf(type: string): Extensions {
  let extensions = extensionsByType.get(type)
  if (extensions === undefined) {
    extensions = Object.freeze({ [causeTypeAttribute]: type })
    extensionsByType.set(type, extensions)
  }
  return extensions
}

/** The events of a decider by type. */
export class EventTypes {
  readonly #byType: ReadonlyMap<string, AnyEventDefinition>

  constructor(definitions: readonly AnyEventDefinition[]) {
    this.#byType = new Map(definitions.map((definition) => [definition.type, definition]))
  }

  get names(): readonly string[] {
    return [...this.#byType.keys()]
  }

  /** The definition of an event; `undefined`: the decider does not know it. */
  of(event: Message): AnyEventDefinition | undefined {
    return this.#byType.get(event.type)
  }

  /** An event as a decider of an app appends it, with its tags. */
  tagged(app: string, event: Message): NewEvent {
    const tags = tagsWithOrigin(app, event, this.#byType.get(event.type)?.tagsOf(event.data) ?? [])
    return tags.length === 0 ? { message: event } : { message: event, tags }
  }

  /** Events as they are published: each to the topic of its definition. */
  published(events: readonly Message[]): PublishWrite[] {
    const byTopic = new Map<string, Message[]>()
    for (const event of events) {
      const topic = this.#byType.get(event.type)?.topic as string
      const list = byTopic.get(topic)
      if (list === undefined) byTopic.set(topic, [event])
      else list.push(event)
    }
    return [...byTopic].map(([topic, messages]) => ({ topic, messages }))
  }
}
