import type { Engine, WriteBatch } from '../engine/index.ts'
import { InvariantError } from '../kernel/index.ts'
import { identityOf, type Message } from '../message/index.ts'
import {
  append,
  type Effect,
  type Handler,
  type HandlerContext,
  handlerFrom,
  publish,
  type Subscribed,
  within,
  write,
} from '../runtime/index.ts'
import { channels } from '../telemetry/index.ts'
import type { Boundary } from './boundary.ts'
import { BoundaryDesk } from './boundary-desk.ts'
import { CommandMemory } from './command-memory.ts'
import { accepted, type CommandOutcome, rejected, rejectedByTombstone } from './command-outcome.ts'
import type { Decider } from './decider.ts'
import type { DeskSetup, WaitingCommand } from './desk-setup.ts'
import { type EventIdConflict, earlierDecision } from './earlier-decision.ts'
import { ReplyNotCommittedError } from './errors.ts'
import type { Gates } from './gates.ts'
import type { InlineWriter } from './inline-views.ts'
import { isRejection, type Rejection } from './rejection.ts'
import { askedAttemptsMax, isReplyWanted, replyOfError, replyOfOutcome, replyTo } from './reply.ts'
import { StreamDesk } from './stream-desk.ts'

/** Who handles the commands of a decider or boundary in a running app. */
export interface CommandDesk {
  /** Handles a command at once, without a topic in between; resolves when it is durable. */
  execute(command: Message): Promise<CommandOutcome>
  /** Resolves when what it is handling at once is durable, or has failed. */
  settled(): Promise<void>
  /** Handles the commands that were sent: in one commit with its progress. */
  readonly handler: Handler
}

/** What a command leads to, before it is committed. */
interface Planned {
  readonly outcome: CommandOutcome
  readonly batch: WriteBatch
  /** The events in it. */
  readonly events: readonly Message[]
}

/** The handler of a decider or boundary that nothing runs: what `explain` reasons about. */
export function idleHandler(decider: Decider | Boundary): Handler {
  return queueHandler(decider, () =>
    Promise.reject(new InvariantError('a decider that nothing runs was handed a command')),
  )
}

/** Puts a decider or boundary to work. */
export function commandDesk(
  setup: DeskSetup,
  decider: Decider | Boundary,
  parts: { readonly views: InlineWriter; readonly gates: Gates },
): CommandDesk {
  const memory = new CommandMemory(setup.engine, setup.group, decider.rememberMs, setup.clock, decider.events)
  if (decider.kind === 'boundary') {
    const desk = new BoundaryDesk(setup, decider, { memory, ...parts })
    const plan = async (command: Message): Promise<Planned> => {
      const { answer, batch } = await desk.decide(command)
      for (const { stream } of batch.append ?? []) {
        if ((await setup.engine.events.describeStream(stream))?.tombstoned === true) return refused(stream)
      }
      return planned(answer, batch)
    }
    return reporting(
      setup,
      { execute: (command) => desk.execute(command), plan: planner(memory, plan) },
      decider,
      parts.views,
    )
  }
  const desk = new StreamDesk(setup, decider, memory, parts.views)
  const plan = async (command: Message): Promise<Planned> => {
    const stream = decider.stream(command)
    const found = await setup.engine.events.describeStream(stream)
    if (found?.tombstoned === true) return refused(stream)
    const from = await desk.states.read(stream, found)
    const failures: unknown[] = []
    const waiting: WaitingCommand<CommandOutcome>[] = [
      { command, resolve: () => undefined, reject: (error) => failures.push(error) },
    ]
    const decided = desk.decide(stream, from, waiting)
    if (failures.length > 0) throw failures[0]
    const [answer = []] = decided.answers
    return planned(answer, decided.batch)
  }
  return reporting(
    setup,
    { execute: (command) => desk.execute(command), plan: planner(memory, plan) },
    decider,
    parts.views,
  )
}

type Plan = (command: Message) => Promise<Planned>

