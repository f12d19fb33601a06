import { OptionsInvalidError } from './errors.ts'
import { isoTime, parseIsoTime } from './iso-time.ts'

const subject = 'a point in history'

/**
 * A point in a history that counts: a version, a position, a number of outcomes.
 *
 * @throws OptionsInvalidError `OPTIONS_INVALID`: it is no whole number from 0
 */
export function pointCount(option: string, count: number): number {
  if (Number.isSafeInteger(count) && count >= 0) return count
  throw new OptionsInvalidError(subject, [{ option, problem: `is ${String(count)}, not a whole number from 0` }])
}

/**
 * A point in time, given as RFC 3339 or as milliseconds since 1970, in milliseconds since 1970.
 *
 * @throws OptionsInvalidError `OPTIONS_INVALID`
 */
export function timePointMs(time: string | number): number {
  const timeMs = typeof time === 'string' ? parseIsoTime(time) : time
  if (timeMs !== undefined && Number.isFinite(timeMs)) return timeMs
  const problem = `is ${JSON.stringify(time)}, not RFC 3339 such as "${isoTime(0)}", nor a number of milliseconds since 1970`
  throw new OptionsInvalidError(subject, [{ option: 'time', problem }])
}
