import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { serversWanted, TestDatabase } from './database.test-support.ts'
import { createInbox, inbox, inboxSchemaSql } from './index.ts'

// Skipped because it needs a real server: `npm run test:engines` runs it.
describe.skipIf(!serversWanted)('an inbox in a database of the user', () => {
  let database: TestDatabase
  let count = 0
  const schema = `inbox_${process.pid}`
  const message = () => ({ id: `m${count++}`, source: '/test' })

  beforeAll(async () => {
    database = await TestDatabase.open(schema)
    await createInbox(database.pool, { schema })
    await database.rows(inboxSchemaSql({ schema }))
    await database.rows(`CREATE TABLE "${schema}".total (sum bigint NOT NULL)`)
    await database.rows(`INSERT INTO "${schema}".total VALUES (0)`)
  }, 600_000)
  afterAll(async () => {
    await database[Symbol.asyncDispose]()
  })

  it('says once that a message is new, for each handler and source', async () => {
    const first = message()
    const box = inbox(database.pool, { schema })
    expect(await box.once('a', first)).toBe(true)
    expect(await box.once('a', first)).toBe(false)
    expect(await box.once('b', first)).toBe(true)
    expect(await box.once('a', { ...first, source: '/other' })).toBe(true)
  })

  it('says of many with one statement which are new, each the first time only', async () => {
    const [one, two, three] = [message(), message(), message()]
    const box = inbox(database.pool, { schema })
    await box.once('many', two)
    expect(await box.onceAll('many', [one, two, three, one])).toEqual([true, false, true, false])
    expect(await box.onceAll('many', [])).toEqual([])
    await expect(box.onceAll('many', [one, { ...two, id: '' }])).rejects.toThrow('id of message 1')
  })

  it('takes that back with the transaction', async () => {
    const one = message()
    expect(await database.transaction((client) => inbox(client, { schema }).once('a', one), 'ROLLBACK')).toBe(true)
    expect(await database.transaction((client) => inbox(client, { schema }).once('a', one))).toBe(true)
  })

  it('counts a message once, however many transactions handle it at a time', async () => {
    const messages = Array.from({ length: 20 }, message)
    const handle = (one: { id: string; source: string }): Promise<void> =>
      database.transaction(async (client) => {
        if (!(await inbox(client, { schema }).once('sum', one))) return
        await client.query(`UPDATE "${schema}".total SET sum = sum + 1`)
      })
    await Promise.all(messages.flatMap((one) => [handle(one), handle(one), handle(one)]))
    expect(await database.rows(`SELECT sum::integer FROM "${schema}".total`)).toEqual([{ sum: 20 }])
  })

  it('lets the second of two transactions wait for the first, and go on when that is undone', async () => {
    const one = message()
    const client = await database.pool.connect()
    await client.query('BEGIN')
    expect(await inbox(client, { schema }).once('a', one)).toBe(true)
    const second = database.transaction((other) => inbox(other, { schema }).once('a', one))
    await client.query('ROLLBACK')
    client.release()
    expect(await second).toBe(true)
  })

  it('forgets what is old enough', async () => {
    const [old, young] = [message(), message()]
    const box = inbox(database.pool, { schema })
    await box.once('prune', old)
    await database.rows(`UPDATE "${schema}".millrace_inbox SET handled_at = now() - interval '8 days' WHERE id = $1`, [
      old.id,
    ])
    await box.once('prune', young)
    expect(await box.prune('7d')).toBe(1)
    expect(await box.once('prune', old)).toBe(true)
    expect(await box.once('prune', young)).toBe(false)
  })

  it('takes back what it is told to, of one handler', async () => {
    const [one, two, three] = [message(), message(), message()]
    const box = inbox(database.pool, { schema })
    await box.onceAll('back', [one, two, three])
    await box.once('kept', one)
    await box.forget('back', [one, three, message(), { ...two, source: '/other' }])
    await box.forget('back', [])
    expect(await box.onceAll('back', [one, two, three])).toEqual([true, false, true])
    expect(await box.once('kept', one)).toBe(false)
    await expect(box.forget('back', [{ ...one, id: '' }])).rejects.toThrow('id of message 0')
  })

  it('refuses what it cannot store', async () => {
    const box = inbox(database.pool, { schema })
    for (const handler of ['', 7, 'a\0b', '\uD800', 'x'.repeat(2000)]) {
      await expect(box.once(handler as string, message())).rejects.toMatchObject({ code: 'OUTBOX_ARGUMENT_INVALID' })
    }
    for (const bad of [undefined, {}, { id: 'x' }, { id: '', source: '/' }]) {
      await expect(box.once('a', bad as never)).rejects.toMatchObject({ code: 'OUTBOX_ARGUMENT_INVALID' })
    }
    await expect(box.prune('soon' as never)).rejects.toMatchObject({ code: 'DURATION_INVALID' })
  })
})
