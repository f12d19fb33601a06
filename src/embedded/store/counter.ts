import type { DatabaseSync, StatementSync } from 'node:sqlite'
import { intactRow } from './damaged-row.ts'
import { checksumOf } from './row-checksum.ts'

/**
 * `timer`: the revision that was given to a timer last. `opening`: how often the file was opened for writing. `position`: the last
 * position of the event store is at least this, even if its event is gone.
 */
export type CounterName = 'timer' | 'opening' | 'position'

/** A number that the file keeps under a name; 0 until it is set. */
export class Counter {
  readonly #db: DatabaseSync
  readonly #name: CounterName
  readonly #select: StatementSync
  readonly #upsert: StatementSync

  constructor(db: DatabaseSync, name: CounterName) {
    this.#db = db
    this.#name = name
    this.#select = db.prepare('SELECT name, value, checksum FROM counter WHERE name = ?')
    this.#upsert = db.prepare(`INSERT INTO counter (name, value, checksum) VALUES (?, ?, ?)
      ON CONFLICT DO UPDATE SET value = excluded.value, checksum = excluded.checksum`)
  }

  /** @throws FileDamagedError `FILE_DAMAGED` */
  read(): number {
    const row = intactRow(this.#db, 'counter', this.#select.get(this.#name), () => `the counter ${this.#name}`)
    return Number(row?.['value'] ?? 0)
  }

  write(value: number): void {
    this.#upsert.run(this.#name, value, checksumOf('counter', this.#name, value))
  }
}
