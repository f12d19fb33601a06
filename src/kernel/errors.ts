/** What a {@link MillraceError} is made of. */
export interface ErrorParts<Code extends string, Details extends object> {
  /** Stable, documented, never reused. Programs switch on it. */
  readonly code: Code
  /** What went wrong, as a sentence. */
  readonly problem: string
  /** What to do about it, as a sentence. */
  readonly remedy: string
  /** The facts behind the sentences, for programs. */
  readonly details: Details
  /** See {@link MillraceError.fault}. */
  readonly fault?: Fault
}

/**
 * What is the matter with whom something was asked of, whatever it was:
 *
 * - `passing`: the same may go well a little later, and nothing of it was done. A running app waits and tries again.
 * - `lasting`: it has to be opened anew, in a program that may have changed. A running app ends.
 */
export type Fault = 'passing' | 'lasting'

/**
 * Base of every error that Millrace throws on purpose.
 *
 * Expected outcomes (an empty poll, a conflict, a duplicate) are return values; what is thrown is a mistake of the
 * caller, damage, or an environment that said no. Each subclass fixes one literal `code`, listed in `docs/errors.md`.
 *
 * @example
 * ```ts
 * try { await engine.topics.create('orders') }
 * catch (error) { if (error instanceof MillraceError && error.code === 'TOPIC_EXISTS') { … } else throw error }
 * ```
 */
export abstract class MillraceError<Code extends string = string, Details extends object = object> extends Error {
  readonly code: Code
  readonly problem: string
  readonly remedy: string
  readonly details: Details
  /** Set where the fault lies with an engine; absent where it lies with what was asked, or nobody can tell. */
  declare readonly fault?: Fault

  protected constructor(parts: ErrorParts<Code, Details>, options?: ErrorOptions) {
    super(`${parts.problem} ${parts.remedy}`, options)
    this.name = new.target.name
    this.code = parts.code
    this.problem = parts.problem
    this.remedy = parts.remedy
    this.details = parts.details
    if (parts.fault !== undefined) this.fault = parts.fault
  }
}

/** One finding about a configuration: which option, and what is wrong with it. */
export interface OptionProblem {
  readonly option: string
  readonly problem: string
}

/** Options that cannot be used; names every bad option at once, not only the first. */
export class OptionsInvalidError extends MillraceError<
  'OPTIONS_INVALID',
  { readonly subject: string; readonly problems: readonly OptionProblem[] }
> {
  constructor(subject: string, problems: readonly OptionProblem[]) {
    super({
      code: 'OPTIONS_INVALID',
      problem: `The options of ${subject} cannot be used: ${problems.map((p) => `${p.option} ${p.problem}`).join('; ')}.`,
      remedy: 'Correct every option named here.',
      details: { subject, problems },
    })
  }
}

/** A call on something that was closed before. */
export class ClosedError extends MillraceError<'CLOSED', { readonly subject: string }> {
  constructor(subject: string) {
    super({
      code: 'CLOSED',
      problem: `${subject} is closed.`,
      remedy: 'Open it again before you use it.',
      details: { subject },
      fault: 'lasting',
    })
  }
}

/** A broken invariant of Millrace itself: never the caller's fault. */
export class InvariantError extends MillraceError<'INVARIANT_BROKEN', { readonly invariant: string }> {
  constructor(invariant: string, options?: ErrorOptions) {
    super(
      {
        code: 'INVARIANT_BROKEN',
        problem: `An invariant of Millrace does not hold: ${invariant}.`,
        remedy: 'This is a fault in Millrace: please report it with this message and its stack.',
        details: { invariant },
        fault: 'lasting',
      },
      options,
    )
  }
}

/** Something that is no {@link Duration}. */
export class DurationInvalidError extends MillraceError<'DURATION_INVALID', { readonly given: string }> {
  constructor(given: unknown) {
    const shown = typeof given === 'string' ? JSON.stringify(given) : String(given)
    super({
      code: 'DURATION_INVALID',
      problem: `${shown} is not a duration.`,
      remedy:
        "Give whole milliseconds as a number, or a number with its unit: '250ms', '15s', '15m', '1h', '7d'; at most 100,000,000 days.",
      details: { given: shown },
    })
  }
}

/** A single request for more bytes than a buffer can ever hold. */
export class ByteBudgetExceededError extends MillraceError<
  'BYTE_BUDGET_EXCEEDED',
  { readonly subject: string; readonly bytes: number; readonly bytesMax: number }
> {
  constructor(subject: string, bytes: number, bytesMax: number) {
    super({
      code: 'BYTE_BUDGET_EXCEEDED',
      problem: `${bytes} bytes at once are more than ${subject} can ever hold (${bytesMax} bytes).`,
      remedy: 'Split the request, or raise the limit.',
      details: { subject, bytes, bytesMax },
    })
  }
}

/** A value that JSON cannot carry, with the place where it stands. */
export class JsonInvalidError extends MillraceError<
  'JSON_INVALID',
  { readonly path: string; readonly reason: string }
> {
  constructor(path: string, reason: string) {
    super({
      code: 'JSON_INVALID',
      problem: `${path} ${reason}.`,
      remedy: 'Use only what JSON can carry: objects, arrays, strings, finite numbers, booleans and null.',
      details: { path, reason },
    })
  }
}

/** Whether the same may go well a little later: what failed did so for the sake of an engine, and nothing of it was done. */
export function isPassing(error: unknown): boolean {
  return error instanceof MillraceError && error.fault === 'passing'
}
