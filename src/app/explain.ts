import { ArgumentInvalidError } from '../engine/index.ts'
import type { AppGuarantees, Ground } from './guarantees.ts'
import { handlersOf } from './handler-guarantees.ts'
import type { AppParts } from './parts.ts'
import { type Refusal, refusalsOf, told } from './start-refusals.ts'

const outside =
  'Calls to the outside world belong to no commit: they are made again whenever a handler is run again, after a failed attempt and after a crash. Hand ctx.key on to them, which stays the same.'

/**
 * Works out, from what an engine declares, what each handler of an app may rely on there, and whether the app will start at all.
 *
 * @example
 * ```ts
 * const { refusals, handlers } = explain(shop, embedded({ path: 'shop.db' }))
 * for (const { problem } of refusals) console.log('will not start:', problem)
 * for (const { name, delivery, warnings } of handlers) console.log(name, delivery, warnings)
 * ```
 */
export function explain(app: AppParts, ground: Ground): AppGuarantees {
  if (!Array.isArray(app?.services)) throw new ArgumentInvalidError('the app', 'is none, as app() makes it')
  if (typeof ground?.capabilities !== 'object') {
    throw new ArgumentInvalidError('the engine', 'is none, such as embedded({ path }) makes')
  }
  const worked = handlersOf(app, ground)
  const refusals = refusalsOf(app, ground, worked)
  return {
    app: app.name,
    engine: ground.name,
    refusals: refusals.map(told),
    durability: ground.capabilities.durability,
    outside,
    handlers: worked.map((one) => ({ ...one, refusedBy: refuserOf(one.name, refusals) })),
  }
}

function refuserOf(name: string, refusals: readonly Refusal[]): Refusal['error']['code'] | null {
  return refusals.find(({ because }) => because === 'all' || because.has(name))?.error.code ?? null
}
