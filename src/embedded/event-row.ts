import type { StoredEvent } from '../engine/index.ts'
import { decodeMessages, type RecordOutcome } from '../record/index.ts'
import { FileDamagedError } from './errors.ts'
import { storedJson } from './stored-json.ts'

/** One event as it stands in the file. */
export interface EventRow {
  readonly position: number
  readonly version: number
  readonly time_ms: number
  readonly tags: string | null
  readonly stream: string
  readonly bytes: Uint8Array
}

const noTags: readonly string[] = Object.freeze([])

/** @throws FileDamagedError naming the position, where the stored bytes are not what was written. */
export function decodeEventRow(row: EventRow, path: string): StoredEvent {
  let outcome: RecordOutcome | undefined
  try {
    decodeMessages(row.bytes, (one) => {
      outcome = one
      return false
    })
  } catch (error) {
    throw new FileDamagedError(path, `the event at position ${row.position} (${(error as Error).message})`, {
      cause: error,
    })
  }
  if (outcome?.kind !== 'message') {
    const cause = outcome?.kind === 'undecodable' ? outcome.error : undefined
    throw new FileDamagedError(path, `the event at position ${row.position} is no message`, { cause })
  }
  return {
    stream: row.stream,
    version: row.version,
    position: row.position,
    timestampMs: row.time_ms,
    tags: row.tags === null ? noTags : tagsOf(row, row.tags, path),
    message: outcome.message,
  }
}

function tagsOf({ position }: EventRow, text: string, path: string): readonly string[] {
  return storedJson(path, text, () => `the tags of the event at position ${position}`) as string[]
}
