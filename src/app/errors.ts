import type { Kept } from '../engine/index.ts'
import { MillraceError } from '../kernel/index.ts'

/** A name that cannot be part of topic and group names. */
export class NameInvalidError extends MillraceError<'NAME_INVALID', { readonly kind: string; readonly name: string }> {
  constructor(kind: string, name: unknown) {
    super({
      code: 'NAME_INVALID',
      problem: `${JSON.stringify(String(name).slice(0, 200))} cannot be the name of a ${kind}.`,
      remedy: 'Use 1 to 100 letters, digits, "_" and "-", beginning with a letter or digit.',
      details: { kind, name: String(name) },
    })
  }
}

/** Two things with one name where names must differ. */
export class NameTakenError extends MillraceError<'NAME_TAKEN', { readonly place: string; readonly name: string }> {
  constructor(place: string, name: string) {
    super({
      code: 'NAME_TAKEN',
      problem: `Two of the ${place} are named "${name}".`,
      remedy: 'Give one of them another name: a handler takes the option name, which keeps its place and state.',
      details: { place, name },
    })
  }
}

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
