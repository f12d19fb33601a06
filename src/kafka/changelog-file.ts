import { mkdirSync, rmSync } from 'node:fs'
import { dirname } from 'node:path'
import { DatabaseSync, type StatementSync } from 'node:sqlite'
import { rangeConditions } from '../committing/index.ts'
import type { StateEntry, StateRange } from '../engine/index.ts'
import type { Json } from '../kernel/index.ts'
import type { StateRecord } from './changelog-format.ts'
import { KafkaStateFileError } from './errors.ts'

/** Of which partition a file holds the state. */
export interface ChangelogIdentity {
  /** Changes when a topic is deleted and made anew under its name. */
  readonly topicId: string
  readonly partition: number
}

const formatVersion = 1
const busyCode = 5

/**
 * The state that a partition of a changelog stands for, in a SQLite file of this machine. It is a copy: the changelog is the
 * truth, and a file that is of another topic, of another format or damaged is made anew. So nothing is synced; what a power
 * cut takes is read from the changelog again, since the offset up to which the file holds it is written together with it.
 */
export class ChangelogFile {
  readonly path: string
  readonly #db: DatabaseSync
  readonly #get: StatementSync
  readonly #set: StatementSync
  readonly #remove: StatementSync
  readonly #mark: StatementSync
  readonly #statements = new Map<string, StatementSync>()
  #position: number
  #caughtUpAtMs: number

  private constructor(path: string, db: DatabaseSync) {
    this.path = path
    this.#db = db
    this.#get = db.prepare('SELECT revision, value FROM state WHERE namespace = ? AND key = ?')
    this.#set = db.prepare('INSERT OR REPLACE INTO state (namespace, key, revision, value) VALUES (?, ?, ?, ?)')
    this.#remove = db.prepare('DELETE FROM state WHERE namespace = ? AND key = ?')
    this.#mark = db.prepare('UPDATE mark SET position = ?, caught_up_at_ms = ?')
    const mark = db.prepare('SELECT position, caught_up_at_ms FROM mark').get()
    this.#position = Number(mark?.['position'])
    this.#caughtUpAtMs = Number(mark?.['caught_up_at_ms'])
  }

  /** @throws KafkaStateFileError `KAFKA_STATE_FILE_UNUSABLE`: another process has it, or it cannot be written. */
  static open(path: string, identity: ChangelogIdentity): ChangelogFile {
    const owner = `${formatVersion} ${identity.topicId} ${identity.partition}`
    try {
      mkdirSync(dirname(path), { recursive: true })
      return openAs(path, owner, (db) => new ChangelogFile(path, db))
    } catch (error) {
      if (codeOf(error) === busyCode)
        throw new KafkaStateFileError(path, 'another engine is using it', { cause: error })
      try {
        for (const suffix of ['', '-wal', '-shm']) rmSync(`${path}${suffix}`, { force: true })
        return openAs(path, owner, (db) => new ChangelogFile(path, db))
      } catch (again) {
        throw new KafkaStateFileError(path, (again as Error).message, { cause: again })
      }
    }
  }

  /** Offset up to which the file holds the changelog. */
  get position(): number {
    return this.#position
  }

  /** When it last held all of it, on the wall clock; 0: never. */
  get caughtUpAtMs(): number {
    return this.#caughtUpAtMs
  }

