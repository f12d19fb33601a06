import type { Answer, Boundary, Decider } from '../domain/index.ts'
import { nameProblems, OptionsInvalidError, takenNames } from '../kernel/index.ts'
import type { Handler } from '../runtime/index.ts'

/** What a service is made of: what `on`, `decider`, `boundary` and `answer` make. */
export type ServicePart = Handler | Decider | Boundary | Answer

/** A bounded context: it owns its handlers and their state. Made by {@link service}. */
export interface Service {
  readonly name: string
  readonly handlers: readonly Handler[]
  /** Deciders and boundaries: who handles commands by events. */
  readonly deciders: readonly (Decider | Boundary)[]
  readonly answers: readonly Answer[]
}

/**
 * Declares a service. Its handlers share state with nobody, also not among each other; services know each other only by
 * their events.
 *
 * @param name 1 to 100 letters, digits, `_` and `-`; stable over deployments.
 * @throws OptionsInvalidError `OPTIONS_INVALID`, naming all that is wrong. Where two parts have one name, give one the option `name`.
 *
 * @example
 * ```ts
 * export const payment = service('payment', [on(OrderPlaced, charge), on(OrderCancelled, refund)])
 * ```
 */
export function service(name: string, parts: readonly ServicePart[]): Service {
  const problems = nameProblems(name)
  const isPart = (one: unknown): boolean =>
    typeof one === 'object' && one !== null && ('handle' in one || 'kind' in one)
  if (!Array.isArray(parts) || !parts.every(isPart)) {
    problems.push({ option: 'parts', problem: 'is no list of what on(), decider(), boundary() and answer() make' })
  } else problems.push(...takenNames('parts', parts))
  if (problems.length > 0) throw new OptionsInvalidError(`service ${JSON.stringify(name)}`, problems)
  const deciders = parts.filter((part) => 'kind' in part && part.kind !== 'answer')
  return Object.freeze({
    name,
    handlers: Object.freeze(parts.filter((part) => 'handle' in part)),
    deciders: Object.freeze(deciders),
    answers: Object.freeze(parts.filter((part) => 'kind' in part && part.kind === 'answer')),
  })
}
