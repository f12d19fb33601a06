import { checkInteger, checkName, checkOptions, knownOptions, type TimerCommand } from '../committing/index.ts'
import { ArgumentInvalidError, type Timer, type Timers } from '../engine/index.ts'
import type { Json } from '../kernel/index.ts'
import type { EngineCore } from './engine-core.ts'
import { type NamedStatement, numberOf, type Row } from './statements.ts'

const limitDefault = 100

/** Durable timers of the PostgreSQL engine, as readers see them. */
export class TimerReader implements Timers {
  readonly #core: EngineCore
  readonly #sql: ReturnType<typeof timerStatements>

  constructor(core: EngineCore) {
    this.#core = core
    this.#sql = timerStatements(core.schema)
  }

  async due(owner: string, nowMs: number, limit: number = limitDefault): Promise<readonly Timer[]> {
    this.#core.refuseIfDone()
    checkName('owner', owner)
    checkInteger('nowMs', nowMs, 0)
    checkInteger('limit', limit, 0)
    return (await this.#core.pool.query(this.#sql.due, [owner, nowMs, limit])).map(timerOf)
  }

  async nextDueMs(owner: string): Promise<number | undefined> {
    this.#core.refuseIfDone()
    checkName('owner', owner)
    const [row] = await this.#core.pool.query(this.#sql.next, [owner])
    return row && numberOf(row, 'due_ms')
  }

  async list(options: { owner?: string; limit?: number } = {}): Promise<readonly Timer[]> {
    this.#core.refuseIfDone()
    checkOptions('options', options, knownOptions.timers)
    const { owner, limit = limitDefault } = options
    checkInteger('limit', limit, 0)
    if (owner !== undefined) checkName('owner', owner)
    const rows = await (owner === undefined
      ? this.#core.pool.query(this.#sql.all, [limit])
      : this.#core.pool.query(this.#sql.ofOwner, [owner, limit]))
    return rows.map(timerOf)
  }

  /** Also tells of timers that other processes scheduled, and then only of the one of an owner that is due first. */
  onScheduled(owner: string, listener: (dueMs: number) => void): () => void {
    checkName('owner', owner)
    if (typeof listener !== 'function') throw new ArgumentInvalidError('listener', 'is not a function')
    return this.#core.changes.onTimer(owner, listener)
  }

  /** Tells listeners what a commit of this process scheduled. */
  notify(commands: readonly TimerCommand[]): void {
    for (const command of commands) {
      if (command.kind === 'schedule') this.#core.changes.scheduled(command.owner, command.dueMs)
    }
  }
}

function timerOf(row: Row): Timer {
  return {
    owner: String(row['owner']),
    id: String(row['id']),
    dueMs: numberOf(row, 'due_ms'),
    payload: JSON.parse(String(row['payload'])) as Json,
    revision: numberOf(row, 'revision'),
  }
}

function timerStatements(schema: string) {
  const columns = `SELECT owner, id, due_ms, revision, payload FROM ${schema}.timer`
  return {
    due: {
      name: 'millrace_timers_due',
      text: `${columns} WHERE owner = $1 AND due_ms <= $2::bigint ORDER BY due_ms, id LIMIT $3`,
    },
    next: {
      name: 'millrace_timers_next',
      text: `SELECT due_ms FROM ${schema}.timer WHERE owner = $1 ORDER BY due_ms LIMIT 1`,
    },
    ofOwner: { name: 'millrace_timers_owner', text: `${columns} WHERE owner = $1 ORDER BY due_ms, id LIMIT $2` },
    all: { name: 'millrace_timers_all', text: `${columns} ORDER BY due_ms, owner, id LIMIT $1` },
  } as const satisfies Record<string, NamedStatement>
}
