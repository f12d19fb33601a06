import type { DatabaseSync, StatementSync } from 'node:sqlite'
import type { TimerCommand } from '../../committing/index.ts'
import type { Conflict } from '../../engine/index.ts'

/** Writes durable timers. Revisions come from one counter, so a timer scheduled anew is never taken for its predecessor. */
export class TimerWriter {
  readonly #schedule: StatementSync
  readonly #remove: StatementSync
  readonly #selectRevision: StatementSync
  readonly #countUp: StatementSync

  constructor(db: DatabaseSync) {
    this.#schedule = db.prepare(`
      INSERT INTO timer (owner, id, due_ms, revision, payload) VALUES (?, ?, ?, ?, ?)
      ON CONFLICT DO UPDATE SET due_ms = excluded.due_ms, revision = excluded.revision, payload = excluded.payload`)
    this.#remove = db.prepare('DELETE FROM timer WHERE owner = ? AND id = ?')
    this.#selectRevision = db.prepare('SELECT revision FROM timer WHERE owner = ? AND id = ?')
    this.#countUp = db.prepare(`
      INSERT INTO counter (name, value) VALUES ('timer', 1) ON CONFLICT DO UPDATE SET value = value + 1 RETURNING value`)
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
        const revision = changed.has(name) ? undefined : this.#selectRevision.get(owner, id)?.['revision']
        if (revision !== command.revision) return { kind: 'timer', owner, id }
      }
      changed.add(name)
    }
    return undefined
  }

  apply(command: TimerCommand): void {
    if (command.kind === 'schedule') {
      const revision = Number(this.#countUp.get()?.['value'])
      this.#schedule.run(command.owner, command.id, command.dueMs, revision, command.payload)
    } else {
      this.#remove.run(command.owner, command.id)
    }
  }
}
