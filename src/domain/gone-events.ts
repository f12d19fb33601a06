import type { EventStore, Topics } from '../engine/index.ts'
import { OptionsInvalidError } from '../kernel/index.ts'
import { HistoryIncompleteError } from './errors.ts'

/**
 * What to do where events are gone, be it that streams were deleted, that their books were closed or that a topic keeps them no longer:
 * `refuse` (default), or `pass-over` them and make the state of those that are left.
 */
export type GoneEvents = 'refuse' | 'pass-over'

const streamPageSize = 1000

/** Whether events that are gone are passed over. @throws OptionsInvalidError `OPTIONS_INVALID` */
function isPassedOver(gone: GoneEvents | undefined): boolean {
  if (gone === undefined || gone === 'refuse' || gone === 'pass-over') return gone === 'pass-over'
  const problem = `is ${JSON.stringify(gone)}, not refuse or pass-over`
  throw new OptionsInvalidError('history', [{ option: 'gone', problem }])
}

/**
 * Nobody knows what was in events that are gone: whatever is made of all events of the store would be wrong in silence.
 *
 * @throws HistoryIncompleteError `HISTORY_INCOMPLETE`
 */
export async function refuseIfStreamsGone(
  events: EventStore,
  what: string,
  gone: GoneEvents | undefined,
): Promise<void> {
  if (isPassedOver(gone)) return
  let after: string | undefined
  for (;;) {
    const page = await events.listStreams({ limit: streamPageSize, ...(after !== undefined && { after }) })
    const found = page.find(
      ({ truncatedBefore, deletedAt, tombstoned }) => truncatedBefore > 1 || deletedAt > 0 || tombstoned,
    )
    if (found !== undefined) throw new HistoryIncompleteError(what, { stream: found.stream })
    after = page.at(-1)?.stream
    if (page.length < streamPageSize) return
  }
}

/**
 * The same of what is made of topics: those that begin later than at their first record, or that keep the last record of a key only.
 *
 * @throws HistoryIncompleteError `HISTORY_INCOMPLETE`
 */
export async function refuseIfRecordsGone(
  topics: Topics,
  what: string,
  names: readonly string[],
  gone: GoneEvents | undefined,
): Promise<void> {
  if (isPassedOver(gone)) return
  for (const name of names) {
    const found = await topics.describe(name)
    if (found === undefined) continue
    const isCut = found.config.cleanup !== 'delete' || found.partitions.some(({ earliest }) => earliest > 0)
    if (isCut) throw new HistoryIncompleteError(what, { topic: name })
  }
}
