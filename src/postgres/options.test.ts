import { describe, expect, it } from 'vitest'
import { OptionsInvalidError } from '../kernel/index.ts'
import { type PostgresOptions, resolvePostgresOptions } from './options.ts'

/** The options that an attempt was told are wrong. */
function refusedOptions(options: unknown): readonly string[] {
  try {
    resolvePostgresOptions(options as PostgresOptions)
    return []
  } catch (error) {
    if (!(error instanceof OptionsInvalidError)) throw error
    return error.details.problems.map(({ option }) => option)
  }
}

const connection = 'postgres://shop@localhost/shop'

describe('the options of the PostgreSQL engine', () => {
  it('need a connection and nothing else', () => {
    expect(refusedOptions({ connection })).toEqual([])
    expect(refusedOptions({ connection: { host: 'db' } })).toEqual([])
    expect(refusedOptions({})).toEqual(['connection'])
    expect(refusedOptions({ connection: 'mysql://localhost' })).toEqual(['connection'])
    expect(refusedOptions(undefined)).toEqual(['options'])
  })

  it('name each part of a connection that is of a wrong kind', () => {
    const ssl = { rejectUnauthorized: true }
    const right = { host: 'db', port: 1, database: 'd', user: 'u', password: async () => 'p', ssl }
    expect(refusedOptions({ connection: right })).toEqual([])
    const wrong = { host: 5, port: '5432', database: null, user: 7, password: 42, ssl: 'yes', prot: 1 }
    expect(refusedOptions({ connection: wrong }).toSorted()).toEqual(
      ['host', 'port', 'database', 'user', 'password', 'ssl', 'prot'].map((name) => `connection.${name}`).toSorted(),
    )
    for (const port of [0, 65_536, 1.5, Number.NaN]) {
      expect(refusedOptions({ connection: { port } })).toEqual(['connection.port'])
    }
  })

  it('are refused all at once', () => {
    const wrong = { connection: 7, schema: '', poolMax: 2, pollMs: 0, statementTimeoutMs: 'soon', shcema: 'x' }
    expect(refusedOptions(wrong).toSorted()).toEqual(
      ['connection', 'pollMs', 'poolMax', 'schema', 'shcema', 'statementTimeoutMs'].toSorted(),
    )
  })

  it.each(['public', 'pg_catalog', 'information_schema', 'x'.repeat(64), 'ü'.repeat(32), 'a\0b', '\ud800'])(
    'refuse %j as a schema',
    (schema) => {
      expect(refusedOptions({ connection, schema })).toEqual(['schema'])
    },
  )

  it('take any other name for one', () => {
    expect(refusedOptions({ connection, schema: `Ünser "Laden" \\ 'so'` })).toEqual([])
  })

  it('let an engine wait for ever for a server that is gone, unless a time is given', () => {
    expect(resolvePostgresOptions({ connection }).reconnectTimeoutMs).toBeNull()
    expect(resolvePostgresOptions({ connection, reconnectTimeoutMs: 0 }).reconnectTimeoutMs).toBe(0)
    expect(refusedOptions({ connection, reconnectTimeoutMs: -1 })).toEqual(['reconnectTimeoutMs'])
  })
})
