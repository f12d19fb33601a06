import {
  type Duration,
  durationMs,
  durationMsMax,
  durationText,
  type OptionProblem,
  OptionsInvalidError,
  type Random,
  unknownOptions,
} from '../kernel/index.ts'
import { RetryPolicyFailedError } from './errors.ts'

/** One failed attempt, as a retry policy sees it. */
export interface FailedAttempt {
  readonly error: unknown
  /** 1 for the first. */
  readonly attempt: number
  /** Milliseconds since the first attempt began. */
  readonly elapsedMs: number
  /**
   * What policies count between the attempts at one message, each under names that begin with its `path`: kept with the attempts
   * where the next one is a second away or more. Absent: nothing is kept between them, as for the steps of sagas.
   */
  readonly counts?: Map<string, number>
  /** Where a policy stands within others: empty, or ends with `/`. Default empty. */
  readonly path?: string
}

/** Decides whether and when a message that failed is tried again. */
export interface RetryPolicy {
  /** Milliseconds to wait before the next attempt; `undefined`: give up, the message becomes a dead letter. */
  delayMs(failed: FailedAttempt, random: Random): number | undefined
  /** In words, for people. */
  readonly description: string
}

/** What follows a failed attempt. */
export interface NextAttempt {
  /** Milliseconds until the next one; `undefined`: there is none. */
  readonly delayMs: number | undefined
  /** Why: what the attempt failed with, or that the policy itself did. */
  readonly error: unknown
}

/** What a policy says about a failed attempt. It may be anybody's: one that throws, or answers no length of time, gives up. */
export function nextAttempt(policy: RetryPolicy, failed: FailedAttempt, random: Random): NextAttempt {
  const { error } = failed
  try {
    const delayMs = policy.delayMs(failed, random)
    const isTime = delayMs !== undefined && Number.isFinite(delayMs) && delayMs >= 0
    return { delayMs: isTime ? delayMs : undefined, error }
  } catch (policyError) {
    return { delayMs: undefined, error: new RetryPolicyFailedError(policyError, error) }
  }
}

/** Never try again. */
export const none: RetryPolicy = Object.freeze({ delayMs: () => undefined, description: 'never' })

/**
 * The same pause between all attempts.
 *
 * @throws OptionsInvalidError `OPTIONS_INVALID`
 */
export function fixed(
  options: {
    /** Pause between attempts. Default `'1s'`. */
    readonly delay?: Duration
    /** Attempts in all, the first included: 1 to 1,000,000. Default 5. */
    readonly max?: number
    /** Give up when the next attempt would start later than this after the first. Default: no bound. */
    readonly maxTime?: Duration
  } = {},
): RetryPolicy {
  checkPolicy(options)
  const { delay = '1s', ...bounds } = options
  const problems = unknownOptions(options, ['delay', 'max', 'maxTime'])
  return pausing({ ...bounds, initial: delay, factor: 1, jitter: 0, maxDelay: durationMsMax }, 'delay', problems)
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
  checkPolicy(options)
  return pausing(options, 'initial', unknownOptions(options, exponentialOptions))
}

function checkPolicy(options: unknown): void {
  if (typeof options === 'object' && options !== null) return
  throw new OptionsInvalidError('a retry policy', [{ option: 'options', problem: 'is no object' }])
}

const exponentialOptions = ['initial', 'factor', 'max', 'maxDelay', 'maxTime', 'jitter']

