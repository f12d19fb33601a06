import type { Kept } from '../engine/index.ts'
import { commitsTogether, needsTimers } from './bridging.ts'
import { EngineLacksError, GuaranteeMissingError, StartRefusedError, StoreMissingError } from './errors.ts'
import type { Ground, StartRefusal } from './guarantees.ts'
import { handlersOf, type Worked } from './handler-guarantees.ts'
import type { AppParts } from './parts.ts'

/** Why the start of an app would be refused on given ground, and the names of those who are the reason. */
export interface Refusal {
  readonly error: EngineLacksError | GuaranteeMissingError | StoreMissingError
  /** `'all'`: everything in the app. */
  readonly because: ReadonlySet<string> | 'all'
}

/** What `start()` throws and `explain()` tells: empty where the ground has what the app needs. */
export function refusalsOf(
  app: AppParts,
  ground: Ground,
  handlers: readonly Worked[] = handlersOf(app, ground),
): readonly Refusal[] {
  return [lacking(app, ground), belowRequired(ground, handlers), withoutStore(app, ground)].filter(
    (one) => one !== undefined,
  )
}

/** Refuses the start of an app with all reasons together. @throws EngineLacksError, GuaranteeMissingError, StoreMissingError, StartRefusedError */
export function refuseStart(app: AppParts, ground: Ground): void {
  const [first, ...others] = refusalsOf(app, ground)
  if (first === undefined) return
  if (others.length === 0) throw first.error
  throw new StartRefusedError(app.name, ground.name, [first, ...others].map(told))
}

/** A refusal as users are told of it. */
export function told({ error: { code, problem, remedy } }: Refusal): StartRefusal {
  return { code, problem, remedy }
}

const everyApp = 'every app'

/** The engine does not keep what the app needs. */
function lacking(app: AppParts, { name, capabilities }: Ground): Refusal | undefined {
  const isMissing = (kept: Kept): boolean => !capabilities.keeps.includes(kept)
  const basic = (['topics', 'progress', 'state'] as const).filter(isMissing)
  const timed = app.services.flatMap(({ name: service, handlers }) =>
    handlers.filter(needsTimers).map((handler) => `${service}.${handler.name}`),
  )
  for (const saga of app.sagas) timed.push(`saga ${saga.name}`)
  const missing = [
    ...basic.map((kept) => ({ kept, neededBy: everyApp })),
    ...(isMissing('timers') ? timed.map((neededBy) => ({ kept: 'timers' as const, neededBy })) : []),
  ]
  if (missing.length === 0) return undefined
  return { error: new EngineLacksError(name, missing), because: basic.length > 0 ? 'all' : new Set(timed) }
}

/** Handlers ask for more than they would get. */
function belowRequired({ name: engine }: Ground, handlers: readonly Worked[]): Refusal | undefined {
  const missing = handlers.flatMap((handler) => {
    const { name, requires, delivery, deliveryBecause, publications, publicationsBecause } = handler
    if (requires === null) return []
    if (delivery !== requires) return [{ name, because: deliveryBecause }]
    return publications === requires ? [] : [{ name, because: publicationsBecause }]
  })
  if (missing.length === 0) return undefined
  return { error: new GuaranteeMissingError(engine, missing), because: new Set(missing.map(({ name }) => name)) }
}

/** Deciders need an event store and state that one commit changes together, and so do views that are changed in these commits. */
function withoutStore(app: AppParts, ground: Ground): Refusal | undefined {
  const users = [
    ...app.services.flatMap(({ name, deciders }) => deciders.map((decider) => `${name}.${decider.name}`)),
    ...app.views.filter(({ inline }) => inline).map(({ name }) => `view ${name}`),
  ]
  if (users.length === 0 || commitsTogether(ground, ['events', 'state'])) return undefined
  return { error: new StoreMissingError(ground.name, users), because: new Set(users) }
}