  /** Takes changes over, in their order, and where the changelog goes on behind them. */
  apply(changes: readonly StateRecord[], position: number, caughtUpAtMs: number = this.#caughtUpAtMs): void {
    this.#guard(() => {
      this.#db.exec('BEGIN IMMEDIATE')
      try {
        for (const { namespace, key, value, revision } of changes) {
          if (value === null) this.#remove.run(namespace, key)
          else this.#set.run(namespace, key, revision, value)
        }
        this.#mark.run(position, caughtUpAtMs)
        this.#db.exec('COMMIT')
      } catch (error) {
        if (this.#db.isTransaction) this.#db.exec('ROLLBACK')
        throw error
      }
    })
    this.#position = position
    this.#caughtUpAtMs = caughtUpAtMs
  }

  /** Forgets everything: it has to be read from the beginning. */
  empty(): void {
    this.#guard(() => this.#db.exec('DELETE FROM state'))
    this.apply([], 0, 0)
  }

  read(namespace: string, key: string): { readonly revision: number; readonly value: string } | undefined {
    const row = this.#guard(() => this.#get.get(namespace, key))
    return row === undefined ? undefined : { revision: Number(row['revision']), value: String(row['value']) }
  }

  range(namespace: string, range: StateRange): readonly StateEntry[] {
    const { conditions, values, order, limit } = rangeConditions(namespace, range)
    const where = ['namespace = ?', ...conditions].join(' AND ')
    const sql = `SELECT key, revision, value FROM state WHERE ${where} ORDER BY key ${order} LIMIT ?`
    return this.#guard(() => this.#statement(sql).all(namespace, ...values, limit)).map((row) => ({
      key: String(row['key']),
      value: JSON.parse(String(row['value'])) as Json,
      revision: Number(row['revision']),
    }))
  }

  count(namespace: string): number {
    const sql = 'SELECT count(*) AS n FROM state WHERE namespace = ?'
    return this.#guard(() => Number(this.#statement(sql).get(namespace)?.['n']))
  }

  /** Keys and revisions of one key, or of all with a prefix. */
  list(
    namespace: string,
    key: string | undefined,
    prefix: string,
  ): readonly { readonly key: string; readonly revision: number }[] {
    const which = key === undefined ? 'substr(key, 1, length(?2)) = ?2' : 'key = ?2'
    const sql = `SELECT key, revision FROM state WHERE namespace = ?1 AND ${which}`
    return this.#guard(() => this.#statement(sql).all(namespace, key ?? prefix)).map((row) => ({
      key: String(row['key']),
      revision: Number(row['revision']),
    }))
  }

  /** Those that hold something, in name order. */
  namespaces(prefix: string): readonly string[] {
    // Skips from each namespace to the next, whatever it holds.
    const sql = `WITH RECURSIVE one(name) AS (
        SELECT min(namespace) FROM state
        UNION ALL SELECT (SELECT min(namespace) FROM state WHERE namespace > name) FROM one WHERE name IS NOT NULL
      ) SELECT name FROM one WHERE name IS NOT NULL AND substr(name, 1, length(?1)) = ?1`
    return this.#guard(() => this.#statement(sql).all(prefix)).map((row) => String(row['name']))
  }

  close(): void {
    if (this.#db.isOpen) this.#db.close()
  }

  #statement(sql: string): StatementSync {
    let statement = this.#statements.get(sql)
    if (statement === undefined) {
      statement = this.#db.prepare(sql)
      if (this.#statements.size > 100) this.#statements.clear()
      this.#statements.set(sql, statement)
    }
    return statement
  }

  #guard<T>(work: () => T): T {
    try {
      return work()
    } catch (error) {
      throw new KafkaStateFileError(this.path, (error as Error).message, { cause: error })
    }
  }
}

function openAs<T>(path: string, owner: string, use: (db: DatabaseSync) => T): T {
  const db = new DatabaseSync(path)
  try {
    // Exclusive: two engines on one file would each pass over what the other has read.
    db.exec('PRAGMA locking_mode = EXCLUSIVE; PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL; BEGIN EXCLUSIVE')
    db.exec('CREATE TABLE IF NOT EXISTS mark (owner TEXT, position INTEGER, caught_up_at_ms INTEGER) STRICT')
    if (db.prepare('SELECT owner FROM mark').get()?.['owner'] !== owner) {
      db.exec('DROP TABLE IF EXISTS state; DELETE FROM mark')
      db.exec(`CREATE TABLE state (namespace TEXT NOT NULL, key TEXT NOT NULL, revision INTEGER NOT NULL, value TEXT NOT NULL,
        PRIMARY KEY (namespace, key)) STRICT, WITHOUT ROWID`)
      db.prepare('INSERT INTO mark VALUES (?, 0, 0)').run(owner)
    }
    db.exec('COMMIT')
    return use(db)
  } catch (error) {
    db.close()
    throw error
  }
}

function codeOf(error: unknown): number | undefined {
  return (error as { readonly errcode?: number }).errcode
}
