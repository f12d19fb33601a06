import { MillraceError } from '../kernel/index.ts'

/** Errors that will still be there at the next try, whoever waits: those of a relay, and those that end a capture. */
const finalCodes: ReadonlySet<string> = new Set([
  'OUTBOX_TABLE_MISSING',
  'OUTBOX_TABLE_NEWER',
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
  'OPTIONS_INVALID',
  // The engine, which belongs to the caller.
  'CLOSED',
])

/** Whether a relay that met an error has to end with it. */
export function endsRelay(error: unknown): boolean {
  return error instanceof MillraceError && finalCodes.has(error.code)
}
