import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { TcpProxy } from '../kernel/tcp-proxy.test-support.ts'
import { type PostgresEngine, postgres } from './index.ts'
import { message } from './messages.test-support.ts'
import { dropSchema, serversWanted, serverUrl } from './real-server.test-support.ts'

const schema = `twice_${process.pid}`

// Skipped because it needs a real server: `npm run test:engines` runs it.
describe.skipIf(!serversWanted)('a statement that runs again, because its answer was lost,', () => {
  let url = ''
  let proxy: TcpProxy
  let cut: PostgresEngine
  let other: PostgresEngine
  beforeAll(async () => {
    url = await serverUrl()
    proxy = await TcpProxy.to(Number(new URL(url).port))
    cut = await postgres({ connection: proxy.urlOf(url), schema }).open()
    other = await postgres({ connection: url, schema }).open()
  }, 600_000)
  afterAll(async () => {
    await cut.close()
    await other.close()
    await proxy[Symbol.asyncDispose]()
    await dropSchema(url, schema)
  })

  /**
   * Does something whose statement of this name loses its answer. When `isDone` says that it was done, others do what they do
   * meanwhile; then the connection is cut, and the statement runs again.
   */
  async function answerLost<T>(
    statement: string,
    work: () => Promise<T>,
    isDone: () => Promise<boolean>,
    meanwhile: () => Promise<unknown>,
  ): Promise<T> {
    proxy.swallowAnswersTo(statement)
    const working = work()
    working.catch(() => undefined)
    await expect.poll(isDone).toBe(true)
    await meanwhile()
    proxy.cut()
    return working
  }

  const append = async (stream: string, ...types: string[]): Promise<void> => {
    const outcome = await other.commit({
      append: [{ stream, events: types.map((type) => ({ message: message(type) })) }],
    })
    expect(outcome.ok).toBe(true)
  }
  const typesIn = async (stream: string): Promise<string[]> =>
    (await Array.fromAsync(other.events.readStream(stream))).map((one) => one.message.type)
  const truncatedBefore = async (stream: string): Promise<number | undefined> =>
    (await other.events.describeStream(stream))?.truncatedBefore

  it('deletes a stream once: what was appended since stays', async () => {
    await append('deleted', 'A', 'B')
    await answerLost(
      'millrace_remove_events',
      () => cut.events.deleteStream('deleted'),
      async () => (await other.events.describeStream('deleted'))?.deletedAt === 3,
      () => append('deleted', 'C'),
    )
    expect(await typesIn('deleted')).toEqual(['C'])
    expect(await other.events.describeStream('deleted')).toMatchObject({ version: 4, deletedAt: 3 })
  })

  it('truncates a stream once, whatever version was named', async () => {
    await append('truncated', 'A', 'B')
    await answerLost(
      'millrace_remove_events',
      () => cut.events.truncateStream('truncated', 100),
      async () => (await truncatedBefore('truncated')) === 3,
      () => append('truncated', 'C'),
    )
    expect(await typesIn('truncated')).toEqual(['C'])
  })

  it('deletes for good, also what was deleted before', async () => {
    await append('tombstoned', 'A')
    await other.events.deleteStream('tombstoned')
    await cut.events.deleteStream('tombstoned')
    await append('tombstoned', 'B')
    await answerLost(
      'millrace_remove_events',
      () => cut.events.deleteStream('tombstoned', { tombstone: true }),
      async () => (await other.events.describeStream('tombstoned'))?.tombstoned === true,
      async () => undefined,
    )
    expect(await typesIn('tombstoned')).toEqual([])
    const refused = await other.commit({ append: [{ stream: 'tombstoned', events: [{ message: message('C') }] }] })
    expect(refused).toMatchObject({ ok: false, conflict: { kind: 'stream-deleted' } })
  })
})
