import { expect, it } from 'vitest'
import { startServer } from '../../scripts/servers/index.ts'
import { embedded } from '../embedded/index.ts'
import { kafka } from '../kafka/index.ts'
import { systemClock, systemRandom, uuidv7 } from '../kernel/index.ts'
import { eventually, join, message, publish } from './bridge.test-support.ts'
import { deployment } from './index.ts'

const nextId = uuidv7(systemClock, systemRandom)

// Skipped because it needs a real server: `npm run test:engines` runs it.
it.skipIf(process.env['MILLRACE_REAL_SERVERS'] !== '1').each(['consumer', 'classic'] as const)(
  'a group of the %s protocol goes on where it was after the brokers forgot it',
  { timeout: 120_000 },
  async (groupProtocol) => {
    const brokers = (await startServer('kafka')).connection.bootstrapBrokers
    const topics = kafka({ brokers, prefix: `${nextId()}.`, groupProtocol, heartbeatIntervalMs: 100 })
    await using engine = await deployment({ topics, store: embedded({ path: ':memory:' }) }).open()
    await engine.topics.create('in', { partitions: 1 })
    await engine.commit(publish('in', message(1), message(2), message(3)))
    for (let times = 0; times < 3; times++) await (await join(engine)).member.leave()
    const { got: before, member } = await join(engine)
    expect((await engine.commit({ progress: [{ claim: before.claim, done: [{ from: 0, to: 2 }] }] })).ok).toBe(true)
    await member.leave()
    // As brokers do ten minutes after the last member left.
    await using administration = await topics.open()
    await eventually(async () => (await administration.groups.describe('g'))?.members.length === 0)
    await administration.groups.delete('g')
    const { got, member: last } = await join(engine)
    expect(got.claim.epoch).toBeLessThan(before.claim.epoch)
    expect(got.progress.next).toBe(2)
    expect((await engine.commit({ progress: [{ claim: got.claim, done: [{ from: 2, to: 3 }] }] })).ok).toBe(true)
    await last.leave()
  },
)
