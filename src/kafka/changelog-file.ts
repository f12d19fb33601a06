import { mkdirSync, rmSync } from 'node:fs'
import { dirname } from 'node:path'
import { DatabaseSync, type StatementSync } from 'node:sqlite'
import { rangeConditions } from '../committing/index.ts'
import type { StateEntry, StateRange } from '../engine/index.ts'
import type { Json } from '../kernel/index.ts'
import type { StateRecord } from './changelog-format.ts'
import { KafkaStateFileError } from './errors.ts'

/** How far a file holds one partition of its changelog. */
interface Mark {
  /** Offset up to which it does. */
  readonly position: number
  /** When it last held all of it, on the wall clock; 0: never. */
  readonly caughtUpAtMs: number
}

const noMark: Mark = { position: 0, caughtUpAtMs: 0 }

const formatVersion = 1
const busyCode = 5

/**
 * The state that a changelog stands for, or some of its partitions, in a SQLite file of this machine. It is a copy: the
 * changelog is the truth, and a file that is of another topic, of another format or damaged is made anew. So nothing is
 * synced; what a power cut takes is read from the changelog again, since the offset up to which the file holds a partition is
 * written together with what it holds of it.
 */
export class ChangelogFile {
  readonly path: string
  readonly #db: DatabaseSync
  readonly #get: StatementSync
  readonly #set: StatementSync
  readonly #remove: StatementSync
  readonly #mark: StatementSync
  readonly #statements = new Map<string, StatementSync>()
  readonly #marks = new Map<number, Mark>()

