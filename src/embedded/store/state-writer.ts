import type { DatabaseSync, StatementSync } from 'node:sqlite'
import { anyRevision, type StateCommand } from '../../committing/index.ts'
import type { Conflict } from '../../engine/index.ts'

/** Revisions remembered so that a conditional write need not read first; the oldest are dropped beyond this many. */
const revisionCacheMax = 100_000

/** Writes keyed state and holds writes to the revision they expect. */
export class StateWriter {
  readonly #namespaceIds = new Map<string, number>()
  readonly #revisions = new Map<string, number>()
  readonly #selectNamespace: StatementSync
  readonly #insertNamespace: StatementSync
  readonly #selectRevision: StatementSync
  readonly #put: StatementSync
  readonly #bump: StatementSync
  readonly #delete: StatementSync
  readonly #clear: StatementSync

  constructor(db: DatabaseSync) {
    this.#selectNamespace = db.prepare('SELECT id FROM namespace WHERE name = ?')
    this.#insertNamespace = db.prepare('INSERT INTO namespace (name) VALUES (?)')
    this.#selectRevision = db.prepare('SELECT revision FROM state WHERE namespace_id = ? AND key = ?')
    this.#put = db.prepare(`
      INSERT INTO state (namespace_id, key, revision, value) VALUES (?, ?, ?, ?)
      ON CONFLICT DO UPDATE SET revision = excluded.revision, value = excluded.value`)
    this.#bump = db.prepare(`
      INSERT INTO state (namespace_id, key, revision, value) VALUES (?, ?, 1, ?)
      ON CONFLICT DO UPDATE SET revision = revision + 1, value = excluded.value`)
    this.#delete = db.prepare('DELETE FROM state WHERE namespace_id = ? AND key = ?')
    this.#clear = db.prepare('DELETE FROM state WHERE namespace_id = ?')
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
    const namespaceId = this.#namespaceId(command.namespace)
    if (command.kind === 'clear') {
      this.#clear.run(namespaceId)
      this.#revisions.clear()
      return
    }
    const id = `${command.namespace}\0${command.key}`
    if (command.kind === 'delete') {
      this.#delete.run(namespaceId, command.key)
      this.#remember(id, 0)
    } else if (command.expected === anyRevision) {
      const known = this.#revisions.get(id)
      this.#bump.run(namespaceId, command.key, command.value)
      if (known !== undefined) this.#remember(id, known + 1)
    } else {
      this.#put.run(namespaceId, command.key, command.expected + 1, command.value)
      this.#remember(id, command.expected + 1)
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
    const namespaceId = this.#namespaceIds.get(namespace) ?? this.#selectNamespace.get(namespace)?.['id']
    if (namespaceId === undefined) return 0
    const revision = Number(this.#selectRevision.get(namespaceId as number, key)?.['revision'] ?? 0)
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

  #namespaceId(namespace: string): number {
    let id = this.#namespaceIds.get(namespace)
    if (id === undefined) {
      const row = this.#selectNamespace.get(namespace)
      id = Number(row?.['id'] ?? this.#insertNamespace.run(namespace).lastInsertRowid)
      this.#namespaceIds.set(namespace, id)
    }
    return id
  }
}
