import { type Boundary, type Decider, idleHandler, type View } from '../domain/index.ts'
import { durationText } from '../kernel/index.ts'
import { deadLetterTopic, type Handler, togetherOf, topicsOf } from '../runtime/index.ts'
import { sagaHandler } from '../saga/index.ts'
import { bridgingOf, commitsTogether, decidingEffects, effectsOf } from './bridging.ts'
import { type Ground, type HandlerGuarantees, listed } from './guarantees.ts'
import type { AppParts } from './parts.ts'

/** What is worked out for each handler by itself, whether the app can start or not. */
export type Worked = Omit<HandlerGuarantees, 'refusedBy'>

/** What each handler, decider, view and saga of an app may rely on, on given ground. */
export function handlersOf(app: AppParts, ground: Ground): readonly Worked[] {
  const handlers = app.services.flatMap((service) =>
    service.handlers.map((handler) => ofHandler(`${service.name}.${handler.name}`, handler, app.name, ground)),
  )
  const deciders = app.services.flatMap((service) =>
    service.deciders.map((decider) => ofDecider(`${service.name}.${decider.name}`, decider, app.name, ground)),
  )
  const views = app.views.map((view) =>
    view.inline ? ofInlineView(view, app, ground) : ofHandler(`view ${view.name}`, view.handler, app.name, ground),
  )
  const sagas = app.sagas.map((saga) => ({
    ...ofHandler(`saga ${saga.name}`, sagaHandler(saga, { app: app.name }), app.name, ground),
    deduplication:
      'A start whose key has an instance already changes nothing, for as long as that is kept; a signal that its source publishes twice counts twice: ids are not remembered.',
  }))
  return [...handlers, ...deciders, ...views, ...sagas]
}

function ofHandler(name: string, handler: Handler, app: string, ground: Ground): Worked {
  const { dedupeWindowMs, requires } = handler
  const told: Worked = {
    name,
    source: {
      events: handler.events.map((definition) => definition.type),
      topics: topicsOf(handler.events),
      engine: ground.capabilities.bridge?.topics ?? ground.name,
    },
    ...bridgingOf(effectsOf(handler), ground),
    ordering: orderingOf(handler),
    retry: retryOf(handler, app),
    dedupeWindowMs: dedupeWindowMs ?? null,
    deduplication:
      dedupeWindowMs === undefined
        ? 'A message that its source publishes twice is handled twice: ids are not remembered.'
        : `A message id is handled once within ${durationText(dedupeWindowMs)} at least.`,
    requires: requires ?? null,
    warnings: [...memoryWarnings(ground), ...spreadWarnings(handler, ground)],
  }
  return handler.tables === undefined ? told : inTables(told, handler.tables, ground)
}

/** What it makes of messages stands in a database of the user's own, with a note of each message. */
function inTables(told: Worked, { database, keepMs }: NonNullable<Handler['tables']>, ground: Ground): Worked {
  return {
    ...told,
    commits: [
      { engine: database, holds: ['tables', 'inbox'] },
      { engine: ground.capabilities.bridge?.store ?? ground.name, holds: ['progress', 'dead letters'] },
    ],
    delivery: 'exactly-once',
    deliveryBecause: `its statements and the note that a message was applied are one transaction of ${database}, so a message that comes again after a crash does nothing`,
    publications: 'exactly-once',
    publicationsBecause: 'it publishes nothing',
    dedupeWindowMs: keepMs,
    deduplication: `A message id is applied once: ${database} notes it for ${durationText(keepMs)} at least.`,
  }
}

/** Of commands that are sent; those that are asked in this process take the short way, by the same commit without progress. */
function ofDecider(name: string, decider: Decider | Boundary, app: string, ground: Ground): Worked {
  const sent = ofHandler(name, idleHandler(decider), app, ground)
  const what = decider.kind === 'decider' ? 'its stream is as it was read' : 'nothing that it read has changed'
  return {
    ...sent,
    ...bridgingOf(decidingEffects, ground),
    ordering: `${sent.ordering} Events are appended only if ${what}; else the command is decided anew.`,
    dedupeWindowMs: decider.rememberMs,
    deduplication: `The outcome of a command is remembered by its id for ${durationText(decider.rememberMs)} at least: the same command again has the same outcome and no effect.`,
  }
}

/** It has neither partitions nor progress: whoever appends its events changes it. */
function ofInlineView({ name, handler }: View, app: AppParts, ground: Ground): Worked {
  const writers = app.services.flatMap(({ name: service, deciders }) =>
    deciders
      .filter(({ events }) => events.some(({ type }) => handler.events.some((one) => one.type === type)))
      .map((decider) => `${service}.${decider.name}`),
  )
  const engine = ground.capabilities.bridge?.store ?? ground.name
  const isOneCommit = commitsTogether(ground, ['events', 'state'])
  const idle = 'No decider of this app appends its events, so it stays as it is.'
  const apart =
    'Events that handlers append by themselves do not change it: a handler that sends a command to a decider does.'
  const hasHandlers = app.services.some(({ handlers }) => handlers.some(({ tables }) => tables === undefined))
  return {
    name: `view ${name}`,
    source: { events: handler.events.map(({ type }) => type), topics: [], engine },
    commits: [{ engine, holds: ['events', 'state'] }],
    delivery: isOneCommit ? 'exactly-once' : 'at-least-once',
    deliveryBecause: isOneCommit
      ? `it is changed in the commits of ${listed(writers) || 'no decider of this app'}`
      : `${engine} does not commit events and state together`,
    publications: 'exactly-once',
    publicationsBecause: 'it publishes nothing',
    ordering:
      'In the order in which the events are appended: whoever gets the outcome of a command reads what it changed.',
    retry: 'An event that it cannot take fails its command.',
    dedupeWindowMs: null,
    deduplication: 'An event changes it once: in the commit that appends it.',
    requires: null,
    warnings: [...memoryWarnings(ground), ...(writers.length > 0 ? [] : [idle]), ...(hasHandlers ? [apart] : [])],
  }
}

function orderingOf(handler: Handler): string {
  const key = handler.key === undefined ? 'partition key' : 'key of its own'
  return `Messages of one ${key} one after the other, each finished before the next begins; of different keys side by side, at most ${handler.concurrency} at once.`
}

function retryOf({ retry, onDeadLetter, timeoutMs }: Handler, app: string): string {
  const then =
    onDeadLetter === 'continue' ? 'later messages of its key go on' : 'later messages of its key wait behind it'
  return `Retries: ${retry.description}; an attempt takes at most ${durationText(timeoutMs)}. Then the message goes to ${deadLetterTopic(app)}, and ${then}.`
}

function memoryWarnings({ capabilities }: Ground): readonly string[] {
  if (capabilities.durability !== 'memory') return []
  return ['Everything is kept in memory: what was acknowledged is gone with the process.']
}

/** What partitions have to do with how a handler spreads over processes. */
function spreadWarnings(handler: Handler, { capabilities }: Ground): readonly string[] {
  const warnings: string[] = []
  const isTogether = togetherOf(handler) === 'all'
  if (capabilities.ownedState === true && handler.state !== undefined && !isTogether) {
    warnings.push(
      'State lives with the partition by which its key comes: if a topic gets more partitions, keys that move begin there without it.',
    )
  }
  if (capabilities.members === 'network' && isTogether) {
    const why =
      handler.key === undefined ? 'Its timers belong to keys of several topics' : 'Its key is not the partition key'
    warnings.push(
      `${why}, so one process at a time works on all its partitions, and the others stand by: it does not get faster with more of them.`,
    )
  }
  return warnings
}
