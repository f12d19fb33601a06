import { readSlot, type SlotState } from './catalog.ts'
import {
  CaptureDatabaseChangedError,
  CapturePositionLostError,
  CaptureRefusedError,
  CaptureSlotMissingError,
  CaptureSlotUnusableError,
  CaptureWalLevelError,
} from './errors.ts'
import { lsnText } from './lsn.ts'
import type { PgClient } from './pg-client.ts'
import type { Place } from './place.ts'

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

/** The id that a server was given when its data were made. */
export async function readSystem(replication: PgClient): Promise<string> {
  const [row] = (await replication.query('IDENTIFY_SYSTEM')).rows
  return row?.['systemid'] ?? ''
}

/** @throws CaptureSlotMissingError, CaptureSlotUnusableError */
export async function checkSlot(client: PgClient, slot: string, place: Place): Promise<SlotState> {
  const state = await readSlot(client, slot)
  if (state === undefined) {
    throw new CaptureSlotMissingError(slot, place.position === undefined ? null : lsnText(place.position.lsn))
  }
  const problem = slotProblem(state)
  if (problem !== undefined) throw new CaptureSlotUnusableError(slot, problem)
  return state
}

/** Whether the place is one in the log that the slot still has. @throws CaptureDatabaseChangedError, CapturePositionLostError */
export function checkPlace(slot: string, state: SlotState, system: string, place: Place): void {
  const { position } = place
  if (position === undefined) return
  if (place.system !== system) throw new CaptureDatabaseChangedError(slot, system, String(place.system))
  // The server is told of nothing that the place does not hold: a slot that is further was moved by somebody else.
  if (state.confirmedLsn > position.lsn) {
    throw new CapturePositionLostError(slot, lsnText(position.lsn), lsnText(state.confirmedLsn))
  }
}

function slotProblem({ plugin, isLogical, isOfThisDatabase, walStatus }: SlotState): string | undefined {
  if (!isLogical) return 'it is one for physical replication'
  if (plugin !== 'pgoutput') return `its plugin is ${plugin}, not pgoutput`
  if (!isOfThisDatabase) return 'it belongs to another database of the server'
  if (walStatus === 'lost') return 'the server has removed the part of its log that it needs (max_slot_wal_keep_size)'
  return undefined
}
