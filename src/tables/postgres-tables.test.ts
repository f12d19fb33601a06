import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { postgresTables, TableChangeTimeoutError, type TableConnection, type TableDatabase } from './index.ts'

/** What a server answers to a statement: rows, an error, or nothing ever. */
type Answer = readonly unknown[] | Error | 'silence'

/** A server by a function, and what it was asked. A connection that is given up answers nothing more. */
function serverOf(answer: (text: string) => Answer): {
  readonly texts: string[]
  readonly released: (boolean | undefined)[]
  readonly tables: TableDatabase<TableConnection>
} {
  const texts: string[] = []
  const released: (boolean | undefined)[] = []
  const connect = async (): Promise<TableConnection> => ({
    query: (text) => {
      texts.push(text.trim().replaceAll(/\s+/g, ' '))
      const said = answer(text)
      if (said === 'silence') return new Promise(() => undefined)
      return said instanceof Error ? Promise.reject(said) : Promise.resolve({ rows: said, command: 'COMMIT' })
    },
    on: () => undefined,
    off: () => undefined,
    release: (destroy) => released.push(destroy),
  })
  return { texts, released, tables: postgresTables({ connect }) }
}

const message = (id: string): { readonly id: string; readonly source: string } => ({ id, source: '/test' })

/** As a server answers all that a transaction of the view asks. */
function usual(text: string): readonly unknown[] {
  if (text.startsWith('BEGIN')) return [{ id: '42', backend: '7' }]
  if (text.startsWith('INSERT')) return ['a', 'b', 'c'].map((id) => ({ id, source: '/test' }))
  if (text.includes('txid_status')) return [{ status: 'committed' }]
  if (text.includes('txid_current_if_assigned')) return [{ id: '42' }]
  return []
}

describe('tables of a server that falls silent', () => {
  beforeEach(() => {
    vi.useFakeTimers()
  })
  afterEach(() => {
    vi.useRealTimers()
  })

  it.each(['BEGIN', 'INSERT', 'COMMIT'])('at %s are away, and the connection is given up', async (where) => {
    const { tables, texts, released } = serverOf((text) => (text.includes(where) ? 'silence' : usual(text)))
    const done = tables
      .transact('h', [{ message: message('a'), run: () => undefined }])
      .catch((error: unknown) => error)
    await vi.advanceTimersByTimeAsync(60_000)
    expect(await done).toMatchObject({ code: 'TABLES_UNAVAILABLE', cause: { code: 'TABLES_SILENT' } })
    // Its session is ended from another connection, which goes back into the pool.
    expect(texts.at(-1)).toContain('pg_terminate_backend')
    expect(released).toEqual([true, false])
  })

  it.each([
    ['INSERT', '57014'],
    ['INSERT', '42P01'],
    ['INSERT', '23514'],
    ['BEGIN', '57014'],
  ])('blames no message for what the server says to %s: %s', async (where, code) => {
    const said = Object.assign(new Error('refused'), { code, severity: 'ERROR' })
    const { tables } = serverOf((text) => (text.startsWith(where) ? said : usual(text)))
    const change = { message: message('a'), run: () => undefined }
    await expect(tables.transact('h', [change])).rejects.toMatchObject({ code: 'TABLES_UNAVAILABLE', cause: said })
  })

  it('blames a message for an id that nothing can keep', async () => {
    const said = Object.assign(new Error('no equivalent'), { code: '22P05', severity: 'ERROR' })
    const { tables } = serverOf((text) => (text.startsWith('INSERT') ? said : usual(text)))
    await expect(tables.transact('h', [{ message: message('a'), run: () => undefined }])).rejects.toBe(said)
    const long = { message: message('x'.repeat(2000)), run: () => undefined }
    await expect(tables.transact('h', [long])).rejects.toMatchObject({ code: 'OUTBOX_ARGUMENT_INVALID' })
  })

  it('blames no function for being late when the server cannot be reached either', async () => {
    const { tables } = serverOf((text) => (text.includes('pg_terminate_backend') ? 'silence' : usual(text)))
    const late = new TableChangeTimeoutError('message a', 5)
    const run = (): Promise<never> => Promise.reject(late)
    const done = tables.transact('h', [{ message: message('a'), run }]).catch((error: unknown) => error)
    await vi.advanceTimersByTimeAsync(10_000)
    expect(await done).toMatchObject({ code: 'TABLES_UNAVAILABLE' })
    const { tables: answering } = serverOf(usual)
    await expect(answering.transact('h', [{ message: message('a'), run }])).rejects.toBe(late)
  })
})

it('a pool that is shared is listened to once, so that a server that starts anew does not end the process', () => {
  const listeners: string[] = []
  const pool = { connect: () => Promise.reject(new Error('away')), on: (event: string) => listeners.push(event) }
  postgresTables(pool)
  postgresTables(pool)
  expect(listeners).toEqual(['error'])
})

it('notes that a function made real too early are put right before anything else, once that is possible', async () => {
  let ended = false
  let isAway = true
  const { tables, texts } = serverOf((text) => {
    if (text.startsWith('DELETE') && isAway) return new Error('cut')
    if (ended && text.includes('txid_current_if_assigned')) return [{ id: null }]
    return usual(text)
  })
  const change = (id: string, run: () => void = () => undefined) => ({ message: message(id), run })
  const wrong = change('b', () => {
    ended = true
  })
  const all = [change('a'), wrong, change('c')]
  await expect(tables.transact('h', all)).rejects.toMatchObject({ code: 'TABLES_UNAVAILABLE' })
  await expect(tables.transact('h', all)).rejects.toMatchObject({ code: 'TABLES_UNAVAILABLE' })
  expect(texts.filter((text) => text.startsWith('BEGIN'))).toHaveLength(1)
  ended = false
  isAway = false
  texts.length = 0
  await tables.transact('h', [change('a'), change('c')])
  expect(texts.slice(0, 2)).toEqual([expect.stringContaining('DELETE FROM'), expect.stringContaining('BEGIN')])
  expect(texts.filter((text) => text.startsWith('DELETE'))).toHaveLength(1)
})
