import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { accountDecider, Deposit, Open, Withdraw } from '../domain/account.test-support.ts'
import * as dcb from '../domain/dcb-scenarios.test-support.ts'
import type { Engine } from '../engine/index.ts'
import { topicOfDefinition } from '../message/index.ts'
import { postgres } from '../postgres/index.ts'
import { dropSchema, serversWanted, serverUrl } from '../postgres/real-server.test-support.ts'
import { app, service } from './index.ts'

const schema = 'asking'

// Skipped because it needs a real server: `npm run test:engines` runs it.
describe.skipIf(!serversWanted)('apps on two engines of one PostgreSQL', () => {
  let url = ''
  beforeAll(async () => {
    url = await serverUrl()
    await dropSchema(url, schema)
  })
  afterAll(() => dropSchema(url, schema))

  const engineOf = (): Promise<Engine> => postgres({ connection: url, schema, pollMs: 20 }).open()

  it('ask each other by request and reply', async () => {
    const bank = app('bank', { services: [service('accounts', [accountDecider()])] })
    const front = app('front', { remote: [Open, Deposit, Withdraw] })
    await using one = await engineOf()
    await using other = await engineOf()
    await using _bank = await bank.start({ engine: one })
    await using running = await front.start({ engine: other })
    expect(await running.ask(Open({ id: 'a' }))).toMatchObject({ kind: 'accepted', repeated: false })
    const deposits = Array.from({ length: 20 }, () => running.ask(Deposit({ id: 'a', amount: 1 })))
    expect((await Promise.all(deposits)).map(({ kind }) => kind)).toEqual(deposits.map(() => 'accepted'))
    expect(await running.ask(Withdraw({ id: 'a', amount: 21 }))).toMatchObject({
      kind: 'rejected',
      code: 'OVERDRAWN',
      details: { balance: 20 },
    })
  })

  it('have one outcome of a command whose asker died before it was told', async () => {
    const bank = app('bank', { services: [service('accounts', [accountDecider()])] })
    const front = app('front', { remote: [Open] })
    const open = Open({ id: 'orphan' })
    {
      const dying = await engineOf()
      const asker = await front.start({ engine: dying })
      const topic = topicOfDefinition(Open)
      const sentCount = async (): Promise<number> =>
        ((await dying.topics.describe(topic))?.partitions ?? []).reduce((sum, { latest }) => sum + latest, 0)
      const sentBefore = await sentCount()
      const asked = asker.ask(open).catch((error: unknown) => error)
      while ((await sentCount()) === sentBefore) await new Promise((resolve) => setTimeout(resolve, 5))
      // Without a word to anybody, as when its process is gone.
      await dying.close()
      expect(await asked).toBeInstanceOf(Error)
      await asker.stop().catch(() => undefined)
    }
    await using one = await engineOf()
    await using other = await engineOf()
    await using answerer = await bank.start({ engine: one })
    await answerer.idle()
    expect(await Array.fromAsync(one.events.readStream('account-orphan'))).toHaveLength(1)
    await using asker = await front.start({ engine: other })
    expect(await asker.ask(open)).toMatchObject({ kind: 'accepted', repeated: true, events: [{ type: 'Opened' }] })
    expect(await answerer.deadLetters.list()).toEqual([])
  })

  it('agree on what one decision reads', async () => {
    const invoices = app('invoices', { services: [service('s', [dcb.createInvoice])] })
    await using one = await engineOf()
    await using other = await engineOf()
    await using first = await invoices.start({ engine: one })
    await using second = await invoices.start({ engine: other })
    const outcomes = await Promise.all(
      Array.from({ length: 24 }, (_, n) =>
        (n % 2 === 0 ? first : second).ask(dcb.CreateInvoice({ customer: `c${n}` })),
      ),
    )
    const numbers = outcomes.flatMap((outcome) =>
      outcome.kind === 'accepted'
        ? outcome.events.map(({ data }) => Number((data as { invoice: string }).invoice))
        : [],
    )
    expect(numbers.toSorted((a, b) => a - b)).toEqual(Array.from({ length: 24 }, (_, n) => n + 1))
  })
})
