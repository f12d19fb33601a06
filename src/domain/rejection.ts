import { frozenJson, type Json } from '../kernel/index.ts'

/** The answer of a decider that a command is refused: an expected outcome, not an error. Made by {@link reject}. */
export interface Rejection<Code extends string = string> {
  readonly kind: 'rejected'
  /** For programs. */
  readonly code: Code
  /** For people. */
  readonly reason: string
  /** The facts behind it, for programs. */
  readonly details: Json
}

/**
 * Refuses a command. Nothing is appended; whoever asked gets the rejection as a value, and gets the same again when the command
 * is repeated.
 *
 * @param code For programs, such as `OVERDRAWN`; the codes of a decider are part of its type.
 * @param reason For people. Default: the code.
 * @param details JSON: the facts behind it. Default `null`.
 * @throws JsonInvalidError `JSON_INVALID`: the details are no JSON.
 *
 * @example
 * ```ts
 * if (command.data.amount > state.balance) return reject('OVERDRAWN', 'The balance is too low.', { balance: state.balance })
 * ```
 */
export function reject<const Code extends string>(
  code: Code,
  reason: string = code,
  details: Json = null,
): Rejection<Code> {
  return Object.freeze({ kind: 'rejected', code, reason, details: frozenJson(details, 'details') })
}

/** Whether a decision is a rejection. */
export function isRejection(decision: unknown): decision is Rejection {
  return (
    typeof decision === 'object' &&
    decision !== null &&
    (decision as { readonly kind?: unknown }).kind === 'rejected' &&
    typeof (decision as { readonly code?: unknown }).code === 'string'
  )
}