  private constructor(path: string, db: DatabaseSync) {
    this.path = path
    this.#db = db
    this.#get = db.prepare('SELECT revision, value FROM state WHERE namespace = ? AND key = ? AND part = ?')
    this.#set = db.prepare(
      'INSERT OR REPLACE INTO state (namespace, key, part, revision, value) VALUES (?, ?, ?, ?, ?)',
    )
    this.#remove = db.prepare('DELETE FROM state WHERE namespace = ? AND key = ? AND part = ?')
    this.#mark = db.prepare('INSERT OR REPLACE INTO mark (part, position, caught_up_at_ms) VALUES (?, ?, ?)')
    for (const row of db.prepare('SELECT part, position, caught_up_at_ms FROM mark').all()) {
      const mark = { position: Number(row['position']), caughtUpAtMs: Number(row['caught_up_at_ms']) }
      this.#marks.set(Number(row['part']), mark)
    }
  }

  /**
   * @param topicId Changes when a topic is deleted and made anew under its name.
   * @throws KafkaStateFileError `KAFKA_STATE_FILE_UNUSABLE`: another process has it, or it cannot be written.
   */
  static open(path: string, topicId: string): ChangelogFile {
    const owner = `${formatVersion} ${topicId}`
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

  markOf(part: number): Mark {
    return this.#marks.get(part) ?? noMark
  }

  /** Takes changes of one partition over, in their order, and where the changelog goes on behind them. */
  apply(part: number, changes: readonly StateRecord[], mark: Mark): void {
    this.#write(() => {
      for (const { namespace, key, value, revision } of changes) {
        if (value === null) this.#remove.run(namespace, key, part)
        else this.#set.run(namespace, key, part, revision, value)
      }
      this.#mark.run(part, mark.position, mark.caughtUpAtMs)
    })
    this.#marks.set(part, mark)
  }

  /** Forgets a partition: it has to be read from the beginning. */
  empty(part: number): void {
    this.#write(() => {
      this.#db.prepare('DELETE FROM state WHERE part = ?').run(part)
      this.#db.prepare('DELETE FROM mark WHERE part = ?').run(part)
    })
    this.#marks.delete(part)
  }

  /** @param part Default: whichever partition has the key. */
  read(
    namespace: string,
    key: string,
    part?: number,
  ): { readonly revision: number; readonly value: string } | undefined {
    const any = 'SELECT revision, value FROM state WHERE namespace = ? AND key = ? LIMIT 1'
    const row = this.#guard(() =>
      part === undefined ? this.#statement(any).get(namespace, key) : this.#get.get(namespace, key, part),
    )
    return row === undefined ? undefined : { revision: Number(row['revision']), value: String(row['value']) }
  }

  /** @param part Default: all partitions. */
  range(namespace: string, range: StateRange, part?: number): readonly StateEntry[] {
    const { conditions, values, order, limit } = rangeConditions(namespace, range)
    const where = ['namespace = ?', ...conditions, ...(part === undefined ? [] : ['part = ?'])].join(' AND ')
    // A limit that is a bare parameter would have SQLite plan the statement anew for every read.
    const sql = `SELECT key, revision, value FROM state WHERE ${where} ORDER BY key ${order} LIMIT ? + 0`
    const given = [namespace, ...values, ...(part === undefined ? [] : [part]), limit]
    return this.#guard(() => this.#statement(sql).all(...given)).map((row) => ({
      key: String(row['key']),
      value: JSON.parse(String(row['value'])) as Json,
      revision: Number(row['revision']),
    }))
  }

  /** @param part Default: all partitions. */
  count(namespace: string, part?: number): number {
    const sql = `SELECT count(*) AS n FROM state WHERE namespace = ?1 AND (?2 IS NULL OR part = ?2)`
    return this.#guard(() => Number(this.#statement(sql).get(namespace, part ?? null)?.['n']))
  }

  /** Keys and revisions of one key, or of all with a prefix; of one partition, or of all. */
  list(
    namespace: string,
    key: string | undefined,
    prefix: string,
    part?: number,
  ): readonly { readonly key: string; readonly revision: number }[] {
    const which = key === undefined ? 'substr(key, 1, length(?2)) = ?2' : 'key = ?2'
    const sql = `SELECT key, revision FROM state WHERE namespace = ?1 AND ${which} AND (?3 IS NULL OR part = ?3)`
    return this.#guard(() => this.#statement(sql).all(namespace, key ?? prefix, part ?? null)).map((row) => ({
      key: String(row['key']),
      revision: Number(row['revision']),
    }))
  }

  /** Those that hold something, in name order; of one partition, or of all. */
  namespaces(prefix: string, part?: number): readonly string[] {
    // Skips from each namespace to the next, whatever it holds.
    const sql = `WITH RECURSIVE one(name) AS (
        SELECT min(namespace) FROM state
        UNION ALL SELECT (SELECT min(namespace) FROM state WHERE namespace > name) FROM one WHERE name IS NOT NULL
      ) SELECT name FROM one WHERE name IS NOT NULL AND substr(name, 1, length(?1)) = ?1
        AND (?2 IS NULL OR EXISTS (SELECT 1 FROM state WHERE namespace = name AND part = ?2))`
    return this.#guard(() => this.#statement(sql).all(prefix, part ?? null)).map((row) => String(row['name']))
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

  #write(work: () => void): void {
    this.#guard(() => {
      this.#db.exec('BEGIN IMMEDIATE')
      try {
        work()
        this.#db.exec('COMMIT')
      } catch (error) {
        if (this.#db.isTransaction) this.#db.exec('ROLLBACK')
        throw error
      }
    })
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
    db.exec('CREATE TABLE IF NOT EXISTS owner (name TEXT) STRICT')
    if (db.prepare('SELECT name FROM owner').get()?.['name'] !== owner) {
      db.exec(`DROP TABLE IF EXISTS state; DROP TABLE IF EXISTS mark; DELETE FROM owner;
        CREATE TABLE mark (part INTEGER PRIMARY KEY, position INTEGER NOT NULL, caught_up_at_ms INTEGER NOT NULL) STRICT;
        CREATE TABLE state (namespace TEXT NOT NULL, key TEXT NOT NULL, part INTEGER NOT NULL, revision INTEGER NOT NULL,
          value TEXT NOT NULL, PRIMARY KEY (namespace, key, part)) STRICT, WITHOUT ROWID`)
      db.prepare('INSERT INTO owner VALUES (?)').run(owner)
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
