import { describe, expect, it } from 'vitest'
import { fromStatements, inbox, inboxSchemaSql, outbox, outboxSchemaSql, relayOutbox, templateOf } from './index.ts'

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

describe('clients of other makes', () => {
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
