import { describe, expect, it } from 'vitest'
import { accountDecider, Deposit, Open } from '../domain/account.test-support.ts'
import { memoryEngine } from './app.test-support.ts'
import { embeddedGround } from './app-ground.test-support.ts'
import { testCommands } from './commands-cases.test-support.ts'
import { app, service } from './index.ts'

describe('on the embedded engine', () => {
  testCommands(embeddedGround())
})

describe('what a command led to', () => {
  it('is told with its place, where topics and store are one engine', async () => {
    await using engine = await memoryEngine()
    const bank = app('bank', { services: [service('accounts', [accountDecider()])] })
    await using running = await bank.start({ engine })
    const outcomes = await Promise.all([running.ask(Open({ id: 'a' })), running.ask(Deposit({ id: 'a', amount: 5 }))])
    const told = outcomes.flatMap((one) => (one.kind === 'accepted' ? [one] : []))
    expect(told).toHaveLength(2)
    for (const { events, published } of told) {
      const [place] = published
      const { topic, partition, offset } = place ?? { topic: '', partition: 0, offset: 0 }
      const [record] = (await engine.topics.read({ topic, partition, offset })).records
      expect(record?.kind === 'message' ? record.message.id : record?.kind).toBe(events[0]?.id)
    }
  })
})
