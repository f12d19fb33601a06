import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { describe, expect, it } from 'vitest'
import { openForReading, openForWriting } from '../connection.ts'
import { temporaryFolder } from '../file.test-support.ts'
import {
  applicationId,
  checkFormat,
  formatVersion,
  type Migration,
  migrate,
  migrations,
  pragmaNumber,
} from './schema.ts'

const folder = temporaryFolder()

function coded(work: () => unknown): unknown {
  try {
    work()
  } catch (error) {
    return (error as { code: unknown }).code
  }
  return 'nothing was thrown'
}

function tablesOf(db: DatabaseSync): unknown[] {
  return db
    .prepare("SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY name")
    .all()
    .map((row) => row['name'])
}

describe('the format of a file', () => {
  it('is noted in a new one', () => {
    const db = openForWriting(join(folder, 'new.db'))
    expect(pragmaNumber(db, 'application_id')).toBe(applicationId)
    expect(pragmaNumber(db, 'user_version')).toBe(formatVersion)
    expect(checkFormat(db, 'new.db')).toBe(formatVersion)
    db.close()
  })

  it.each([false, true])('that is newer is refused and left as it is (read only: %s)', (readOnly) => {
    const path = join(folder, `newer-${readOnly}.db`)
    openForWriting(path).close()
    const raw = new DatabaseSync(path)
    raw.exec(`PRAGMA user_version = ${formatVersion + 1}; CREATE TABLE tomorrow (id INTEGER)`)
    raw.close()
    expect(coded(() => (readOnly ? openForReading(path) : openForWriting(path)))).toBe('FILE_FORMAT_NEWER')
    const after = new DatabaseSync(path)
    expect(pragmaNumber(after, 'user_version')).toBe(formatVersion + 1)
    expect(tablesOf(after)).toContain('tomorrow')
    after.close()
  })

  it('of another program is refused, and nothing is changed', () => {
    const path = join(folder, 'foreign.db')
    const raw = new DatabaseSync(path)
    raw.exec('CREATE TABLE invoice (id INTEGER); INSERT INTO invoice VALUES (7)')
    raw.close()
    expect(coded(() => openForWriting(path))).toBe('FILE_FOREIGN')
    expect(coded(() => openForReading(path))).toBe('FILE_FOREIGN')
    const after = new DatabaseSync(path)
    expect(tablesOf(after)).toEqual(['invoice'])
    expect(pragmaNumber(after, 'application_id')).toBe(0)
    expect(Object.values(after.prepare('PRAGMA journal_mode').get() ?? {})).toEqual(['delete'])
    after.close()
  })

  it('of another program that is still empty but marked is refused', () => {
    const path = join(folder, 'marked.db')
    const raw = new DatabaseSync(path)
    raw.exec('PRAGMA application_id = 1234')
    raw.close()
    expect(coded(() => openForWriting(path))).toBe('FILE_FOREIGN')
  })

  it.each(['Dear diary, '.repeat(500), 'xy'])('that is no SQLite database at all is refused', (text) => {
    const path = join(folder, `text-${text.length}`)
    writeFileSync(path, text)
    expect(coded(() => openForWriting(path))).toBe('FILE_FOREIGN')
  })

  it('is refused for reading while the file is empty', () => {
    const path = join(folder, 'empty.db')
    writeFileSync(path, '')
    expect(coded(() => openForReading(path))).toBe('FILE_UNUSABLE')
  })
})

describe('migrations', () => {
  const addNote: Migration = (db) => db.exec('CREATE TABLE note (id INTEGER PRIMARY KEY, text TEXT NOT NULL) STRICT')
  const fillNote: Migration = (db) => db.exec("INSERT INTO note (text) SELECT 'topic ' || name FROM topic")

  it('there are as many as the format has versions', () => {
    expect(migrations.length).toBe(formatVersion)
  })

  it('run from the version of the file on, in order, and note the new version', () => {
    const db = openForWriting(':memory:')
    db.exec("INSERT INTO topic (name, config) VALUES ('orders', '{}')")
    migrate(db, formatVersion, [...migrations, addNote, fillNote])
    expect(db.prepare('SELECT text FROM note').all()).toEqual([{ text: 'topic orders' }])
    expect(checkFormat(db, 'file', formatVersion + 2)).toBe(formatVersion + 2)
    db.close()
  })

  it('do nothing in a file of the newest version', () => {
    const db = openForWriting(':memory:')
    migrate(db, formatVersion)
    expect(checkFormat(db, 'file')).toBe(formatVersion)
    db.close()
  })

  it('that fail leave the file as it was, also what earlier steps did', () => {
    const db = openForWriting(':memory:')
    const broken: Migration = (one) => one.exec('INSERT INTO nowhere VALUES (1)')
    expect(() => migrate(db, formatVersion, [...migrations, addNote, broken])).toThrow(/nowhere/)
    expect(tablesOf(db)).not.toContain('note')
    expect(checkFormat(db, 'file')).toBe(formatVersion)
    expect(db.isTransaction).toBe(false)
    migrate(db, formatVersion, [...migrations, addNote])
    expect(tablesOf(db)).toContain('note')
    db.close()
  })
})
