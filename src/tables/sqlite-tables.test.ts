import { DatabaseSync } from 'node:sqlite'
import { describe, expect, it } from 'vitest'
import { sqliteTables } from './index.ts'

describe.each([{ readBigInts: true }, { returnArrays: true }])('tables of a connection with %o', (options) => {
  it('apply a message once', async () => {
    using database = new DatabaseSync(':memory:', options)
    const tables = sqliteTables(database)
    await tables.prepare(['CREATE TABLE seen (id TEXT)'])
    const change = {
      message: { id: 'a', source: '/test' },
      run: (db: DatabaseSync) => db.prepare('INSERT INTO seen VALUES (?)').run('a'),
    }
    await tables.transact('h', [change])
    await tables.transact('h', [change])
    expect(database.prepare('SELECT * FROM seen').all()).toHaveLength(1)
  })

  it('are refused where they may forget what they have acknowledged', async () => {
    using database = new DatabaseSync(':memory:', options)
    database.exec('PRAGMA synchronous = OFF')
    await expect(sqliteTables(database).prepare([])).rejects.toMatchObject({ code: 'TABLES_NOT_DURABLE' })
  })
})
