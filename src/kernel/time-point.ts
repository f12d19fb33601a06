import { OptionsInvalidError } from './errors.ts'
import { isoTime, parseIsoTime } from './iso-time.ts'

/**
 * A point in time, given as RFC 3339 or as milliseconds since 1970, in milliseconds since 1970.
 *
 * @throws OptionsInvalidError `OPTIONS_INVALID`
 */
export function timePointMs(time: string | number): number {
  const timeMs = typeof time === 'string' ? parseIsoTime(time) : time
  if (timeMs !== undefined && Number.isFinite(timeMs)) return timeMs
  const problem = `is ${JSON.stringify(time)}, not RFC 3339 such as "${isoTime(0)}", nor a number of milliseconds since 1970`
  throw new OptionsInvalidError('a point in history', [{ option: 'time', problem }])
}
