import type { DatabaseSync, StatementSync } from 'node:sqlite'

/** What becomes of a transaction that is about to be committed. */
export type CommitFate = 'stored' | 'disk-full' | 'sync-failed' | 'stored-by-a-failed-sync'

const syncFailure = { errcode: 1034, message: 'disk I/O error' }
/** Extended result codes of SQLite, and what it says with them. */
const failures = {
  'disk-full': { errcode: 13, message: 'database or disk is full' },
  'sync-failed': syncFailure,
  'stored-by-a-failed-sync': syncFailure,
} as const

/** What SQLite throws then. */
export function failureOf(fate: Exclude<CommitFate, 'stored'>): Error {
  const { errcode, message } = failures[fate]
  return Object.assign(new Error(message), { code: 'ERR_SQLITE_ERROR', errcode })
}

/** The connection as the writing side sees it: committing fails when `fate` says so, as SQLite would fail. */
export function faultyConnection(db: DatabaseSync, fate: () => CommitFate): DatabaseSync {
  const methods = new Map<PropertyKey, unknown>()
  return new Proxy(db, {
    get(target, name) {
      const known = methods.get(name)
      if (known !== undefined) return known
      const value: unknown = Reflect.get(target, name, target)
      if (typeof value !== 'function') return value
      const method: unknown =
        name === 'prepare'
          ? (sql: string) => (sql === 'COMMIT' ? failingStatement(target.prepare(sql), fate) : target.prepare(sql))
          : value.bind(target)
      methods.set(name, method)
      return method
    },
  })
}

function failingStatement(commit: StatementSync, fate: () => CommitFate): Pick<StatementSync, 'run'> {
  return {
    run: () => {
      const outcome = fate()
      if (outcome === 'stored') return commit.run()
      if (outcome === 'stored-by-a-failed-sync') commit.run()
      throw failureOf(outcome)
    },
  }
}
