import { DurationInvalidError } from './errors.ts'
import { timeMsMax } from './iso-time.ts'

/** A length of time: milliseconds as a number, or a number with its unit, such as `'250ms'`, `'15m'`, `'1.5h'`. */
export type Duration = number | `${number}${'ms' | 's' | 'm' | 'h' | 'd'}`

const unitMs: Readonly<Record<string, number>> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 }
const pattern = /^(\d{1,16}(?:\.\d{1,9})?)(ms|s|m|h|d)$/

/** The longest there is, 100,000,000 days: a time that is so much later than another one is still a number of whole milliseconds. */
export const durationMsMax: number = timeMsMax

/**
 * Milliseconds of a {@link Duration}: a whole number from 0 to those of 100,000,000 days.
 *
 * @throws DurationInvalidError `DURATION_INVALID` for anything else, fractions of a millisecond included.
 *
 * @example
 * ```ts
 * durationMs('15m') // 900000
 * ```
 */
export function durationMs(duration: Duration): number {
  const exact = typeof duration === 'number' ? duration : textMs(duration)
  const ms = Math.round(exact)
  // '1.005s' is 1004.9999999999999 in binary; only what is further off was meant as a fraction.
  if (!Number.isSafeInteger(ms) || ms < 0 || ms > durationMsMax || Math.abs(exact - ms) > 1e-6)
    throw new DurationInvalidError(duration)
  return ms
}

function textMs(text: string): number {
  const match = typeof text === 'string' ? pattern.exec(text) : null
  if (match === null) return Number.NaN
  return Number(match[1]) * (unitMs[match[2] as string] as number)
}

/**
 * A number of milliseconds as it can be given again: in the largest unit that takes it whole.
 *
 * @example
 * ```ts
 * durationText(31_536_000_000) // '365d'
 * durationText(1500) // '1500ms'
 * ```
 */
export function durationText(ms: number): Extract<Duration, string> {
  const largest = ms === 0 ? undefined : Object.entries(unitMs).findLast(([, one]) => ms % one === 0)
  return largest === undefined ? `${ms}ms` : (`${ms / largest[1]}${largest[0]}` as Extract<Duration, string>)
}
