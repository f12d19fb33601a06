import type { Kept } from '../engine/index.ts'
import { MillraceError } from '../kernel/index.ts'
import type { StartRefusal } from './guarantees.ts'

/** Something that was to be published and is no message. */
export class PublishInvalidError extends MillraceError<'PUBLISH_INVALID', { readonly given: string }> {
  constructor(given: unknown) {
    const what = given === null ? 'null' : typeof given === 'object' ? 'an object without a type' : `a ${typeof given}`
    super({
      code: 'PUBLISH_INVALID',
      problem: `What was to be published is no message but ${what}. Nothing was published.`,
      remedy: 'Call the definition to create a message: running.publish(OrderPlaced({ … })).',
      details: { given: what },
    })
  }
}

/** A view that the app does not have. */
export class ViewUnknownError extends MillraceError<'VIEW_UNKNOWN', { readonly view: string; readonly app: string }> {
  constructor(view: string, app: string) {
    super({
      code: 'VIEW_UNKNOWN',
      problem: `App "${app}" has no view "${view}".`,
      remedy: 'Add it to the views of app(), or correct its name.',
      details: { view, app },
    })
  }
}

/** A handler that the app does not have. */
export class HandlerUnknownError extends MillraceError<
  'HANDLER_UNKNOWN',
  { readonly handler: string; readonly app: string }
> {
  constructor(handler: string, app: string) {
    super({
      code: 'HANDLER_UNKNOWN',
      problem: `App "${app}" has no handler "${handler}", or another object of that name.`,
      remedy: 'Add it to a service of the app, and name the very object that is there.',
      details: { handler, app },
    })
  }
}

/** A saga that the app does not have. */
export class SagaUnknownError extends MillraceError<'SAGA_UNKNOWN', { readonly saga: string; readonly app: string }> {
  constructor(saga: string, app: string) {
    super({
      code: 'SAGA_UNKNOWN',
      problem: `App "${app}" has no saga "${saga}".`,
      remedy: 'Add it to the sagas of app(), or correct its name.',
      details: { saga, app },
    })
  }
}

/** Handlers ask for more than the ground gives. */
export class GuaranteeMissingError extends MillraceError<
  'GUARANTEE_MISSING',
  { readonly engine: string; readonly handlers: readonly { readonly name: string; readonly because: string }[] }
> {
  constructor(engine: string, handlers: readonly { readonly name: string; readonly because: string }[]) {
    const list = handlers.map(({ name, because }) => `${name} (${because})`).join('; ')
    super({
      code: 'GUARANTEE_MISSING',
      problem: `On ${engine} these handlers would not be exactly-once, as they require: ${list}.`,
      remedy: 'Choose another deployment, or leave out their option "requires"; "millrace explain" tells all.',
      details: { engine, handlers },
    })
  }
}

/** A command or query that a group of another app handles already. */
export interface TakenHandler {
  readonly type: string
  /** Consumer group that handles it. */
  readonly group: string
  /** The one that would, too. */
  readonly by: string
}

/** Two apps on one engine that both handle a command or query, of which each has one handler. */
export class HandlerTakenError extends MillraceError<'HANDLER_TAKEN', { readonly taken: readonly TakenHandler[] }> {
  constructor(taken: readonly TakenHandler[]) {
    const list = taken.map(({ type, group, by }) => `${type} by ${group}, and here by ${by}`)
    super({
      code: 'HANDLER_TAKEN',
      problem: `Another app that runs on this engine handles what this one would, too: ${list.join('; ')}. A command or query has one handler.`,
      remedy:
        'Give it to one of the two, and name it in the option remote of the other. Where the handler has moved, stop the app that had it first; one that was killed counts until its session is over.',
      details: { taken },
    })
  }
}

/** A command or query that nobody is known to handle. */
export class HandlerMissingError extends MillraceError<
  'HANDLER_MISSING',
  { readonly type: string; readonly app: string; readonly because: string }
