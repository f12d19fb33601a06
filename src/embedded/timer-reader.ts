import type { DatabaseSync, StatementSync } from 'node:sqlite'
import { checkInteger, checkName, checkOptions, knownOptions, type TimerCommand } from '../committing/index.ts'
import { ArgumentInvalidError, type Timer, type Timers } from '../engine/index.ts'
import type { EngineCore } from './engine-core.ts'
import { intactRow } from './store/damaged-row.ts'
import { selectTimer, timerPlace } from './store/timer-writer.ts'
import { storedJson } from './stored-json.ts'

const limitDefault = 100

/** Durable timers of the embedded engine, as readers see them. */
export class TimerReader implements Timers {
  readonly #core: EngineCore
  readonly #due: StatementSync
  readonly #next: StatementSync
  readonly #ofOwner: StatementSync
  readonly #all: StatementSync
  readonly #listeners = new Map<string, Set<(dueMs: number) => void>>()

  constructor(core: EngineCore) {
    this.#core = core
    // A limit that is a bare parameter would have SQLite plan the statement anew for every read.
    this.#due = core.reader.prepare(`${selectTimer} WHERE owner = ? AND due_ms <= ? ORDER BY due_ms, id LIMIT ? + 0`)
    this.#next = core.reader.prepare(`${selectTimer} WHERE owner = ? ORDER BY due_ms LIMIT 1`)
    this.#ofOwner = core.reader.prepare(`${selectTimer} WHERE owner = ? ORDER BY due_ms, id LIMIT ? + 0`)
    this.#all = core.reader.prepare(`${selectTimer} ORDER BY due_ms, owner, id LIMIT ? + 0`)
  }

  async due(owner: string, nowMs: number, limit: number = limitDefault): Promise<readonly Timer[]> {
    const pause = this.#core.breathe()
    if (pause !== undefined) await pause
    this.#core.refuseIfDone()
    checkName('owner', owner)
    checkInteger('nowMs', nowMs, 0)
    checkInteger('limit', limit, 0)
    const rows = this.#core.reads.run(() => this.#due.all(owner, nowMs, limit))
    return rows.map((row) => timerOf(this.#core.reader, row, this.#core.path))
  }

  async nextDueMs(owner: string): Promise<number | undefined> {
    const pause = this.#core.breathe()
    if (pause !== undefined) await pause
    this.#core.refuseIfDone()
    checkName('owner', owner)
    const row = this.#core.reads.run(() => this.#next.get(owner))
    return row === undefined ? undefined : Number(intactRow(this.#core.reader, 'timer', row, timerPlace)['due_ms'])
  }

  async list(options: { owner?: string; limit?: number } = {}): Promise<readonly Timer[]> {
    const pause = this.#core.breathe()
    if (pause !== undefined) await pause
    this.#core.refuseIfDone()
    checkOptions('options', options, knownOptions.timers)
    const { owner, limit = limitDefault } = options
    checkInteger('limit', limit, 0)
    if (owner !== undefined) checkName('owner', owner)
    const rows = this.#core.reads.run(() =>
      owner === undefined ? this.#all.all(limit) : this.#ofOwner.all(owner, limit),
    )
    return rows.map((row) => timerOf(this.#core.reader, row, this.#core.path))
  }

  onScheduled(owner: string, listener: (dueMs: number) => void): () => void {
    checkName('owner', owner)
    if (typeof listener !== 'function') throw new ArgumentInvalidError('listener', 'is not a function')
    const listeners = this.#listeners.get(owner) ?? new Set()
    this.#listeners.set(owner, listeners.add(listener))
    return () => {
      listeners.delete(listener)
      if (listeners.size === 0) this.#listeners.delete(owner)
    }
  }

  /** Tells listeners what a commit scheduled. */
  notify(commands: readonly TimerCommand[]): void {
    for (const command of commands) {
      if (command.kind !== 'schedule') continue
      for (const listener of this.#listeners.get(command.owner) ?? []) tell(listener, command.dueMs)
    }
  }
}

/** A listener that throws must not keep a commit from its answer: its error goes where uncaught ones go. */
function tell(listener: (dueMs: number) => void, dueMs: number): void {
  try {
    listener(dueMs)
  } catch (error) {
    queueMicrotask(() => {
      throw error
    })
  }
}

function timerOf(db: DatabaseSync, row: Record<string, unknown>, path: string): Timer {
  intactRow(db, 'timer', row, timerPlace)
  const [owner, id] = [String(row['owner']), String(row['id'])]
  return {
    owner,
    id,
    dueMs: Number(row['due_ms']),
    payload: storedJson(path, String(row['payload']), () => timerPlace(row)),
    revision: Number(row['revision']),
  }
}
