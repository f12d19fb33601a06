import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { sleep, systemClock } from '../kernel/index.ts'
import { TcpProxy } from '../kernel/tcp-proxy.test-support.ts'
import { postgres } from '../postgres/index.ts'
import { dropSchema, serversWanted, serverUrl } from '../postgres/real-server.test-support.ts'
import { on, publish } from '../runtime/index.ts'
import { messagesOf, Paid, Placed } from './app.test-support.ts'
import { app, service } from './index.ts'

const pay = on(Placed, { name: 'pay' }, ({ data }) => publish(Paid(data)))
const shop = app('shop', { services: [service('s', [pay])] })

// Skipped because it needs a real server: `npm run test:engines` runs it.
describe.skipIf(!serversWanted)('stopping while the server is out of reach', () => {
  const schema = `stopping_${process.pid}`
  let url = ''
  beforeAll(async () => {
    url = await serverUrl()
    await (await postgres({ connection: url, schema }).open()).close()
  }, 600_000)
  afterAll(() => dropSchema(url, schema))

  it.each([['refused'], ['silent']])('ends, and says of what was under way that nobody knows: %s', async (how) => {
    await using proxy = await TcpProxy.to(Number(new URL(url).port))
    const engine = postgres({ connection: proxy.urlOf(url), schema })
    const running = await shop.start({ engine, stopTimeout: 100 })
    await running.publish(Placed({ id: how, n: 1 }))
    await running.idle()
    if (how === 'silent') proxy.silence()
    else await proxy[Symbol.asyncDispose]()
    const publishing = running.publish(Placed({ id: how, n: 2 })).catch((error: unknown) => error)
    await sleep(300, systemClock)
    const startMs = systemClock.monotonicMs()
    await running.stop()
    expect(systemClock.monotonicMs() - startMs).toBeLessThan(20_000)
    expect(await publishing).toMatchObject({ code: 'POSTGRES_OUTCOME_UNKNOWN' })
    await using again = await shop.start({ engine: postgres({ connection: url, schema }) })
    await again.idle()
    const paid = (await messagesOf(again.engine, 'payments')).filter(({ data }) => data.id === how && data.n === 1)
    expect(paid).toHaveLength(1)
  })
})
