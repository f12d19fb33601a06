import { OptionsInvalidError } from '../kernel/index.ts'
import type { Handler } from '../runtime/index.ts'
import { checkName, checkUnique } from './names.ts'

/** A bounded context: it owns its handlers and their state. Made by {@link service}. */
export interface Service {
  readonly name: string
  readonly handlers: readonly Handler[]
}

/**
 * Declares a service. Its handlers share state with nobody, also not among each other; services know each other only by
 * their events.
 *
 * @param name 1 to 100 letters, digits, `_` and `-`; stable over deployments.
 * @throws OptionsInvalidError `OPTIONS_INVALID`, NameInvalidError `NAME_INVALID`, NameTakenError `NAME_TAKEN`: two handlers have one name; give one a `name`.
 *
 * @example
 * ```ts
 * export const payment = service('payment', [on(OrderPlaced, charge), on(OrderCancelled, refund)])
 * ```
 */
export function service(name: string, handlers: readonly Handler[]): Service {
  checkName('service', name)
  const isHandler = (one: unknown): boolean => typeof one === 'object' && one !== null && 'handle' in one
  if (!Array.isArray(handlers) || !handlers.every(isHandler)) {
    const problem = 'is no list of what on() makes'
    throw new OptionsInvalidError(`service ${JSON.stringify(name)}`, [{ option: 'handlers', problem }])
  }
  checkUnique(`handlers of service ${name}`, handlers)
  return Object.freeze({ name, handlers: Object.freeze([...handlers]) })
}
