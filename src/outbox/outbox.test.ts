import { drizzle } from 'drizzle-orm/node-postgres'
import { describe, expect, it, vi } from 'vitest'
import { VirtualClock } from '../kernel/index.ts'
import {
  createInbox,
  createOutbox,
  fromStatements,
  inbox,
  inboxSchemaSql,
  outbox,
  outboxSchemaSql,
  relayOutbox,
  templateOf,
} from './index.ts'

const pool = { connect: () => Promise.reject(new TypeError('nobody is there')) }
const engine = { commit: () => Promise.reject(new TypeError('nobody is there')) } as never

describe('names of tables', () => {
  const client = fromStatements(() => Promise.resolve([]))
  it.each([{ schema: '' }, { table: 7 }, { table: 'x'.repeat(56) }, { schema: 'a\0b' }, { tabel: 'x' }])(
    'that cannot be used are refused: %j',
    (options) => {
      for (const use of [outboxSchemaSql, inboxSchemaSql, outbox.bind(null, client), inbox.bind(null, client)]) {
        expect(() => use(options as never)).toThrow(/is no/)
      }
    },
  )

  it('hold whatever PostgreSQL lets names hold', () => {
    const text = outboxSchemaSql({ schema: `my "schema"`, table: `it's \\` })
    expect(text).toContain(`"my ""schema""".`)
  })
})

describe('options of a relay', () => {
  it.each([
    [{ engine }, 'pool'],
    [{ pool }, 'engine'],
    [{ pool, engine, keep: 'for ever' }, 'keep'],
    [{ pool, engine, poll: '0ms' }, 'poll'],
    [{ pool, engine, batchRowsMax: 0 }, 'batchRowsMax'],
    [{ pool, engine, createTopics: 'yes' }, 'createTopics'],
    [{ pool, engine, table: '' }, 'table'],
    [{ pool, engine, batchSize: 5 }, 'batchSize'],
    [undefined, 'options'],
  ])('that cannot be used are named: %#', (options, named) => {
    expect(() => relayOutbox(options as never)).toThrow(named)
  })

  it('are told all at once', () => {
    const start = (): unknown => relayOutbox({ keep: 'x', poll: 'y' } as never)
    for (const option of ['pool', 'engine', 'keep', 'poll']) expect(start).toThrow(option)
  })
})

describe('a relay that cannot go on', () => {
  /** A database without the table. */
  const without = {
    query: () => Promise.resolve({ rows: [] }),
    on: () => undefined,
    release: () => undefined,
  }

  it('says so by finished, and is closed as any other', async () => {
    const relay = relayOutbox({ pool: { connect: () => Promise.resolve(without) }, engine })
    await expect(relay.finished).rejects.toMatchObject({ code: 'OUTBOX_TABLE_MISSING' })
    await relay.close()
  })

  it('is not one whose database is away, which goes on until it is closed', async () => {
    let tries = 0
    const failing = { connect: () => Promise.reject(new TypeError(`nobody is there, ${++tries}`)) }
    const relay = relayOutbox({ pool: failing, engine, clock: new VirtualClock() })
    await vi.waitUntil(() => tries > 0)
    await relay.close()
    expect(await relay.finished).toBeUndefined()
  })
})

describe('clients of other makes', () => {
  it('are refused as they are, and told what makes clients of them', async () => {
    const refused = { code: 'OUTBOX_CLIENT_INVALID', message: expect.stringContaining('fromStatements()') }
    const transaction = drizzle.mock() as never
    for (const use of [outbox, inbox]) {
      expect(() => use(transaction)).toThrow(expect.objectContaining(refused))
      expect(() => use(undefined as never)).toThrow(expect.objectContaining(refused))
    }
    for (const create of [createOutbox, createInbox]) await expect(create(transaction)).rejects.toMatchObject(refused)
  })

  it('may answer rows, an object with rows, or nothing', async () => {
    for (const [answer, rows] of [
      [[{ a: 1 }], [{ a: 1 }]],
      [{ rows: [{ a: 1 }] }, [{ a: 1 }]],
      [undefined, []],
      [3, []],
    ] as const) {
      expect(await fromStatements(() => Promise.resolve(answer)).query('SELECT 1', [])).toEqual({ rows })
    }
  })

  it('get statements as the parts of a template', () => {
    const parts = templateOf('SELECT $1::text, $2')
    expect([...parts]).toEqual(['SELECT ', '::text, ', ''])
    expect(parts.raw).toEqual([...parts])
  })
})
