import type { DatabaseSync, StatementSync } from 'node:sqlite'
import { crc32 } from 'node:zlib'
import {
  checkInteger,
  checkList,
  checkName,
  checkOptions,
  checkSignal,
  checkText,
  type StateCommand,
} from '../committing/index.ts'
import type { StateChange, StateEntry, StateRange, StateStore } from '../engine/index.ts'
import type { Json } from '../kernel/index.ts'
import { reading } from './connection.ts'
import type { EngineCore } from './engine-core.ts'

const rangeLimitDefault = 100
const rangeLimitMax = 10_000
/** Changed keys that a slow watcher has not seen yet; beyond this many it compares everything that it watches. */
const pendingKeysMax = 10_000

/** A value as a watcher saw it; `checksum` undefined: it stood there before the watcher came. */
interface Seen {
  readonly revision: number
  readonly checksum: number | undefined
}

interface Watcher {
  readonly namespace: string
  readonly key: string | undefined
  readonly prefix: string
  /** Every key that it watches and that exists, as it saw it last: a clear tells no names. */
  readonly seen: Map<string, Seen>
  /** Keys that changed since the watcher last looked. */
  readonly pending: Set<string>
  /** Changes came whose keys it was not told. */
  isStale: boolean
  wake: (() => void) | undefined
  readonly signal: AbortSignal
  readonly leave: () => void
}

/** Who watches a namespace: found by the key that a commit sets, as there may be many who wait for one key each. */
interface Watched {
  readonly byKey: Map<string, Set<Watcher>>
  readonly ofPrefix: Set<Watcher>
}

/** Keyed state of the embedded engine, as readers see it. */
export class StateReader implements StateStore {
  readonly #core: EngineCore
  readonly #db: DatabaseSync
  readonly #get: StatementSync
  readonly #watchers = new Map<string, Watched>()
  readonly #ranges = new Map<string, StatementSync>()

