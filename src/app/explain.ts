import { type Boundary, type Decider, idleHandler, type View } from '../domain/index.ts'
import type { Capabilities, Kept } from '../engine/index.ts'
import { deadLetterTopic, type Handler, togetherOf, topicsOf } from '../runtime/index.ts'
import { sagaHandler } from '../saga/index.ts'
import type { AppParts } from './parts.ts'

/** How often the effects of one message become real. */
export type Delivery = 'exactly-once' | 'at-least-once'

/** What a handler or view may rely on, on given ground, and why. */
export interface HandlerGuarantees {
  /** `<service>.<handler>`, `view <name>` or `saga <name>`. */
  readonly name: string
  readonly source: { readonly events: readonly string[]; readonly topics: readonly string[]; readonly engine: string }
  /** What one commit of which engine makes real together. */
  readonly commits: readonly { readonly engine: string; readonly holds: readonly string[] }[]
  /** State, timers and progress. */
  readonly delivery: Delivery
  readonly deliveryBecause: string
  /** What it publishes. */
  readonly publications: Delivery
  readonly publicationsBecause: string
  readonly ordering: string
  readonly retry: string
  /** For how long a message id is remembered, in milliseconds; `null`: it is not. */
  readonly dedupeWindowMs: number | null
  readonly deduplication: string
  /** What it asks for. */
  readonly requires: 'exactly-once' | null
  /** Where the ground gives less than one would expect, or than it asks for. */
  readonly warnings: readonly string[]
}

/** What an app may rely on. */
export interface AppGuarantees {
  readonly app: string
  /** Name of the engine, or of those that were composed. */
  readonly engine: string
  readonly durability: Capabilities['durability']
  readonly handlers: readonly HandlerGuarantees[]
}

/** Ground as far as guarantees go: an engine, open or not. */
export interface Ground {
  readonly name: string
  readonly capabilities: Capabilities
}

/**
 * Works out, from what an engine declares, what each handler of an app may rely on there.
 *
 * @example
 * ```ts
 * for (const { name, delivery, warnings } of explain(shop, embedded({ path: 'shop.db' })).handlers) {
 *   console.log(name, delivery, warnings)
 * }
 * ```
 */
export function explain(app: AppParts, ground: Ground): AppGuarantees {
  const handlers = app.services.flatMap((service) =>
    service.handlers.map((handler) => guaranteesOf(`${service.name}.${handler.name}`, handler, app.name, ground)),
  )
  const deciders = app.services.flatMap((service) =>
    service.deciders.map((decider) =>
      deciderGuarantees(`${service.name}.${decider.name}`, decider, idleHandler(decider), app, ground),
    ),
  )
  const views = app.views.map((view) =>
    view.inline
      ? inlineGuarantees(view, app, ground)
      : guaranteesOf(`view ${view.name}`, view.handler, app.name, ground),
  )
  const sagas = app.sagas.map((saga) =>
    guaranteesOf(`saga ${saga.name}`, sagaHandler(saga, { app: app.name }), app.name, ground),
  )
  const { durability } = ground.capabilities
  return { app: app.name, engine: ground.name, durability, handlers: [...handlers, ...deciders, ...views, ...sagas] }
}

/** What an app needs and an engine does not keep; empty: it can run there. */
export function lackingFor(app: AppParts, { capabilities }: Ground): readonly { kept: Kept; neededBy: string }[] {
  const isMissing = (kept: Kept): boolean => !capabilities.keeps.includes(kept)
  const missing = (['topics', 'progress', 'state'] as const).filter(isMissing)
  const timed = app.services.flatMap(({ name, handlers }) =>
    handlers.filter(needsTimers).map((handler) => `${name}.${handler.name}`),
  )
  for (const { name } of app.sagas) timed.push(`saga ${name}`)
  return [
    ...missing.map((kept) => ({ kept, neededBy: 'every app' })),
    ...(isMissing('timers') ? timed.map((neededBy) => ({ kept: 'timers' as const, neededBy })) : []),
  ]
}

function needsTimers(handler: Handler): boolean {
  return Object.keys(handler.timers).length > 0
}

function guaranteesOf(name: string, handler: Handler, app: string, ground: Ground): HandlerGuarantees {
  const topics = topicsOf(handler.events)
  const bridging = bridgingOf(handler, ground)
  const { dedupeWindowMs, requires } = handler
  const hasOwnKey = handler.key !== undefined
  const warnings: string[] = []
  if (ground.capabilities.durability === 'memory') {
    warnings.push('Everything is kept in memory: what was acknowledged is gone with the process.')
  }
  if (requires === 'exactly-once' && (bridging.delivery !== requires || bridging.publications !== requires)) {
    warnings.push('It requires exactly-once, which this ground does not give: the app will not start.')
  }
  if (needsTimers(handler) && !ground.capabilities.keeps.includes('timers')) {
    warnings.push(`It has timers, which ${ground.name} does not keep: the app will not start.`)
  }
  if (ground.capabilities.ownedState === true && handler.state !== undefined && togetherOf(handler) !== 'all') {
    const what = 'State lives with the partition by which its key comes'
    warnings.push(`${what}: if a topic gets more partitions, keys that move begin there without it.`)
  }
  if (ground.capabilities.members === 'network' && togetherOf(handler) === 'all') {
    warnings.push(
      `${hasOwnKey ? 'Its key is not the partition key' : 'Its timers belong to keys of several topics'}, so one process at a time works on all its partitions, and the others stand by: it does not get faster with more of them.`,
    )
  }
  return {
    name,
    source: {
      events: handler.events.map((definition) => definition.type),
      topics,
      engine: ground.capabilities.bridge?.topics ?? ground.name,
    },
    ...bridging,
    ordering: `Messages of one ${hasOwnKey ? 'key of its own' : 'partition key'} one after the other, each finished before the next begins; of different keys side by side, at most ${handler.concurrency} at once.`,
    retry: retryOf(handler, app),
    dedupeWindowMs: dedupeWindowMs ?? null,
    deduplication:
      dedupeWindowMs === undefined
        ? 'A message that its source publishes twice is handled twice: ids are not remembered.'
        : `A message id is handled once within ${dedupeWindowMs} ms at least.`,
    requires: requires ?? null,
    warnings,
  }
}

