import { MillraceError } from '../kernel/index.ts'
import { sqlStateOf } from '../sql/index.ts'
import {
  CaptureAccessRefusedError,
  CapturePublicationLostError,
  CaptureRefusedError,
  CaptureSlotUnusableError,
} from './errors.ts'

/** Errors of ours that will still be there at the next try. */
const finalCodes: ReadonlySet<string> = new Set([
  'CAPTURE_CLIENT_MISSING',
  'CAPTURE_WAL_LEVEL',
  'CAPTURE_ACCESS_REFUSED',
  'CAPTURE_REFUSED',
  'CAPTURE_SLOT_MISSING',
  'CAPTURE_SLOT_UNUSABLE',
  'CAPTURE_POSITION_LOST',
  'CAPTURE_DATABASE_CHANGED',
  'CAPTURE_LOG_DIVERGED',
  'CAPTURE_PUBLICATION_MISSING',
  'CAPTURE_PUBLICATION_LOST',
  'CAPTURE_TABLE_KEYLESS',
  'CAPTURE_TABLES_ALIKE',
  'CAPTURE_KEY_UNKNOWN',
  'CAPTURE_PROTOCOL',
  'TOPIC_NAME_INVALID',
  'OPTIONS_INVALID',
  'ARGUMENT_INVALID',
  'RECORD_TOO_LARGE',
  'RECORD_ARGUMENT_INVALID',
  'COMPACTED_WITHOUT_KEY',
  'CLOSED',
])

/** Codes of the server (PostgreSQL manual, appendix A) that no waiting changes. */
const refusedStates: ReadonlySet<string> = new Set([
  '3D000', // invalid_catalog_name: no such database
  '0A000', // feature_not_supported: a standby, an old version
  '42601', // syntax_error
  '42704', // undefined_object
  '42P01', // undefined_table
  '42710', // duplicate_object
  '42P17', // invalid_object_definition
  '22023', // invalid_parameter_value
])

/** Another connection reads from the slot. */
export function isSlotBusy(error: unknown): boolean {
  return sqlStateOf(error) === '55006'
}

/** Whether an error will still be there at the next try. */
export function isFinal(error: unknown): boolean {
  return error instanceof MillraceError && finalCodes.has(error.code)
}

/** The typed error of what the server refuses for good; anything else as it is. */
export function errorOf(error: unknown, slot: string): unknown {
  const state = sqlStateOf(error)
  if (state === undefined || !(error instanceof Error)) return error
  const said = error.message.replace(/\.$/, '')
  if (state.startsWith('28') || state === '42501') return new CaptureAccessRefusedError(state, said, { cause: error })
  // object_not_in_prerequisite_state: the slot was invalidated, as `max_slot_wal_keep_size` makes the server do.
  if (state === '55000' && /slot/.test(said)) return new CaptureSlotUnusableError(slot, said)
  // undefined_object, while the log is read: the texts of servers are in many languages, their functions are not.
  if (state === '42704' && /publication/i.test(String((error as { readonly routine?: unknown }).routine))) {
    return new CapturePublicationLostError(slot, said, { cause: error })
  }
  if (refusedStates.has(state)) return new CaptureRefusedError(state, said, { cause: error })
  return error
}
