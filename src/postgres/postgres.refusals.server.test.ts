import pg from 'pg'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { startServer } from '../../scripts/servers/index.ts'
import { type PostgresOptions, postgres } from './index.ts'
import { codeOf, message } from './messages.test-support.ts'
import { dropSchema, runSql, serversWanted, serverUrl } from './real-server.test-support.ts'

const schema = `refusals_${process.pid}`

// Skipped because it needs a real server: `npm run test:engines` runs it.
describe.skipIf(!serversWanted)('what a server says no to', () => {
  let url = ''
  beforeAll(async () => {
    url = await serverUrl()
    await (await open()).close()
  }, 600_000)
  afterAll(() => dropSchema(url, schema))

  const open = (options: Partial<PostgresOptions> = {}) => postgres({ connection: url, schema, ...options }).open()
  const changed = (change: (parts: URL) => void): string => {
    const parts = new URL(url)
    change(parts)
    return parts.href
  }

  it('is told at once: a database that is not there', async () => {
    const connection = changed((parts) => {
      parts.pathname = '/no_such_database'
    })
    expect(await codeOf(open({ connection }))).toBe('POSTGRES_DATABASE_MISSING')
  })

  it('is told at once: a user that is not there', async () => {
    const connection = changed((parts) => {
      parts.username = 'nobody_at_all'
      parts.password = 'wrong'
    })
    expect(await codeOf(open({ connection }))).toBe('POSTGRES_ACCESS_REFUSED')
  })

  it('is told after the time that the options allow: nobody there', async () => {
    const connection = changed((parts) => {
      parts.port = '1'
    })
    expect(await codeOf(open({ connection, connectTimeoutMs: 100 }))).toBe('POSTGRES_UNREACHABLE')
  })

  it('is told at once: TLS that the server does not have', async () => {
    const connection = changed((parts) => parts.searchParams.set('sslmode', 'require'))
    expect(await codeOf(open({ connection }))).toBe('POSTGRES_TLS_REFUSED')
  })

  it('is told at once: a function that gives no password', async () => {
    const { hostname: host, port, username: user, pathname } = new URL(url)
    const place = { host, port: Number(port), user, database: pathname.slice(1) }
    const away = (): never => {
      throw new Error('the vault is away')
    }
    expect(await codeOf(open({ connection: { ...place, password: away } }))).toBe('POSTGRES_PASSWORD_MISSING')
    const number = (async () => 42) as unknown as () => Promise<string>
    expect(await codeOf(open({ connection: { ...place, password: number } }))).toBe('POSTGRES_PASSWORD_MISSING')
  })

  it('names no password', async () => {
    const connection = 'postgres://someone:very-secret@127.0.0.1:1/db'
    const error = await open({ connection, connectTimeoutMs: 0 }).catch((thrown: unknown) => thrown)
    expect(String(error)).toContain('127.0.0.1:1/db')
    expect(JSON.stringify(error) + String(error)).not.toContain('very-secret')
  })

  it('is told at once: a server that takes no writes', async () => {
    const connection = changed((parts) => {
      parts.searchParams.set('options', '-c default_transaction_read_only=on')
    })
    expect(await codeOf(open({ connection }))).toBe('POSTGRES_READ_ONLY')
  })

  it('is told at once: a database whose encoding lacks characters', async () => {
    const { superuserUrl } = (await startServer('postgres')).connection
    const database = `latin_${process.pid}`
    await runSql(superuserUrl, `DROP DATABASE IF EXISTS ${database}`)
    const owner = new URL(url).username
    await runSql(
      superuserUrl,
      `CREATE DATABASE ${database} ENCODING 'LATIN1' TEMPLATE template0 LC_COLLATE 'C' LC_CTYPE 'C' OWNER ${owner}`,
    )
    const connection = changed((parts) => {
      parts.pathname = `/${database}`
    })
    const error = await open({ connection }).catch((thrown: unknown) => thrown)
    expect(error).toMatchObject({ code: 'POSTGRES_ENCODING', details: { encoding: 'LATIN1' } })
    await runSql(superuserUrl, `DROP DATABASE ${database}`)
  })

  it('is told at once, and nothing is changed: a schema of a newer version, or of another program', async () => {
    const newer = `${schema}_newer`
    await (await open({ schema: newer })).close()
    await runSql(url, `UPDATE ${newer}.meta SET format_version = 99`)
    expect(await codeOf(open({ schema: newer }))).toBe('POSTGRES_SCHEMA_NEWER')
    await dropSchema(url, newer)
    await runSql(url, `CREATE SCHEMA ${newer}`)
    await runSql(url, `CREATE TABLE ${newer}.theirs (id integer)`)
    expect(await codeOf(open({ schema: newer }))).toBe('POSTGRES_SCHEMA_FOREIGN')
    await dropSchema(url, newer)
  })

  it('is told who only reads, and nothing is changed: a schema that is not there, or of an older version', async () => {
    const older = `${schema}_older`
    const visit = async (): Promise<void> => {
      const source = postgres({ connection: url, schema: older })
      await (await source.open({ visit: 'read' })).close()
    }
    const versions = (): Promise<unknown> => runSql(url, `SELECT format_version FROM ${older}.meta`)
    expect(await codeOf(visit())).toBe('POSTGRES_SCHEMA_MISSING')
    expect(await runSql(url, 'SELECT 1 FROM pg_namespace WHERE nspname = $1', [older])).toEqual([])
    await (await open({ schema: older })).close()
    expect(await codeOf(visit())).toBeUndefined()
    // As that version left it.
    await runSql(url, `DROP TABLE ${older}.change`)
    await runSql(url, `UPDATE ${older}.meta SET format_version = 3`)
    expect(await codeOf(visit())).toBe('POSTGRES_SCHEMA_OLDER')
    expect(await versions()).toEqual([{ format_version: 3 }])
    await (await open({ schema: older })).close()
    expect(await codeOf(visit())).toBeUndefined()
    await dropSchema(url, older)
  })

  it('takes an empty schema of its own from a user who may create none', async () => {
    const { superuserUrl } = (await startServer('postgres')).connection
    const own = `${schema}_own`
    const role = `few_${process.pid}`
    await runSql(superuserUrl, `CREATE ROLE ${role} LOGIN PASSWORD 'few'`)
    await runSql(superuserUrl, `CREATE SCHEMA ${own} AUTHORIZATION ${role}`)
    const connection = changed((parts) => {
      parts.username = role
      parts.password = 'few'
    })
    const opening = open({ connection, schema: own }).then((engine) => engine.close())
    expect(await codeOf(opening)).toBeUndefined()
    expect(await codeOf(open({ connection, schema: `${own}_2` }))).toBe('POSTGRES_ACCESS_REFUSED')
    await dropSchema(superuserUrl, own)
    await runSql(superuserUrl, `DROP ROLE ${role}`)
  })

  it('takes an empty schema, and any name for one', async () => {
    const strange = `${schema} "Ünd" \\ 'so' $$ $body1$`
    await runSql(url, `CREATE SCHEMA "${strange.replaceAll('"', '""')}"`)
    await using engine = await open({ schema: strange })
    const stored = { append: [{ stream: 's', events: [{ message: message('A'), tags: ['t'] }] }] }
    const timer = { timers: [{ kind: 'schedule', owner: 'o', id: 'i', dueMs: 1, payload: null }] } as const
    const state = { state: [{ kind: 'set', namespace: 'n', key: 'k', value: 1 }] } as const
    expect((await engine.commit({ ...stored, ...timer, ...state })).ok).toBe(true)
    await engine.close()
    await dropSchema(url, strange)
  })

  it('concerns one group only: a statement that takes too long', async () => {
    // Long enough for what nobody holds up, also where the machine is busy: the lock stays until it has been met.
    await using engine = await open({ statementTimeoutMs: 3000 })
    const holder = new pg.Client({ connectionString: url })
    await holder.connect()
    const append = [{ stream: 's', events: [{ message: message('A') }] }]
    try {
      await holder.query(`BEGIN; LOCK TABLE ${schema}.event_head`)
      expect(await codeOf(engine.commit({ append }))).toBe('POSTGRES_STATEMENT_TIMED_OUT')
    } finally {
      await holder.end()
    }
    expect((await engine.commit({ append })).ok).toBe(true)
    expect((await Array.fromAsync(engine.events.readStream('s'))).length).toBe(1)
  })
})
