import type { DatabaseSync, StatementSync } from 'node:sqlite'
import { anyRevision, type StateCommand } from '../../committing/index.ts'
import type { Conflict } from '../../engine/index.ts'
import { damageOf, intactRow } from './damaged-row.ts'
import { checksumOf, stateChecksum } from './row-checksum.ts'

/** Revisions remembered so that a conditional write need not read first; the oldest are dropped beyond this many. */
const revisionCacheMax = 100_000

/** Writes keyed state and holds writes to the revision they expect. */
export class StateWriter {
  readonly #namespaceIds = new Map<string, number>()
  readonly #revisions = new Map<string, number>()
  readonly #db: DatabaseSync
  readonly #selectNamespace: StatementSync
  readonly #select: StatementSync
  readonly #put: StatementSync
  readonly #delete: StatementSync
  readonly #clear: StatementSync
  readonly #removeNamespace: StatementSync

  constructor(db: DatabaseSync) {
    this.#db = db
    this.#selectNamespace = db.prepare('SELECT id, name, checksum FROM namespace WHERE name = ?')
    this.#select = db.prepare('SELECT revision, value, checksum FROM state WHERE namespace_id = ? AND key = ?')
    this.#put = db.prepare(`
      INSERT INTO state (namespace_id, key, revision, value, checksum) VALUES (?, ?, ?, ?, ?)
      ON CONFLICT DO UPDATE SET revision = excluded.revision, value = excluded.value, checksum = excluded.checksum`)
    this.#delete = db.prepare('DELETE FROM state WHERE namespace_id = ? AND key = ?')
    this.#clear = db.prepare('DELETE FROM state WHERE namespace_id = ?')
    this.#removeNamespace = db.prepare('DELETE FROM namespace WHERE id = ?')
  }

  /**
   * The first conflict among the writes of one unit, before any of them is made. A later write of the same key within the
   * unit is checked against what the earlier one will leave.
   */
  check(commands: readonly StateCommand[]): Conflict | undefined {
    let ahead: Map<string, number> | undefined
    let cleared: Set<string> | undefined
    for (const command of commands) {
      if (command.kind === 'clear') {
        cleared ??= new Set()
        cleared.add(command.namespace)
        for (const id of ahead?.keys() ?? []) if (id.startsWith(`${command.namespace}\0`)) ahead?.delete(id)
        continue
      }
      if (command.expected === anyRevision && commands.length === 1) return undefined
      const id = `${command.namespace}\0${command.key}`
      const actual =
        ahead?.get(id) ?? (cleared?.has(command.namespace) ? 0 : this.#revisionOf(command.namespace, command.key, id))
      const { namespace, key, expected } = command
      if (expected !== anyRevision && expected !== actual) return { kind: 'revision', namespace, key, expected, actual }
      if (commands.length > 1) {
        ahead ??= new Map()
        ahead.set(id, command.kind === 'delete' ? 0 : actual + 1)
      }
    }
    return undefined
  }

  apply(command: StateCommand): void {
    // A guard: it holds a commit to a key that is not there, and was checked.
    if (command.kind === 'delete' && command.expected === 0) return
    if (command.kind === 'clear') {
      this.#clearNamespace(command.namespace)
      return
    }
    const namespaceId = this.#openNamespace(command.namespace)
    const id = `${command.namespace}\0${command.key}`
    if (command.kind === 'delete') {
      this.#delete.run(namespaceId, command.key)
      this.#remember(id, 0)
    } else {
      const { namespace, key, expected, value } = command
      const revision = (expected === anyRevision ? this.#revisionOf(namespace, key, id) : expected) + 1
      this.#put.run(namespaceId, key, revision, value, stateChecksum(namespace, key, revision, value))
      this.#remember(id, revision)
    }
  }

  /** Drops what is cached, after a transaction was rolled back. */
  forget(): void {
    this.#namespaceIds.clear()
    this.#revisions.clear()
  }

  #revisionOf(namespace: string, key: string, id: string): number {
    const known = this.#revisions.get(id)
    if (known !== undefined) return known
    const namespaceId = this.#findNamespace(namespace)
    if (namespaceId === undefined) return 0
    const row = this.#select.get(namespaceId, key)
    if (row !== undefined && row['checksum'] !== stateChecksum(namespace, key, row['revision'], row['value'])) {
      throw damageOf(this.#db, `the state ${namespace}, key ${key} (checksum)`)
    }
    const revision = Number(row?.['revision'] ?? 0)
    this.#remember(id, revision)
    return revision
  }

  #remember(id: string, revision: number): void {
    if (this.#revisions.size >= revisionCacheMax && !this.#revisions.has(id)) {
      const oldest = this.#revisions.keys().next().value
      if (oldest !== undefined) this.#revisions.delete(oldest)
    }
    this.#revisions.set(id, revision)
  }

  #findNamespace(name: string): number | undefined {
    const known = this.#namespaceIds.get(name)
    if (known !== undefined) return known
    const row = intactRow(this.#db, 'namespace', this.#selectNamespace.get(name), () => `the namespace ${name}`)
    if (row === undefined) return undefined
    const id = Number(row['id'])
    this.#namespaceIds.set(name, id)
    return id
  }

  /** Its name goes too: there are namespaces that are used for a time, one after the other. */
  #clearNamespace(name: string): void {
    const id = this.#findNamespace(name)
    if (id === undefined) return
    this.#clear.run(id)
    this.#removeNamespace.run(id)
    this.#namespaceIds.delete(name)
    this.#revisions.clear()
  }

  #openNamespace(name: string): number {
    const found = this.#findNamespace(name)
    if (found !== undefined) return found
    const id = Number(this.#db.prepare('INSERT INTO namespace (name) VALUES (?)').run(name).lastInsertRowid)
    this.#db.prepare('UPDATE namespace SET checksum = ? WHERE id = ?').run(checksumOf('namespace', id, name), id)
    this.#namespaceIds.set(name, id)
    return id
  }
}
