import type { DatabaseSync, StatementSync } from 'node:sqlite'
import {
  checkList,
  checkName,
  checkText,
  rangeConditions,
  type StateCommand,
  StateWatchers,
  type WatchOptions,
} from '../committing/index.ts'
import type { StateChange, StateEntry, StateRange, StateStore } from '../engine/index.ts'
import type { Json } from '../kernel/index.ts'
import type { EngineCore } from './engine-core.ts'
import { FileDamagedError } from './errors.ts'
import { intactRow } from './store/damaged-row.ts'
import { stateChecksum } from './store/row-checksum.ts'
import { storedJson } from './stored-json.ts'

/** Keyed state of the embedded engine, as readers see it. */
export class StateReader implements StateStore {
  readonly #core: EngineCore
  readonly #db: DatabaseSync
  readonly #get: StatementSync
  readonly #watchers: StateWatchers
  readonly #ranges = new Map<string, StatementSync>()

  constructor(core: EngineCore) {
    this.#core = core
    this.#db = core.reader
    this.#get = this.#db.prepare(
      'SELECT revision, value, checksum FROM state WHERE namespace_id = (SELECT id FROM namespace WHERE name = ?) AND key = ?',
    )
    this.#watchers = new StateWatchers({
      read: (namespace, key) => this.#row(namespace, key),
      list: (namespace, key, prefix) => this.#watched(namespace, key, prefix),
      sleep: (subscribe, signal) => this.#sleep(subscribe, signal),
      // Who only reads the file is told of no commit.
      ...(core.isReadOnly && { missedChanges: () => core.changeCount }),
      refuseIfDone: () => core.refuseIfDone(),
    })
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
    const { conditions, values, order, limit } = rangeConditions(namespace, range)
    const where = ['namespace_id = (SELECT id FROM namespace WHERE name = ?)', ...conditions].join(' AND ')
    // A limit that is a bare parameter would have SQLite plan the statement anew for every read.
    const sql = `SELECT key, revision, value, checksum FROM state WHERE ${where} ORDER BY key ${order} LIMIT ? + 0`
    const rows = this.#core.reads.run(() => this.#statement(sql).all(namespace, ...values, limit))
    return rows.map((row) => {
      const key = String(row['key'])
      const { value, revision } = this.#intact(namespace, key, row)
      return { key, value: this.#value(namespace, key, value), revision }
    })
  }

  async count(namespace: string): Promise<number> {
    const pause = this.#core.breathe()
    if (pause !== undefined) await pause
    this.#core.refuseIfDone()
    checkName('namespace', namespace)
    const sql = 'SELECT count(*) AS n FROM state WHERE namespace_id = (SELECT id FROM namespace WHERE name = ?)'
    return this.#core.reads.run(() => Number(this.#statement(sql).get(namespace)?.['n']))
  }

  async namespaces(prefix = ''): Promise<readonly string[]> {
    const pause = this.#core.breathe()
    if (pause !== undefined) await pause
    this.#core.refuseIfDone()
    checkText('prefix', prefix)
    const sql = `SELECT id, name, checksum FROM namespace WHERE substr(name, 1, length(?1)) = ?1
      AND EXISTS (SELECT 1 FROM state WHERE namespace_id = namespace.id) ORDER BY name`
    const rows = this.#core.reads.run(() => this.#statement(sql).all(prefix))
    return rows.map((row) =>
      String(intactRow(this.#db, 'namespace', row, ({ name }) => `the namespace ${String(name)}`)['name']),
    )
  }

  watch(namespace: string, options: WatchOptions): AsyncGenerator<StateChange> {
    return this.#watchers.watch(namespace, options)
  }

  /** Tells watchers what a commit changed. */
  notify(commands: readonly StateCommand[]): void {
    this.#watchers.notify(commands)
  }

  #watched(
    namespace: string,
    key: string | undefined,
    prefix: string,
  ): readonly { readonly key: string; readonly revision: number }[] {
    const which = key === undefined ? 'substr(key, 1, length(?2)) = ?2' : 'key = ?2'
    const sql = `SELECT key, revision, value, checksum FROM state WHERE namespace_id = (SELECT id FROM namespace WHERE name = ?1) AND ${which}`
    const seen: { readonly key: string; readonly revision: number }[] = []
    this.#core.reads.run(() => {
      // One by one: the values are needed for their checksums alone.
      for (const row of this.#statement(sql).iterate(namespace, key ?? prefix)) {
        const found = String(row['key'])
        seen.push({ key: found, revision: this.#intact(namespace, found, row).revision })
      }
    })
    return seen
  }

  #sleep(subscribe: (waiter: () => void) => () => void, signal: AbortSignal): Promise<void> {
    const { changeCount } = this.#core
    const isChanged = (): boolean => this.#core.changeCount !== changeCount
    return this.#core.waitForChange(subscribe, Number.POSITIVE_INFINITY, signal, isChanged)
  }

  #row(namespace: string, key: string): { readonly revision: number; readonly value: string } | undefined {
    const row = this.#core.reads.run(() => this.#get.get(namespace, key))
    return row === undefined ? undefined : this.#intact(namespace, key, row)
  }

  #read(namespace: string, key: string): StateEntry | undefined {
    checkName('namespace', namespace)
    checkName('key', key)
    const row = this.#row(namespace, key)
    if (row === undefined) return undefined
    return { key, value: this.#value(namespace, key, row.value), revision: row.revision }
  }

  /** @throws FileDamagedError unless the row is what was written for this key of this namespace */
  #intact(namespace: string, key: string, row: Record<string, unknown>): { revision: number; value: string } {
    const { revision, value, checksum } = row
    if (checksum === stateChecksum(namespace, key, revision, value)) {
      return { revision: Number(revision), value: String(value) }
    }
    throw new FileDamagedError(this.#core.path, `the state ${namespace}, key ${key} (checksum)`)
  }

  #value(namespace: string, key: string, text: string): Json {
    return storedJson(this.#core.path, text, () => `the state ${namespace}, key ${key}`)
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
