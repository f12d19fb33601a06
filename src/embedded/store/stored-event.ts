import type { DatabaseSync, StatementSync } from 'node:sqlite'
import { Counter } from './counter.ts'
import { intactRow } from './damaged-row.ts'

/** Columns of an event beside its bytes, by which they are known to be as they were written. */
export const eventFields = 'position, stream_id, version, time_ms, tags, checksum'

/** Names an event in errors. */
export function eventPlace(row: Record<string, unknown>): string {
  return `the event at position ${Number(row['position'])}`
}

/** The event at the end of the store, and where the next one goes on. */
export class LastEvent {
  readonly #db: DatabaseSync
  readonly #select: StatementSync
  readonly #floor: Counter

  constructor(db: DatabaseSync) {
    this.#db = db
    this.#select = db.prepare(`SELECT ${eventFields} FROM event ORDER BY position DESC LIMIT 1`)
    this.#floor = new Counter(db, 'position')
  }

  /**
   * The position that was given last, 0 if none was, and the time of the last event that is there.
   * @throws FileDamagedError `FILE_DAMAGED`
   */
  read(): { readonly position: number; readonly timeMs: number } {
    const row = intactRow(this.#db, 'event', this.#select.get(), eventPlace)
    const position = Math.max(this.#floor.read(), Number(row?.['position'] ?? 0))
    return { position, timeMs: Number(row?.['time_ms'] ?? 0) }
  }

  /** Keeps a position from being given once more, before events are removed. */
  keep(position: number): void {
    this.#floor.write(position)
  }
}
