import type { DatabaseSync, StatementSync } from 'node:sqlite'
import { describe, expect, it } from 'vitest'
import { resolveTopicConfig, type UnitCommand, type UnitResult } from '../../committing/index.ts'
import { BatchBufferPool, RecordBatchBuilder } from '../../record/index.ts'
import { openForWriting } from '../connection.ts'
import type { StoreRequest } from './protocol.ts'
import { Store } from './store.ts'

/** A connection whose next commit fails with this result code of SQLite; 0: it does not. */
function failing(db: DatabaseSync): { readonly connection: DatabaseSync; next: (errcode: number) => void } {
  let errcode = 0
  const commit = (statement: StatementSync): Pick<StatementSync, 'run'> => ({
    run: () => {
      const code = errcode
      errcode = 0
      if (code !== 0) throw Object.assign(new Error('simulated'), { errcode: code })
      return statement.run()
    },
  })
  const connection = new Proxy(db, {
    get(target, name) {
      if (name === 'prepare') return (sql: string) => (sql === 'COMMIT' ? commit(db.prepare(sql)) : db.prepare(sql))
      const value: unknown = Reflect.get(target, name, target)
      return typeof value === 'function' ? (value.bind(target) as unknown) : value
    },
  })
  return {
    connection,
    next: (code) => {
      errcode = code
    },
  }
}

function setting(key: string): StoreRequest {
  const unit: UnitCommand = {
    batches: [],
    appends: [],
    state: [{ kind: 'set', namespace: 'n', key, value: '1', expected: -1 }],
    timers: [],
    progress: [],
  }
  return { kind: 'commit', timeMs: 0, arena: new Uint8Array(0), units: [unit] }
}

function keys(db: DatabaseSync): unknown[] {
  return db
    .prepare('SELECT key FROM state ORDER BY key')
    .all()
    .map(({ key }) => key)
}

const syncFailed = 1034
const full = 13
const busy = 5

describe('the writing side', () => {
  it('refuses all that comes after a failed sync, also what was on its way', () => {
    const db = openForWriting(':memory:')
    const { connection, next } = failing(db)
    const store = new Store(connection)
    store.handle(setting('a'))
    next(syncFailed)
    expect(() => store.handle(setting('b'))).toThrow('simulated')
    for (const request of [setting('c'), { kind: 'maintain', nowMs: 0, ends: new Map(), onlyDue: false } as const]) {
      expect(() => store.handle(request)).toThrow(expect.objectContaining({ errcode: syncFailed }))
    }
    expect(keys(db)).toEqual(['a'])
    expect(store.handle({ kind: 'close' })).toBe(null)
  })

  it('does not look at the file once more when it closes after a failure', () => {
    const statements: string[] = []
    const close = (use: (store: Store) => void, errcode: number): void => {
      const db = openForWriting(':memory:')
      const { connection, next } = failing(db)
      const store = new Store(connection)
      next(errcode)
      use(store)
      const exec = db.exec.bind(db)
      db.exec = (sql) => {
        statements.push(sql)
        exec(sql)
      }
      store.handle({ kind: 'close' })
      expect(db.isOpen).toBe(false)
    }
    close((store) => store.handle(setting('a')), 0)
    expect(statements.splice(0)).toEqual(['PRAGMA optimize'])
    close((store) => expect(() => store.handle(setting('a'))).toThrow(expect.objectContaining({ errcode: busy })), busy)
    expect(statements).toEqual([])
  })

  it('goes on after a full disk, which took one transaction back', () => {
    const db = openForWriting(':memory:')
    const { connection, next } = failing(db)
    const store = new Store(connection)
    next(full)
    expect(() => store.handle(setting('a'))).toThrow(expect.objectContaining({ errcode: full }))
    const [result] = store.handle(setting('b')) as readonly UnitResult[]
    expect(result?.kind).toBe('committed')
    expect(keys(db)).toEqual(['b'])
  })

  it('counts once what a full disk took back, also where a commit among it was refused', () => {
    const { connection, next } = failing(openForWriting(':memory:'))
    const store = new Store(connection)
    const config = resolveTopicConfig('t', { partitions: 1 })
    const topic = store.handle({ kind: 'create-topic', name: 't', config })
    const partitionId = topic.partitions[0]?.id as number
    const claim = { group: 'g', topic: 't', partition: 0, epoch: 1 }
    const builder = new RecordBatchBuilder({ pool: new BatchBufferPool(), recordBytesMax: 1000 })
    builder.appendRaw({ key: 'k', value: 'v', timestampMs: 1 })
    const batch = { partitionId, bytes: builder.seal({ crc: false }), recordCount: 1, timeMaxMs: 1 }
    const commit = (unit: Partial<UnitCommand>): StoreRequest => ({
      kind: 'commit',
      timeMs: 0,
      arena: new Uint8Array(0),
      units: [{ batches: [], appends: [], state: [], timers: [], progress: [], ...unit }],
    })
    next(full)
    const refused = commit({
      batches: [batch],
      state: [{ kind: 'set', namespace: 'n', key: 'a', value: '1', expected: 5 }],
      progress: [{ claim, partitionId, done: [] }],
    })
    expect(() => store.handle(refused)).toThrow(expect.objectContaining({ errcode: full }))
    const [result] = store.handle(
      commit({ progress: [{ claim, partitionId, done: [], rollbackCount: 1 }] }),
    ) as readonly UnitResult[]
    expect(result?.kind).toBe('committed')
  })
})