/** Without telemetry it costs nothing. */
function reporting(
  { group, clock, engine }: DeskSetup,
  desk: { readonly execute: (command: Message) => Promise<CommandOutcome>; readonly plan: Plan },
  decider: Decider | Boundary,
  views: InlineWriter,
): CommandDesk {
  const report = (command: Message, outcome: CommandOutcome, startMs: number): void =>
    channels.decided.publish({
      handler: group,
      type: command.type,
      messageId: command.id,
      outcome: outcome.kind,
      code: outcome.kind === 'rejected' ? outcome.code : null,
      eventCount: outcome.kind === 'accepted' ? outcome.events.length : 0,
      repeated: outcome.repeated,
      durationMs: clock.monotonicMs() - startMs,
    })
  /** Commands that are being handled: whoever asks for the same one again meanwhile gets its outcome. */
  const underWay = new Map<string, Promise<CommandOutcome>>()
  const commands = new Map(decider.commands.map((definition) => [definition.type, definition]))
  const once = async (given: Message): Promise<CommandOutcome> => {
    // It may have been made by another program; what is sent was read on its way here.
    const command = commands.get(given.type)?.read(given) ?? given
    // One of another type is no repetition: it is refused for its id once the first is remembered.
    const key = `${command.type} ${identityOf(command)}`
    const earlier = underWay.get(key)
    if (earlier !== undefined) return { ...(await earlier), repeated: true }
    const outcome = desk.execute(command)
    underWay.set(key, outcome)
    try {
      return await outcome
    } finally {
      underWay.delete(key)
    }
  }
  return {
    execute: async (command) => {
      if (!channels.decided.hasSubscribers) return once(command)
      const startMs = clock.monotonicMs()
      const outcome = await once(command)
      report(command, outcome, startMs)
      return outcome
    },
    settled: async () => {
      await Promise.allSettled(underWay.values())
    },
    handler: queueHandler(
      decider,
      async (command) => {
        const startMs = clock.monotonicMs()
        const planned = await desk.plan(command)
        if (channels.decided.hasSubscribers) report(command, planned.outcome, startMs)
        return planned
      },
      { views, engine, group },
    ),
  }
}

/** A command that was handled before leads to its reply only. */
function planner(memory: CommandMemory, plan: Plan): Plan {
  return async (command) => {
    const known = await memory.recall(command)
    return known === undefined ? plan(command) : { outcome: known, batch: {}, events: [] }
  }
}

function queueHandler(
  decider: Decider | Boundary,
  plan: Plan,
  parts?: { readonly views: InlineWriter; readonly engine: Engine; readonly group: string },
): Handler {
  /** Commands that were refused because of the id of an event: decided anew they would be refused again. */
  const idTaken = new WeakMap<Message, EventIdConflict>()
  const decide = async (command: Message): Promise<Planned> => {
    const planned = await plan(command)
    const conflict = idTaken.get(command)
    if (conflict === undefined || parts === undefined) return planned
    idTaken.delete(command)
    const { events, batch } = planned
    if (!events.some(({ id }) => id === conflict.id)) return planned
    const streams = batch.append?.map(({ stream }) => stream) ?? []
    const outcome = await earlierDecision(parts, command, { events, streams }, conflict)
    return { outcome, batch: {}, events: [] }
  }
  const handle = async (command: Message, { attempt }: HandlerContext): Promise<readonly Effect[]> => {
    const isAwaited = parts !== undefined && (await isReplyWanted(parts.engine, command, attempt))
    try {
      const { outcome, batch, events } = await decide(command)
      if (isAwaited && attempt > askedAttemptsMax && !outcome.repeated) {
        throw new ReplyNotCommittedError(command.type, command.id)
      }
      const effects = [...effectsOf(batch)]
      if (parts !== undefined && events.length > 0) {
        const { views } = parts
        // Once the reply is on its way nobody can be told any more that a view throws.
        if (isAwaited) await views.rehearse(events)
        effects.push(
          within(async (commit) => {
            const committed = await views.commit(events, commit)
            if (!committed.ok && committed.conflict.kind === 'event-id') idTaken.set(command, committed.conflict)
            return committed
          }),
        )
      }
      const reply = isAwaited ? replyTo(command, replyOfOutcome(outcome)) : undefined
      return reply === undefined ? effects : [...effects, reply]
    } catch (error) {
      // Whoever asked is told, and decides: it is not tried again behind their back.
      const reply = isAwaited ? replyTo(command, replyOfError(error)) : undefined
      if (reply === undefined) throw error
      return [reply]
    }
  }
  return handlerFrom(decider.commands as unknown as Subscribed, { name: decider.name }, handle)
}

function effectsOf(batch: WriteBatch): readonly Effect[] {
  return [
    ...(batch.append ?? []).map(({ stream, events, expected, condition, repeated }) =>
      append(stream, events, {
        ...(expected !== undefined && { expected }),
        ...(condition !== undefined && { condition }),
        ...(repeated !== undefined && { repeated }),
      }),
    ),
    ...(batch.publish ?? []).map(({ topic, messages = [] }) => publish(messages, { topic })),
    ...((batch.state ?? []).length > 0 ? [write(batch.state ?? [])] : []),
  ]
}

/** Of a stream that takes no more events, ever. */
function refused(stream: string): Planned {
  return { outcome: rejectedByTombstone(stream), batch: {}, events: [] }
}

function planned(answer: readonly Message[] | Rejection, batch: WriteBatch): Planned {
  if (isRejection(answer)) return { outcome: rejected(answer), batch, events: [] }
  return { outcome: accepted(answer, [], []), batch, events: answer }
}
