import type { DatabaseSync, StatementSync } from 'node:sqlite'
import type { TimerCommand } from '../../committing/index.ts'
import type { Conflict } from '../../engine/index.ts'
import { Counter } from './counter.ts'
import { intactRow } from './damaged-row.ts'
import { checksumOf } from './row-checksum.ts'

/** All columns of timers, by which they are known to be as they were written. */
export const selectTimer = 'SELECT owner, id, due_ms, revision, payload, checksum FROM timer'

/** Names a timer in errors. */
export function timerPlace(row: Record<string, unknown>): string {
  return `the timer ${String(row['id'])} of ${String(row['owner'])}`
}

/** Writes durable timers. Revisions come from one counter, so a timer scheduled anew is never taken for its predecessor. */
export class TimerWriter {
  readonly #schedule: StatementSync
  readonly #remove: StatementSync
  readonly #select: StatementSync
  readonly #db: DatabaseSync
  readonly #counter: Counter
  #lastRevision: number | undefined

  constructor(db: DatabaseSync) {
    this.#db = db
    this.#counter = new Counter(db, 'timer')
    this.#schedule = db.prepare(`
      INSERT INTO timer (owner, id, due_ms, revision, payload, checksum) VALUES (?, ?, ?, ?, ?, ?)
      ON CONFLICT DO UPDATE SET due_ms = excluded.due_ms, revision = excluded.revision, payload = excluded.payload,
        checksum = excluded.checksum`)
    this.#remove = db.prepare('DELETE FROM timer WHERE owner = ? AND id = ?')
    this.#select = db.prepare(`${selectTimer} WHERE owner = ? AND id = ?`)
  }

  /** The first timer of a unit that cannot fire because it was cancelled, fired or scheduled anew. */
  check(commands: readonly TimerCommand[]): Conflict | undefined {
    if (!commands.some(({ kind }) => kind === 'fire')) return undefined
    // What the unit itself changed before no longer has the revision that stands in the file. Names hold no NUL.
    const changed = new Set<string>()
    for (const command of commands) {
      const { owner, id } = command
      const name = `${owner}\0${id}`
      if (command.kind === 'fire') {
        const revision = changed.has(name) ? undefined : this.#revisionOf(owner, id)
        if (revision !== command.revision) return { kind: 'timer', owner, id }
      }
      changed.add(name)
    }
    return undefined
  }

  apply(command: TimerCommand): void {
    if (command.kind === 'schedule') {
      const { owner, id, dueMs, payload } = command
      const revision = this.#nextRevision()
      const checksum = checksumOf('timer', owner, id, dueMs, revision, payload)
      this.#schedule.run(owner, id, dueMs, revision, payload, checksum)
    } else {
      this.#remove.run(command.owner, command.id)
    }
  }

  /** Drops what is cached, after a transaction was rolled back. */
  forget(): void {
    this.#lastRevision = undefined
  }

  #revisionOf(owner: string, id: string): unknown {
    return intactRow(this.#db, 'timer', this.#select.get(owner, id), timerPlace)?.['revision']
  }

  #nextRevision(): number {
    const revision = (this.#lastRevision ?? this.#counter.read()) + 1
    this.#counter.write(revision)
    this.#lastRevision = revision
    return revision
  }
}
