import { readSlot, type SlotState } from './catalog.ts'
import {
  CaptureDatabaseChangedError,
  CaptureLogDivergedError,
  CapturePositionLostError,
  CaptureRefusedError,
  CaptureSlotMissingError,
  CaptureSlotUnusableError,
  CaptureWalLevelError,
} from './errors.ts'
import { readFlushedLsn } from './log-end.ts'
import { lsnText } from './lsn.ts'
import type { PgClient } from './pg-client.ts'
import type { Place, Position } from './place.ts'
import type { ServerLog } from './server-log.ts'

/** What the statements here need came with this version. */
const versionMin = 14

/** @throws CaptureRefusedError, CaptureWalLevelError */
export async function checkServer(client: PgClient): Promise<void> {
  const text = `SELECT current_setting('server_version_num') AS number, current_setting('server_version') AS version,
    current_setting('wal_level') AS wal_level`
  const [row] = (await client.query(text)).rows
  if (Number(row?.['number']) < versionMin * 10_000) {
    throw new CaptureRefusedError('0A000', `PostgreSQL ${row?.['version']} is older than ${versionMin}`)
  }
  if (row?.['wal_level'] !== 'logical') throw new CaptureWalLevelError(String(row?.['wal_level']))
}

/** @throws CaptureSlotMissingError, CaptureSlotUnusableError */
export async function checkSlot(client: PgClient, slot: string, place: () => Promise<Place>): Promise<SlotState> {
  const state = await readSlot(client, slot)
  if (state === undefined) {
    const { position } = await place()
    throw new CaptureSlotMissingError(slot, position === undefined ? null : lsnText(position.lsn))
  }
  const problem = slotProblem(state)
  if (problem !== undefined) throw new CaptureSlotUnusableError(slot, problem)
  return state
}

/**
 * Where the stream goes on: a place in the log that this server has, and that its slot has kept. Call it once the stream has started.
 * @throws CaptureDatabaseChangedError, CaptureLogDivergedError, CapturePositionLostError
 */
export async function checkPlace(
  client: PgClient,
  slot: string,
  { confirmedLsn = 0n }: SlotState,
  log: ServerLog,
  { position, log: placeLog }: Place,
): Promise<Position> {
  if (position === undefined || placeLog === undefined) return { lsn: confirmedLsn, partly: undefined }
  if (placeLog.system !== log.system) throw new CaptureDatabaseChangedError(slot, log.system, placeLog.system)
  const { timeline } = placeLog
  const endLsn = timeline === log.timeline ? await readFlushedLsn(client) : (log.leftAt.get(timeline) ?? 0n)
  if (position.lsn > endLsn || (position.partly !== undefined && position.partly.commitLsn >= endLsn)) {
    throw new CaptureLogDivergedError(slot, { lsn: lsnText(position.lsn), timeline, endLsn: lsnText(endLsn) })
  }
  // The server is told of nothing that the place does not hold: a slot that is further was moved by somebody else.
  if (confirmedLsn > position.lsn)
    throw new CapturePositionLostError(slot, lsnText(position.lsn), lsnText(confirmedLsn))
  return position
}

function slotProblem({ plugin, isLogical, isOfThisDatabase, walStatus }: SlotState): string | undefined {
  if (!isLogical) return 'it is one for physical replication'
  if (plugin !== 'pgoutput') return `its plugin is ${plugin}, not pgoutput`
  if (!isOfThisDatabase) return 'it belongs to another database of the server'
  if (walStatus === 'lost') return 'the server has removed the part of its log that it needs (max_slot_wal_keep_size)'
  return undefined
}