/** Of commands that are sent; those that are asked in this process take the short way, by the same commit without progress. */
function deciderGuarantees(
  name: string,
  decider: Decider | Boundary,
  handler: Handler,
  app: AppParts,
  ground: Ground,
): HandlerGuarantees {
  const sent = guaranteesOf(name, handler, app.name, ground)
  const what = decider.kind === 'decider' ? 'its stream is as it was read' : 'nothing that it read has changed'
  return {
    ...sent,
    commits: sent.commits.map((commit, index) =>
      index === 0 ? { ...commit, holds: ['events', 'outcome', ...commit.holds] } : commit,
    ),
    ordering: `${sent.ordering} Events are appended only if ${what}; else the command is decided anew.`,
    dedupeWindowMs: decider.rememberMs,
    deduplication: `The outcome of a command is remembered by its id for ${decider.rememberMs} ms at least: the same command again has the same outcome and no effect.`,
  }
}

function inlineGuarantees(view: View, app: AppParts, ground: Ground): HandlerGuarantees {
  const { handler } = view
  const writers = app.services.flatMap(({ name, deciders }) =>
    deciders
      .filter(({ events }) => events.some(({ type }) => handler.events.some((one) => one.type === type)))
      .map((decider) => `${name}.${decider.name}`),
  )
  const because = `it is changed in the commits of ${sentence(writers) || 'no decider of this app'}`
  const told = guaranteesOf(`view ${view.name}`, handler, app.name, ground)
  return {
    ...told,
    source: { ...told.source, topics: [] },
    commits: [{ engine: ground.capabilities.bridge?.store ?? ground.name, holds: ['events', 'state'] }],
    delivery: 'exactly-once',
    deliveryBecause: because,
    publications: 'exactly-once',
    publicationsBecause: 'it publishes nothing',
    ordering:
      'In the order in which the events are appended: whoever gets the outcome of a command reads what it changed.',
    retry: 'An event that it cannot take fails its command.',
    warnings:
      writers.length > 0
        ? told.warnings
        : [...told.warnings, 'No decider of this app appends its events, so it stays as it is.'],
  }
}

type Bridging = Pick<
  HandlerGuarantees,
  'commits' | 'delivery' | 'deliveryBecause' | 'publications' | 'publicationsBecause'
>

/** How the atomic domains that a handler touches are brought together. */
function bridgingOf(handler: Handler, { name, capabilities }: Ground): Bridging {
  const own = ['progress', 'state', ...(needsTimers(handler) ? ['timers'] : [])] as const
  const holds = (kinds: readonly string[]): boolean =>
    capabilities.atomic.some((domain) => kinds.every((kind) => domain.some((kept) => kept === kind)))
  const words = own.map((kind) => (kind === 'state' && handler.state === undefined ? 'dead letters' : kind))
  if (holds([...own, 'topics'])) {
    const because = `its progress, ${sentence(words.slice(1))} and what it publishes are one commit of ${name}, whole or not at all`
    return {
      commits: [{ engine: name, holds: [...words, 'publications'] }],
      delivery: 'exactly-once',
      deliveryBecause: because,
      publications: 'exactly-once',
      publicationsBecause: because,
    }
  }
  const { bridge } = capabilities
  if (bridge !== undefined && holds(own)) {
    return {
      commits: [
        { engine: bridge.store, holds: [...words, 'outbox'] },
        { engine: bridge.topics, holds: ['publications', 'mark of the relay'] },
      ],
      delivery: 'exactly-once',
      deliveryBecause: `its progress on ${bridge.topics} is kept in ${bridge.store}, in one commit with its ${sentence(words.slice(1))}`,
      publications: bridge.delivery,
      publicationsBecause:
        bridge.delivery === 'exactly-once'
          ? `they stand in that commit too, in an outbox, and a relay brings them to ${bridge.topics} in one commit with how far it is`
          : `they stand in that commit too, in an outbox, but ${bridge.topics} cannot keep how far the relay is in one commit with them: after a crash some come again, under the same ids`,
    }
  }
  const because = `${name} does not commit progress and ${sentence(words.slice(1))} together: after a crash a message may be handled again`
  return {
    commits: capabilities.atomic.map((domain) => ({ engine: name, holds: domain })),
    delivery: 'at-least-once',
    deliveryBecause: because,
    publications: 'at-least-once',
    publicationsBecause: because,
  }
}

function retryOf({ retry, onDeadLetter, timeoutMs }: Handler, app: string): string {
  const then =
    onDeadLetter === 'continue' ? 'later messages of its key go on' : 'later messages of its key wait behind it'
  return `Retries: ${retry.description}; an attempt takes at most ${timeoutMs} ms. Then the message goes to ${deadLetterTopic(app)}, and ${then}.`
}

function sentence(words: readonly string[]): string {
  return words.length <= 1 ? words.join('') : `${words.slice(0, -1).join(', ')} and ${words.at(-1)}`
}
