import {
  type Answer,
  type AnswerContext,
  askedAttemptsMax,
  type Boundary,
  type CommandDesk,
  commandDesk,
  type Decider,
  type DeskSetup,
  Gates,
  InlineCopies,
  isReplyWanted,
  ReplyNotCommittedError,
  replyOfError,
  replyTo,
} from '../domain/index.ts'
import type { Engine } from '../engine/index.ts'
import type { Clock, Random } from '../kernel/index.ts'
import type { Message } from '../message/index.ts'
import {
  type Effect,
  exponential,
  type Handler,
  type HandlerContext,
  handlerFrom,
  handlerNamespace,
  type Subscribed,
} from '../runtime/index.ts'
import { DeciderUnknownError } from './errors.ts'
import { groupOf } from './names.ts'
import type { AppParts, Part } from './parts.ts'

/** The desks of an app by the group of their decider. */
export type CommandDesks = ReadonlyMap<string, CommandDesk>

/** What the parts of an app work on. */
interface Workplace {
  readonly engine: Engine
  readonly clock: Clock
  readonly random: Random
}

/** Where a decider of an app works. @throws DeciderUnknownError `DECIDER_UNKNOWN` */
export function deskSetupOf(
  app: AppParts,
  decider: Decider | Boundary,
  { engine, clock, random }: Workplace,
): DeskSetup {
  const service = app.services.find(({ deciders }) => deciders.includes(decider))
  if (service === undefined) throw new DeciderUnknownError(String(decider?.name), app.name)
  const group = groupOf(app.name, service.name, decider.name)
  return { engine, clock, random, app: app.name, group, source: `/${app.name}/${service.name}` }
}

/** What keeps the inline views of an app, those that another program of the app has besides included. */
export function inlineCopiesOf(app: AppParts, { engine, clock }: Workplace): InlineCopies {
  return new InlineCopies(engine, app.name, clock, app.views)
}

/** Puts the deciders and boundaries of an app to work. */
export function commandDesks(app: AppParts, workplace: Workplace): CommandDesks {
  const desks = new Map<string, CommandDesk>()
  const views = inlineCopiesOf(app, workplace)
  const gates = new Gates()
  for (const service of app.services) {
    for (const decider of service.deciders) {
      const setup = deskSetupOf(app, decider, workplace)
      desks.set(setup.group, commandDesk(setup, decider, { views, gates }))
    }
  }
  return desks
}

/** Desks by type of the command that they handle. */
export function desksByType(app: AppParts, desks: CommandDesks): ReadonlyMap<string, CommandDesk> {
  const byType = new Map<string, CommandDesk>()
  for (const service of app.services) {
    for (const decider of service.deciders) {
      const desk = desks.get(groupOf(app.name, service.name, decider.name)) as CommandDesk
      for (const { type } of decider.commands) byType.set(type, desk)
    }
  }
  return byType
}

/** Those who answer queries of other apps. */
export function answerParts(app: AppParts, engine: Engine, ctx: AnswerContext): readonly Part[] {
  return app.services.flatMap(({ name, answers }) =>
    answers.map((answer): Part => {
      const group = groupOf(app.name, name, answer.name)
      const source = `/${app.name}/${name}`
      return { group, handler: answerHandler(answer, engine, ctx), source, stateNamespace: handlerNamespace(group) }
    }),
  )
}

/** The handler of queries that other apps ask. What fails is told to them; only a reply that cannot be written is tried again. */
function answerHandler(answer: Answer, engine: Engine, ctx: AnswerContext): Handler {
  const retry = exponential({ max: askedAttemptsMax + 2 })
  const handle = async (query: Message, { attempt }: HandlerContext): Promise<Effect | undefined> => {
    if (!(await isReplyWanted(engine, query, attempt))) return undefined
    try {
      if (attempt > askedAttemptsMax) throw new ReplyNotCommittedError(query.type, query.id)
      return replyTo(query, { kind: 'answered', result: await answer.run(query, ctx) })
    } catch (error) {
      return replyTo(query, replyOfError(error))
    }
  }
  return handlerFrom(answer.query as unknown as Subscribed, { name: answer.name, retry }, handle)
}
