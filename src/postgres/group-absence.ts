import type { Clock } from '../kernel/index.ts'
import { type NamedStatement, numberOf, type StatementRunner } from './statements.ts'

/** How often is looked whether processes are there, in milliseconds. */
const lookEveryMs = 1_000

/**
 * A process whose connection has been gone for so long does not exist any more, in milliseconds: one that was only cut off
 * comes back sooner.
 */
const goneAfterMs = 5_000

/**
 * Finds members whose process has died, long before their sessions end: the server forgets the connection of a process at
 * once when it dies. One that was stopped, or whose machine is gone without a word, is found by its session as before.
 *
 * Who is put out wrongly, since it could not connect for long, loses nothing but its claims, and is let in again.
 */
export class GroupAbsence {
  readonly #runner: StatementRunner
  readonly #clock: Clock
  readonly #instanceId: string
  readonly #findGone: NamedStatement
  readonly #endSessions: NamedStatement
  /** When each connection was first found to be gone, by instance and connection. */
  #goneSinceMs: ReadonlyMap<string, number> = new Map()
  #lookedMs = Number.NEGATIVE_INFINITY

  /** @param schema Quoted. */
  constructor(runner: StatementRunner, clock: Clock, schema: string, instanceId: string) {
    this.#runner = runner
    this.#clock = clock
    this.#instanceId = instanceId
    this.#findGone = {
      name: 'millrace_group_find_gone',
      // Of sessions of other users only the process ids can be seen.
      text: `SELECT id, listener_pid FROM ${schema}.instance WHERE listener_pid IS NOT NULL AND id <> $1
          AND EXISTS (SELECT FROM ${schema}.member WHERE instance_id = instance.id AND group_name = ANY ($2::text[])
            AND lease_until >= clock_timestamp())
          AND NOT EXISTS (SELECT FROM pg_stat_activity WHERE pid = listener_pid
            AND (backend_start IS NULL OR backend_start = listener_started_at))`,
    }
    this.#endSessions = {
      name: 'millrace_group_end_sessions',
      text: `UPDATE ${schema}.member SET lease_until = '-infinity' FROM ${schema}.instance
        WHERE instance.id = instance_id AND instance.id = $1 AND listener_pid = $2::integer`,
    }
  }

  /** Ends the sessions of members of these groups whose process is gone; looks rarely, whoever asks how often. */
  async look(groups: readonly string[]): Promise<void> {
    const nowMs = this.#clock.monotonicMs()
    if (nowMs - this.#lookedMs < lookEveryMs) return
    this.#lookedMs = nowMs
    const since = new Map<string, number>()
    for (const row of await this.#runner.query(this.#findGone, [this.#instanceId, groups])) {
      const values = [String(row['id']), numberOf(row, 'listener_pid')] as const
      const name = values.join('/')
      const goneMs = this.#goneSinceMs.get(name) ?? nowMs
      since.set(name, goneMs)
      if (nowMs - goneMs >= goneAfterMs) await this.#runner.query(this.#endSessions, values)
    }
    this.#goneSinceMs = since
  }
}
