import pg from 'pg'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { postgres } from './index.ts'
import { message } from './messages.test-support.ts'
import { dropSchema, serversWanted, serverUrl } from './real-server.test-support.ts'

const schema = `foreign_${process.pid}`
const none = (): Promise<void> => Promise.resolve()
/** Types of the server by their object ids, those of lists of texts and bytes too. */
const oids = [...Object.values(pg.types.builtins), 1001, 1009, 1016]

// Skipped because it needs a real server: `npm run test:engines` runs it.
describe.skipIf(!serversWanted)('what a program has told its client, or a server its users', () => {
  let url = ''
  beforeAll(async () => {
    url = await serverUrl()
  }, 600_000)
  afterAll(() => dropSchema(url, schema))

  it('to make of values is nothing to the engine', async () => {
    const before = oids.map((oid) => [oid, pg.types.getTypeParser(oid)] as const)
    for (const oid of oids) {
      pg.types.setTypeParser(oid, () => {
        throw new Error(`a value of type ${oid} was read by the program's own function`)
      })
    }
    try {
      const connection = new URL(url)
      connection.searchParams.set('options', '-c bytea_output=escape')
      await using engine = await postgres({ connection: connection.href, schema }).open()
      await engine.topics.create('orders', { partitions: 2 })
      const [kept, ...messages] = [message('c'), message('a'), message('b')]
      await engine.commit({
        publish: [{ topic: 'orders', partition: 1, messages }],
        append: [{ stream: 's', expected: 'none', events: [{ message: kept, tags: ['t', 'u'] }] }],
        state: [{ kind: 'set', namespace: 'n', key: 'k', value: { of: [1, null, true] } }],
        timers: [{ kind: 'schedule', owner: 'o', id: 'i', dueMs: 1, payload: 7 }],
      })
      const { records } = await engine.topics.read({ topic: 'orders', partition: 1, offset: 0 })
      expect(records).toMatchObject(messages.map((one) => ({ message: one })))
      const events = await Array.fromAsync(engine.events.readAll({ query: { items: [{ tags: ['u'] }] } }))
      expect(events).toMatchObject([{ stream: 's', version: 1, tags: ['t', 'u'], message: kept }])
      expect((await engine.state.get('n', 'k'))?.value).toEqual({ of: [1, null, true] })
      expect(await engine.timers.list()).toMatchObject([{ owner: 'o', id: 'i', dueMs: 1, payload: 7 }])
      const member = await engine.groups.join({
        group: 'g',
        topics: ['orders'],
        onAssigned: () => undefined,
        onRevoked: none,
        onLost: () => undefined,
      })
      await expect.poll(() => member.claims.length, { timeout: 10_000 }).toBe(2)
      await engine.commit({
        progress: member.claims
          .filter(({ partition }) => partition === 1)
          .map((claim) => ({ claim, done: [{ from: 0, to: 1 }] })),
      })
      expect((await engine.groups.describe('g'))?.lag.map(({ next }) => next)).toEqual([0, 1])
      await member.leave()
    } finally {
      for (const [oid, parse] of before) pg.types.setTypeParser(oid, parse)
    }
  })
})
