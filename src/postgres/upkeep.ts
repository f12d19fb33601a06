import type { StatementPool } from './statement-pool.ts'
import type { NamedStatement } from './statements.ts'

/** Marks of deleted keys that one statement removes at most, so that none holds anybody up for long. */
const marksPerSlice = 1_000

/** Keeps the schema small: marks that watchers have seen long ago, rows of engines that are no more, changes that are known. */
export class Upkeep {
  readonly #pool: StatementPool
  readonly #instanceId: string
  readonly #removeMarks: NamedStatement
  readonly #seen: NamedStatement
  readonly #removeInstances: NamedStatement
  readonly #removeChanges: NamedStatement

  /** @param schema Quoted. */
  constructor(pool: StatementPool, schema: string, instanceId: string) {
    this.#pool = pool
    this.#instanceId = instanceId
    this.#removeMarks = {
      name: 'millrace_remove_marks',
      // A watcher that has not looked for a day does not learn of a deletion any more.
      text: `DELETE FROM ${schema}.state AS mine USING (
          SELECT namespace_id, key FROM ${schema}.state WHERE deleted_at < now() - interval '1 day'
          ORDER BY deleted_at LIMIT ${marksPerSlice} FOR UPDATE SKIP LOCKED) AS old
        WHERE mine.namespace_id = old.namespace_id AND mine.key = old.key RETURNING 1`,
    }
    this.#seen = {
      name: 'millrace_instance_seen',
      text: `UPDATE ${schema}.instance SET seen_at = now() WHERE id = $1`,
    }
    this.#removeInstances = {
      name: 'millrace_remove_instances',
      // An engine that is open says so with each maintenance; one that was cut off comes back, if it does, within a month.
      // One that listens is there, whatever clocks say. Of sessions of other users only the process ids can be seen.
      text: `DELETE FROM ${schema}.instance WHERE seen_at < now() - interval '31 days'
        AND NOT EXISTS (SELECT FROM pg_stat_activity WHERE pid = listener_pid
          AND (backend_start IS NULL OR backend_start = listener_started_at))
        AND NOT EXISTS (SELECT FROM ${schema}.member WHERE instance_id = instance.id)`,
    }
    this.#removeChanges = {
      name: 'millrace_remove_changes',
      // Nobody waits so long for the answer of a statement.
      text: `DELETE FROM ${schema}.change WHERE made_at < now() - interval '31 days'`,
    }
  }

  async run(): Promise<void> {
    await this.#pool.query(this.#seen, [this.#instanceId])
    await this.#pool.query(this.#removeInstances, [])
    await this.#pool.query(this.#removeChanges, [])
    while ((await this.#pool.query(this.#removeMarks, [])).length === marksPerSlice);
  }
}