  constructor(core: EngineCore) {
    this.#core = core
    this.#db = core.reader
    this.#get = this.#db.prepare(
      'SELECT revision, value FROM state WHERE namespace_id = (SELECT id FROM namespace WHERE name = ?) AND key = ?',
    )
  }

  async get(namespace: string, key: string): Promise<StateEntry | undefined> {
    const pause = this.#core.breathe()
    if (pause !== undefined) await pause
    this.#core.refuseIfDone()
    return this.#read(namespace, key)
  }

  async getMany(namespace: string, keys: readonly string[]): Promise<readonly (StateEntry | undefined)[]> {
    const pause = this.#core.breathe()
    if (pause !== undefined) await pause
    this.#core.refuseIfDone()
    checkList('keys', keys)
    // One look at one moment: a commit that sets two keys is never seen by half.
    const read = (): (StateEntry | undefined)[] => keys.map((key) => this.#read(namespace, key))
    return keys.length < 2 ? read() : this.#core.atOneMoment(read)
  }

  async range(namespace: string, range: StateRange = {}): Promise<readonly StateEntry[]> {
    const pause = this.#core.breathe()
    if (pause !== undefined) await pause
    this.#core.refuseIfDone()
    checkOptions('range', range)
    const { prefix, from, to, after, reverse = false, limit = rangeLimitDefault } = range
    checkName('namespace', namespace)
    checkInteger('limit', limit, 0)
    for (const [name, bound] of Object.entries({ prefix, from, to, after })) {
      if (bound !== undefined) checkText(name, bound)
    }
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
    const rows = reading(this.#core.path, () => this.#statement(sql).all(...values, Math.min(limit, rangeLimitMax)))
    return rows.map((row) => ({
      key: String(row['key']),
      value: JSON.parse(String(row['value'])) as Json,
      revision: Number(row['revision']),
    }))
  }

  async count(namespace: string): Promise<number> {
    const pause = this.#core.breathe()
    if (pause !== undefined) await pause
    this.#core.refuseIfDone()
    checkName('namespace', namespace)
    const sql = 'SELECT count(*) AS n FROM state WHERE namespace_id = (SELECT id FROM namespace WHERE name = ?)'
    return reading(this.#core.path, () => Number(this.#statement(sql).get(namespace)?.['n']))
  }

  async namespaces(prefix = ''): Promise<readonly string[]> {
    const pause = this.#core.breathe()
    if (pause !== undefined) await pause
    this.#core.refuseIfDone()
    checkText('prefix', prefix)
    return this.#statement(`SELECT name FROM namespace WHERE substr(name, 1, length(?1)) = ?1
        AND EXISTS (SELECT 1 FROM state WHERE namespace_id = namespace.id) ORDER BY name`)
      .all(prefix)
      .map((row) => String(row['name']))
  }

  watch(
    namespace: string,
    options: { readonly key?: string; readonly prefix?: string; readonly signal: AbortSignal },
  ): AsyncGenerator<StateChange> {
    this.#core.refuseIfDone()
    checkName('namespace', namespace)
    checkSignal(options?.signal)
    const { key, prefix = '', signal } = options
    if (key !== undefined) checkName('key', key)
    checkText('prefix', prefix)
    const rows = this.#watched(namespace, key, prefix)
    const seen = new Map(rows.map((row) => [row.key, { revision: row.revision, checksum: undefined }]))
    const watcher: Watcher = {
      namespace,
      key,
      prefix,
      seen,
      pending: new Set(),
      isStale: false,
      wake: undefined,
      signal,
      leave: () => this.#leave(watcher),
    }
    if (!signal.aborted) {
      // From now on, not from the first step on: changes count from the call.
      this.#peersOf(watcher).add(watcher)
      signal.addEventListener('abort', watcher.leave, { once: true })
    }
    return this.#follow(watcher)
  }

  /** Tells watchers what a commit changed. */
  notify(commands: readonly StateCommand[]): void {
    if (this.#watchers.size === 0) return
    for (const command of commands) {
      const watched = this.#watchers.get(command.namespace)
      if (watched === undefined) continue
      if (command.kind === 'clear') {
        for (const peers of [watched.ofPrefix, ...watched.byKey.values()]) {
          for (const watcher of peers) tell(watcher, undefined)
        }
        continue
      }
      for (const watcher of watched.byKey.get(command.key) ?? []) tell(watcher, command.key)
      for (const watcher of watched.ofPrefix) {
        if (command.key.startsWith(watcher.prefix)) tell(watcher, command.key)
      }
    }
  }

  /** Those who watch the same key, or any prefix, in the same namespace. */
  #peersOf({ namespace, key }: Watcher): Set<Watcher> {
    let watched = this.#watchers.get(namespace)
    if (watched === undefined) {
      watched = { byKey: new Map(), ofPrefix: new Set() }
      this.#watchers.set(namespace, watched)
    }
    if (key === undefined) return watched.ofPrefix
    const peers = watched.byKey.get(key) ?? new Set()
    watched.byKey.set(key, peers)
    return peers
  }

  async *#follow(watcher: Watcher): AsyncGenerator<StateChange> {
    const { signal } = watcher
    let changeCount = this.#core.changeCount
    try {
      while (!signal.aborted) {
        if (this.#core.isReadOnly && this.#core.changeCount !== changeCount) {
          changeCount = this.#core.changeCount
          watcher.isStale = true
        }
        for (const key of this.#changedKeys(watcher)) {
          if (signal.aborted) return
          const change = this.#look(watcher, key)
          if (change !== undefined) yield change
        }
        if (watcher.pending.size === 0 && !watcher.isStale) await this.#sleep(watcher, changeCount)
      }
    } finally {
      this.#leave(watcher)
    }
  }

  /** Keys to look at: those that the watcher was told, and, when it was not told all, those that differ from what it saw. */
  #changedKeys(watcher: Watcher): ReadonlySet<string> {
    const changed = new Set(watcher.pending)
    watcher.pending.clear()
    if (!watcher.isStale) return changed
    watcher.isStale = false
    const gone = new Set(watcher.seen.keys())
    for (const { key, revision } of this.#watched(watcher.namespace, watcher.key, watcher.prefix)) {
      gone.delete(key)
      if (watcher.seen.get(key)?.revision !== revision) changed.add(key)
    }
    for (const key of gone) changed.add(key)
    return changed
  }

  /** What a watcher is to be told of a key; undefined when it has seen just that. */
  #look(watcher: Watcher, key: string): StateChange | undefined {
    this.#core.refuseIfDone()
    const row = reading(this.#core.path, () => this.#get.get(watcher.namespace, key))
    const seen = watcher.seen.get(key)
    if (row === undefined) return watcher.seen.delete(key) ? { key, value: undefined, revision: 0 } : undefined
    const text = String(row['value'])
    const now = { revision: Number(row['revision']), checksum: crc32(text) }
    if (seen?.revision === now.revision && seen.checksum === now.checksum) return undefined
    watcher.seen.set(key, now)
    return { key, value: JSON.parse(text) as Json, revision: now.revision }
  }

  #watched(
    namespace: string,
    key: string | undefined,
    prefix: string,
  ): readonly { readonly key: string; readonly revision: number }[] {
    const which = key === undefined ? 'substr(key, 1, length(?2)) = ?2' : 'key = ?2'
    const sql = `SELECT key, revision FROM state WHERE namespace_id = (SELECT id FROM namespace WHERE name = ?1) AND ${which}`
    const rows = reading(this.#core.path, () => this.#statement(sql).all(namespace, key ?? prefix))
    return rows.map((row) => ({ key: String(row['key']), revision: Number(row['revision']) }))
  }

  async #sleep(watcher: Watcher, changeCount: number): Promise<void> {
    const { signal } = watcher
    const subscribe = (waiter: () => void): (() => void) => {
      watcher.wake = waiter
      return () => {
        watcher.wake = undefined
      }
    }
    const isChanged = (): boolean => this.#core.changeCount !== changeCount
    try {
      await this.#core.waitForChange(subscribe, Number.POSITIVE_INFINITY, signal, isChanged)
    } catch (error) {
      if (!signal.aborted) throw error
    }
    if (!signal.aborted) this.#core.refuseIfDone()
  }

  #leave(watcher: Watcher): void {
    watcher.signal.removeEventListener('abort', watcher.leave)
    const { namespace, key } = watcher
    const watched = this.#watchers.get(namespace)
    if (watched === undefined) return
    const peers = key === undefined ? watched.ofPrefix : watched.byKey.get(key)
    peers?.delete(watcher)
    if (key !== undefined && peers?.size === 0) watched.byKey.delete(key)
    if (watched.ofPrefix.size === 0 && watched.byKey.size === 0) this.#watchers.delete(namespace)
  }

  #read(namespace: string, key: string): StateEntry | undefined {
    checkName('namespace', namespace)
    checkName('key', key)
    const row = reading(this.#core.path, () => this.#get.get(namespace, key))
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

/** `key` undefined: it cannot be said what has changed. */
function tell(watcher: Watcher, key: string | undefined): void {
  if (key === undefined || watcher.pending.size >= pendingKeysMax) watcher.isStale = true
  else watcher.pending.add(key)
  watcher.wake?.()
}
