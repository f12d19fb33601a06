import type { NamedStatement, StatementRunner } from './statements.ts'

/**
 * Changes that must be made once, whatever becomes of the answer.
 *
 * A statement whose answer is lost is run again. Where its second run would do harm, since others have gone on from what the
 * first one did, it leaves an id of its own behind, in the same transaction: so the second run makes nothing, and whoever is
 * told that nothing was made can look whether the first run made it.
 */
export class MadeChanges {
  readonly #runner: StatementRunner
  readonly #instanceId: string
  readonly #find: NamedStatement
  #count = 0

  /** @param schema Quoted. */
  constructor(runner: StatementRunner, schema: string, instanceId: string) {
    this.#runner = runner
    this.#instanceId = instanceId
    this.#find = { name: 'millrace_made_change', text: `SELECT id FROM ${schema}.change WHERE id = $1` }
  }

  /** An id that no other change has. */
  newId(): string {
    this.#count++
    return `${this.#instanceId}/${this.#count}`
  }

  /**
   * Makes a change by a statement that answers a row if it made it, and leaves the id behind then, which is its last value.
   * `false`: no run of it has made the change.
   */
  async make(statement: NamedStatement, values: readonly unknown[]): Promise<boolean> {
    const id = this.newId()
    const made = await this.#runner.query(statement, [...values, id])
    return made.length > 0 || (await this.#runner.query(this.#find, [id])).length > 0
  }
}
