/** The last time that a `Date` can tell, in milliseconds since 1970. */
export const timeMsMax = 8_640_000_000_000_000

let lastMs = Number.NaN
let lastText = ''

/**
 * A wall-clock time as ISO 8601 text with milliseconds, in UTC: `2026-01-01T00:00:00.000Z`.
 *
 * Many messages share a millisecond, so the last text is kept.
 */
export function isoTime(timeMs: number): string {
  if (timeMs !== lastMs) {
    lastText = new Date(timeMs).toISOString()
    lastMs = timeMs
  }
  return lastText
}

const rfc3339 = /^\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(?:\.\d{1,9})?(?:[Zz]|[+-]\d\d:\d\d)$/

/**
 * Milliseconds since 1970 of an RFC 3339 timestamp (§5.6), or `undefined` if the text is none.
 *
 * Digits beyond milliseconds are cut off. A leap second (`:60`) counts as the second before it.
 */
export function parseIsoTime(text: string): number | undefined {
  if (!rfc3339.test(text)) return undefined
  const upper = text.toUpperCase().replace(/(T\d\d:\d\d):60/, '$1:59')
  const timeMs = Date.parse(upper)
  if (Number.isNaN(timeMs)) return undefined
  // Date.parse turns February 30th into March 2nd.
  const dayMs = Date.parse(`${upper.slice(0, 10)}T00:00:00Z`)
  return new Date(dayMs).toISOString().startsWith(upper.slice(0, 10)) ? timeMs : undefined
}
