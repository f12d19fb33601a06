import type { DatabaseSync, StatementSync } from 'node:sqlite'
import type { StateChange, StateEntry, StateRange, StateStore } from '../engine/index.ts'
import type { Json } from '../kernel/index.ts'
import type { EngineCore } from './engine-core.ts'
import type { StateCommand } from './store/protocol.ts'
import { checkInteger, checkName } from './write-checks.ts'

const rangeLimitDefault = 100
const rangeLimitMax = 10_000
/** Keys that a slow watcher has not seen yet; beyond this many it is told of the whole namespace anew. */
const pendingKeysMax = 10_000

interface Watcher {
  readonly namespace: string
  readonly key: string | undefined
  readonly prefix: string
  /** Keys that changed since the watcher last looked. */
  readonly pending: Set<string>
  cleared: boolean
  wake: (() => void) | undefined
}

/** Keyed state of the embedded engine, as readers see it. */
export class StateReader implements StateStore {
  readonly #core: EngineCore
  readonly #db: DatabaseSync
  readonly #get: StatementSync
  readonly #watchers = new Map<string, Set<Watcher>>()
  readonly #ranges = new Map<string, StatementSync>()

  constructor(core: EngineCore) {
    this.#core = core
    this.#db = core.reader
    this.#get = this.#db.prepare(
      'SELECT revision, value FROM state WHERE namespace_id = (SELECT id FROM namespace WHERE name = ?) AND key = ?',
    )
  }

  async get(namespace: string, key: string): Promise<StateEntry | undefined> {
    this.#core.refuseIfDone()
    return this.#read(namespace, key)
  }

  async getMany(namespace: string, keys: readonly string[]): Promise<readonly (StateEntry | undefined)[]> {
    this.#core.refuseIfDone()
    return keys.map((key) => this.#read(namespace, key))
  }

  async range(namespace: string, range: StateRange = {}): Promise<readonly StateEntry[]> {
    this.#core.refuseIfDone()
    const { prefix, from, to, after, reverse = false, limit = rangeLimitDefault } = range
    checkInteger('limit', limit, 0)
    const conditions = ['namespace_id = (SELECT id FROM namespace WHERE name = ?)']
    const values: (string | number)[] = [namespace]
    const add = (condition: string, ...given: string[]): void => {
      conditions.push(condition)
      values.push(...given)
    }
    if (prefix !== undefined && prefix !== '') add('key >= ? AND substr(key, 1, length(?)) = ?', prefix, prefix, prefix)
    const end = prefix === undefined ? undefined : afterPrefix(prefix)
    if (end !== undefined) add('key < ?', end)
    if (from !== undefined) add('key >= ?', from)
    if (to !== undefined) add('key < ?', to)
    if (after !== undefined) add(reverse ? 'key < ?' : 'key > ?', after)
    const sql = `SELECT key, revision, value FROM state WHERE ${conditions.join(' AND ')}
      ORDER BY key ${reverse ? 'DESC' : 'ASC'} LIMIT ?`
    const rows = this.#statement(sql).all(...values, Math.min(limit, rangeLimitMax))
    return rows.map((row) => ({
      key: String(row['key']),
      value: JSON.parse(String(row['value'])) as Json,
      revision: Number(row['revision']),
    }))
  }

  async count(namespace: string): Promise<number> {
    this.#core.refuseIfDone()
    const sql = 'SELECT count(*) AS n FROM state WHERE namespace_id = (SELECT id FROM namespace WHERE name = ?)'
    return Number(this.#statement(sql).get(namespace)?.['n'])
  }

  async namespaces(prefix = ''): Promise<readonly string[]> {
    this.#core.refuseIfDone()
    return this.#statement(`SELECT name FROM namespace WHERE substr(name, 1, length(?1)) = ?1
        AND EXISTS (SELECT 1 FROM state WHERE namespace_id = namespace.id) ORDER BY name`)
      .all(prefix)
      .map((row) => String(row['name']))
  }

  async *watch(
    namespace: string,
    options: { readonly key?: string; readonly prefix?: string; readonly signal: AbortSignal },
  ): AsyncGenerator<StateChange> {
    checkName('namespace', namespace)
    const { key, prefix = '', signal } = options
    const watcher: Watcher = { namespace, key, prefix, pending: new Set(), cleared: false, wake: undefined }
    const known = new Set<string>()
    const peers = this.#watchers.get(namespace) ?? new Set<Watcher>()
    this.#watchers.set(namespace, peers.add(watcher))
    try {
      while (!signal.aborted) {
        if (watcher.cleared) {
          watcher.cleared = false
          for (const one of known) watcher.pending.add(one)
        }
        const changed = [...watcher.pending]
        watcher.pending.clear()
        for (const one of changed) {
          if (signal.aborted) return
          const entry = this.#read(namespace, one)
          if (entry === undefined) known.delete(one)
          else known.add(one)
          yield { key: one, value: entry?.value, revision: entry?.revision ?? 0 }
        }
        if (watcher.pending.size === 0 && !watcher.cleared) await this.#sleep(watcher, signal)
      }
    } finally {
      peers.delete(watcher)
      if (peers.size === 0) this.#watchers.delete(namespace)
    }
  }

  /** Tells watchers what a commit changed. */
  notify(commands: readonly StateCommand[]): void {
    if (this.#watchers.size === 0) return
    for (const command of commands) {
      for (const watcher of this.#watchers.get(command.namespace) ?? []) {
        if (command.kind === 'clear' || watcher.pending.size >= pendingKeysMax) watcher.cleared = true
        else if (watcher.key === undefined ? command.key.startsWith(watcher.prefix) : command.key === watcher.key) {
          watcher.pending.add(command.key)
        } else continue
        watcher.wake?.()
      }
    }
  }

  async #sleep(watcher: Watcher, signal: AbortSignal): Promise<void> {
    const subscribe = (waiter: () => void): (() => void) => {
      watcher.wake = waiter
      return () => {
        watcher.wake = undefined
      }
    }
    try {
      await this.#core.waitForChange(subscribe, Number.POSITIVE_INFINITY, signal, () => false)
    } catch (error) {
      if (!signal.aborted) throw error
    }
    this.#core.refuseIfDone()
  }

  #read(namespace: string, key: string): StateEntry | undefined {
    const row = this.#get.get(namespace, key)
    if (row === undefined) return undefined
    return { key, value: JSON.parse(String(row['value'])) as Json, revision: Number(row['revision']) }
  }

  #statement(sql: string): StatementSync {
    let statement = this.#ranges.get(sql)
    if (statement === undefined) {
      statement = this.#db.prepare(sql)
      if (this.#ranges.size > 100) this.#ranges.clear()
      this.#ranges.set(sql, statement)
    }
    return statement
  }
}

/** A key that sorts right after everything with the prefix, where one is easily named: for ASCII, the vast majority. */
function afterPrefix(prefix: string): string | undefined {
  const last = prefix.charCodeAt(prefix.length - 1)
  if (Number.isNaN(last) || last >= 0x7f) return undefined
  return prefix.slice(0, -1) + String.fromCharCode(last + 1)
}