> {
  constructor(type: string, app: string, because: string) {
    super({
      code: 'HANDLER_MISSING',
      problem: `App "${app}" cannot have ${type} handled: ${because}.`,
      remedy:
        'Add a decider, boundary, handler or answer for it to a service, or list it under remote if another app handles it.',
      details: { type, app, because },
    })
  }
}

/** Nobody answered in time. */
export class AskTimeoutError extends MillraceError<
  'ASK_TIMEOUT',
  { readonly type: string; readonly id: string; readonly timeoutMs: number }
> {
  constructor(type: string, id: string, timeoutMs: number) {
    super({
      code: 'ASK_TIMEOUT',
      problem: `Nobody answered ${type} ${id} within ${timeoutMs} ms. A command may take effect all the same.`,
      remedy: 'See whether the app that handles it runs; ask again with the same message, which takes effect once.',
      details: { type, id, timeoutMs },
    })
  }
}

/** The handler in another app failed. */
export class AskFailedError extends MillraceError<
  'ASK_FAILED',
  { readonly type: string; readonly id: string; readonly error: string; readonly problem: string }
> {
  constructor(type: string, id: string, error: string, problem: string) {
    super({
      code: 'ASK_FAILED',
      problem: `The app that handles ${type} failed with ${error}: ${problem.replace(/[.!?]?$/, (end) => end || '.')}`,
      remedy: 'Correct what it says, then ask again.',
      details: { type, id, error, problem },
    })
  }
}

/** Deciders or inline views on an engine that keeps no event store, or does not commit it together with state. */
export class StoreMissingError extends MillraceError<
  'STORE_MISSING',
  {
    readonly engine: string
    /** Inline views among them, as `view <name>`. */
    readonly deciders: readonly string[]
  }
> {
  constructor(engine: string, deciders: readonly string[]) {
    super({
      code: 'STORE_MISSING',
      problem: `${deciders.join(', ')} cannot run on ${engine}: it does not keep an event store that it commits together with state.`,
      remedy: 'Add a store: deployment({ topics, store }) with the embedded engine or PostgreSQL as the store.',
      details: { engine, deciders },
    })
  }
}

/** A decider that no service of the app has. */
export class DeciderUnknownError extends MillraceError<
  'DECIDER_UNKNOWN',
  { readonly decider: string; readonly app: string }
> {
  constructor(decider: string, app: string) {
    super({
      code: 'DECIDER_UNKNOWN',
      problem: `App "${app}" has no decider "${decider}".`,
      remedy: 'Pass the very decider that is part of one of its services.',
      details: { decider, app },
    })
  }
}

/** The engine does not keep what a part of the app needs. */
export class EngineLacksError extends MillraceError<
  'ENGINE_LACKS',
  { readonly engine: string; readonly missing: readonly { readonly kept: Kept; readonly neededBy: string }[] }
> {
  constructor(engine: string, missing: readonly { readonly kept: Kept; readonly neededBy: string }[]) {
    const list = missing.map(({ kept, neededBy }) => `${kept} for ${neededBy}`).join(', ')
    super({
      code: 'ENGINE_LACKS',
      problem: `The app cannot run on ${engine}, which does not keep what it needs: ${list}.`,
      remedy:
        'Compose it with an engine that does: deployment({ topics, store: postgres({ … }) }), or choose another one.',
      details: { engine, missing },
    })
  }
}

/** An app that will not start on its ground for several reasons; for a single one, the error of that reason is thrown. */
export class StartRefusedError extends MillraceError<
  'START_REFUSED',
  {
    readonly app: string
    readonly engine: string
    /** All of them, as `explain()` tells them. */
    readonly refusals: readonly StartRefusal[]
  }
> {
  constructor(app: string, engine: string, refusals: readonly StartRefusal[]) {
    super({
      code: 'START_REFUSED',
      problem: `App "${app}" will not start, for ${refusals.length} reasons. ${refusals.map(({ code, problem }) => `${code}: ${problem}`).join(' ')}`,
      remedy: `Mend all of them. ${refusals.map(({ code, remedy }) => `${code}: ${remedy}`).join(' ')}`,
      details: { app, engine, refusals },
    })
  }
}