/** @param initialName What the caller calls the first pause. */
function pausing(
  options: ExponentialOptions,
  initialName: 'initial' | 'delay',
  problems: OptionProblem[],
): RetryPolicy {
  const ms = (option: string, value: Duration): number => {
    try {
      return durationMs(value)
    } catch {
      problems.push({ option, problem: `is ${String(value)}, no duration such as 250 or '1.5s'` })
      return 0
    }
  }
  const initialMs = ms(initialName, options.initial ?? '100ms')
  const factor = options.factor ?? 2
  const max = options.max ?? 5
  const maxDelayMs = ms('maxDelay', options.maxDelay ?? '1m')
  const maxTimeMs = options.maxTime === undefined ? Number.POSITIVE_INFINITY : ms('maxTime', options.maxTime)
  const jitter = options.jitter ?? 0.5
  if (!(factor >= 1 && factor <= 100)) problems.push({ option: 'factor', problem: `is ${factor}, not from 1 to 100` })
  if (!(Number.isInteger(max) && max >= 1 && max <= 1_000_000)) {
    problems.push({ option: 'max', problem: `is ${max}, not a whole number from 1 to 1,000,000` })
  }
  if (!(jitter >= 0 && jitter <= 1)) problems.push({ option: 'jitter', problem: `is ${jitter}, not from 0 to 1` })
  if (problems.length > 0) throw new OptionsInvalidError('a retry policy', problems)
  return Object.freeze({
    delayMs: (failed: FailedAttempt, random: Random) => {
      if (failed.attempt >= max) return undefined
      // Powers may reach Infinity, of which nothing is no number any more.
      const pauseMs = initialMs === 0 ? 0 : Math.min(maxDelayMs, initialMs * factor ** (failed.attempt - 1))
      const delayMs = Math.round(pauseMs * (1 - jitter * random.nextFloat()))
      return failed.elapsedMs + delayMs > maxTimeMs ? undefined : delayMs
    },
    description: `up to ${max} attempts, ${factor === 1 ? `${durationText(initialMs)} apart` : `from ${durationText(initialMs)} up to ${durationText(maxDelayMs)} apart`}`,
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
 * Another policy for each kind of error: the first rule that fits decides, else `otherwise`. Each counts the attempts that came
 * to it; for the steps of sagas, which keep one number, all attempts count for each.
 *
 * @param otherwise Default: {@link exponential} with its defaults.
 * @throws OptionsInvalidError `OPTIONS_INVALID`
 *
 * @example
 * ```ts
 * retry: byError([{ on: [TypeError, 'DATA_INVALID'], use: none }], exponential({ max: 8 }))
 * ```
 */
export function byError(rules: readonly ErrorRule[], otherwise: RetryPolicy = exponential()): RetryPolicy {
  if (!Array.isArray(rules)) {
    throw new OptionsInvalidError('a retry policy', [{ option: 'rules', problem: 'is no list' }])
  }
  const kept = (rules as readonly (ErrorRule | undefined)[]).map((rule) => ({
    on: Array.isArray(rule?.on) ? (rule.on as readonly (ErrorClass | string)[]) : [rule?.on as ErrorClass | string],
    use: rule?.use as RetryPolicy,
  }))
  const problems: OptionProblem[] = []
  for (const [index, { on, use }] of kept.entries()) {
    if (!on.every((kind) => typeof kind === 'string' || typeof kind === 'function')) {
      problems.push({ option: `rules[${index}].on`, problem: 'is no class of errors and no code' })
    }
    if (typeof use?.delayMs !== 'function')
      problems.push({ option: `rules[${index}].use`, problem: 'is no retry policy' })
  }
  if (typeof otherwise?.delayMs !== 'function') problems.push({ option: 'otherwise', problem: 'is no retry policy' })
  if (problems.length > 0) throw new OptionsInvalidError('a retry policy', problems)
  return Object.freeze({
    delayMs: (failed: FailedAttempt, random: Random) => {
      const index = kept.findIndex(({ on }) => on.some((kind) => isOfKind(failed.error, kind)))
      const path = `${failed.path ?? ''}${index < 0 ? 'otherwise' : index}/`
      return (kept[index]?.use ?? otherwise).delayMs({ ...failed, attempt: attemptOf(path, failed), path }, random)
    },
    description: `by error; otherwise ${otherwise.description}`,
  })
}

/** Which attempt it is of those that came to a rule. */
function attemptOf(path: string, { attempt, counts }: FailedAttempt): number {
  if (counts === undefined) return attempt
  const count = (counts.get(path) ?? 0) + 1
  counts.set(path, count)
  return count
}

function isOfKind(error: unknown, kind: ErrorClass | string): boolean {
  if (typeof kind === 'string') return (error as { readonly code?: unknown } | null | undefined)?.code === kind
  return error instanceof kind
}
