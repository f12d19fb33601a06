import type { EventStore, StoredEvent } from '../engine/index.ts'
import { OptionsInvalidError, pointCount, timePointMs } from '../kernel/index.ts'

/** A point in the history of one stream. A time is RFC 3339 or milliseconds since 1970, and includes what was appended in it. */
export type StreamPoint = { readonly version: number } | StorePoint

/** A point in the history of the whole event store, or of the topics that a view follows: those know times, no positions. */
export type StorePoint = { readonly position: number } | { readonly time: string | number }

/** @throws OptionsInvalidError `OPTIONS_INVALID` */
export function checkPoint(at: StreamPoint): void {
  const names = typeof at === 'object' && at !== null ? Object.keys(at) : []
  if (names.length === 1 && ['version', 'position', 'time'].includes(names[0] as string)) return
  const problem = `is ${JSON.stringify(at)}, not an object with a version, a position or a time, and nothing else`
  throw new OptionsInvalidError('history', [{ option: 'at', problem }])
}

/** Whether an event of the store belongs to the past of a point. */
export function pointTest(at: StreamPoint | undefined): (event: StoredEvent) => boolean {
  if (at === undefined) return () => true
  checkPoint(at)
  if ('version' in at) {
    const last = pointCount('version', at.version)
    return ({ version }) => version <= last
  }
  if ('position' in at) {
    const last = pointCount('position', at.position)
    return ({ position }) => position <= last
  }
  const timeMs = timePointMs(at.time)
  return ({ timestampMs }) => timestampMs <= timeMs
}

/** The last position that belongs to the past of a point. Times never fall as positions rise. */
export async function lastPositionOf(events: EventStore, at: StorePoint | undefined): Promise<number> {
  if (at === undefined) return Number.POSITIVE_INFINITY
  checkPoint(at)
  if ('position' in at) return pointCount('position', at.position)
  for await (const event of events.readAll({ direction: 'backward', fromTimeMs: timePointMs(at.time), limit: 1 })) {
    return event.position
  }
  return 0
}
