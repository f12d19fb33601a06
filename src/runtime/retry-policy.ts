import { type Duration, durationMs, type OptionProblem, OptionsInvalidError, type Random } from '../kernel/index.ts'

/** One failed attempt, as a retry policy sees it. */
export interface FailedAttempt {
  readonly error: unknown
  /** 1 for the first. */
  readonly attempt: number
  /** Milliseconds since the first attempt began. */
  readonly elapsedMs: number
}

/** Decides whether and when a message that failed is tried again. */
export interface RetryPolicy {
  /** Milliseconds to wait before the next attempt; `undefined`: give up, the message becomes a dead letter. */
  delayMs(failed: FailedAttempt, random: Random): number | undefined
  /** In words, for people. */
  readonly description: string
}

/** Never try again. */
export const none: RetryPolicy = Object.freeze({ delayMs: () => undefined, description: 'never' })

/**
 * The same pause between all attempts.
 *
 * @throws OptionsInvalidError `OPTIONS_INVALID`
 */
export function fixed(options: {
  /** Pause between attempts. Default `'1s'`. */
  readonly delay?: Duration
  /** Attempts in all, the first included: 1 to 1,000,000. Default 5. */
  readonly max?: number
  /** Give up when the next attempt would start later than this after the first. Default: no bound. */
  readonly maxTime?: Duration
}): RetryPolicy {
  return exponential({
    initial: options.delay ?? '1s',
    factor: 1,
    jitter: 0,
    maxDelay: options.delay ?? '1s',
    ...(options.max !== undefined && { max: options.max }),
    ...(options.maxTime !== undefined && { maxTime: options.maxTime }),
  })
}

/** Options of {@link exponential}. */
export interface ExponentialOptions {
  /** Pause after the first attempt. Default `'100ms'`. */
  readonly initial?: Duration
  /** Each pause is this many times the one before, 1 to 100. Default 2. */
  readonly factor?: number
  /** Attempts in all, the first included: 1 to 1,000,000. Default 5. */
  readonly max?: number
  /** Longest pause. Default `'1m'`. */
  readonly maxDelay?: Duration
  /** Give up when the next attempt would start later than this after the first. Default: no bound. */
  readonly maxTime?: Duration
  /** Share of each pause that is left to chance, 0 to 1: 0.5 waits between half the pause and all of it. Default 0.5. */
  readonly jitter?: number
}

/**
 * Longer and longer pauses, with some randomness so that those who failed together do not come back together.
 *
 * @throws OptionsInvalidError `OPTIONS_INVALID`
 *
 * @example
 * ```ts
 * on(OrderPlaced, { retry: exponential({ initial: '200ms', max: 8, maxTime: '5m' }) }, charge)
 * ```
 */
export function exponential(options: ExponentialOptions = {}): RetryPolicy {
  const initialMs = durationMs(options.initial ?? '100ms')
  const factor = options.factor ?? 2
  const max = options.max ?? 5
  const maxDelayMs = durationMs(options.maxDelay ?? '1m')
  const maxTimeMs = options.maxTime === undefined ? Number.POSITIVE_INFINITY : durationMs(options.maxTime)
  const jitter = options.jitter ?? 0.5
  const problems: OptionProblem[] = []
  if (!(factor >= 1 && factor <= 100)) problems.push({ option: 'factor', problem: `is ${factor}, not from 1 to 100` })
  if (!(Number.isInteger(max) && max >= 1 && max <= 1_000_000)) {
    problems.push({ option: 'max', problem: `is ${max}, not a whole number from 1 to 1,000,000` })
  }
  if (!(jitter >= 0 && jitter <= 1)) problems.push({ option: 'jitter', problem: `is ${jitter}, not from 0 to 1` })
  if (problems.length > 0) throw new OptionsInvalidError('a retry policy', problems)
  return Object.freeze({
    delayMs: (failed: FailedAttempt, random: Random) => {
      if (failed.attempt >= max) return undefined
      const pauseMs = Math.min(maxDelayMs, initialMs * factor ** (failed.attempt - 1))
      const delayMs = Math.round(pauseMs * (1 - jitter * random.nextFloat()))
      return failed.elapsedMs + delayMs > maxTimeMs ? undefined : delayMs
    },
    description: `up to ${max} attempts, ${factor === 1 ? `${initialMs} ms apart` : `from ${initialMs} ms up to ${maxDelayMs} ms apart`}`,
  })
}

/** Class of errors, as `instanceof` takes it. */
export type ErrorClass = abstract new (...args: never[]) => Error

/** A rule of {@link byError}: which errors, and what to do about them. */
export interface ErrorRule {
  /** Classes of errors, or the `code` that they carry. */
  readonly on: ErrorClass | string | readonly (ErrorClass | string)[]
  readonly use: RetryPolicy
}

/**
 * Another policy for each kind of error: the first rule that fits decides, else `otherwise`.
 *
 * @param otherwise Default: {@link exponential} with its defaults.
 *
 * @example
 * ```ts
 * retry: byError([{ on: [TypeError, 'DATA_INVALID'], use: none }], exponential({ max: 8 }))
 * ```
 */
export function byError(rules: readonly ErrorRule[], otherwise: RetryPolicy = exponential()): RetryPolicy {
  const kept = rules.map((rule) => ({
    on: Array.isArray(rule.on) ? (rule.on as readonly (ErrorClass | string)[]) : [rule.on as ErrorClass | string],
    use: rule.use,
  }))
  return Object.freeze({
    delayMs: (failed: FailedAttempt, random: Random) => {
      const rule = kept.find((candidate) => candidate.on.some((kind) => isOfKind(failed.error, kind)))
      return (rule?.use ?? otherwise).delayMs(failed, random)
    },
    description: `by error; otherwise ${otherwise.description}`,
  })
}

function isOfKind(error: unknown, kind: ErrorClass | string): boolean {
  if (typeof kind === 'string') return (error as { readonly code?: unknown } | null | undefined)?.code === kind
  return error instanceof kind
}
