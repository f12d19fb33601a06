import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { deployment } from '../bridge/index.ts'
import { embedded } from '../embedded/index.ts'
import type { Engine } from '../engine/index.ts'
import { postgres } from '../postgres/index.ts'
import { dropSchema, serversWanted, serverUrl } from '../postgres/real-server.test-support.ts'
import { checkLoad, commandLoad, inlineBank, plainBank } from './command-load.test-support.ts'

const schemas = ['command_load', 'command_load_bridged']

// Skipped because it needs a real server: `npm run test:engines` runs it.
describe.skipIf(!serversWanted).each([
  ['plain', plainBank],
  ['with an inline view', inlineBank],
])('commands on PostgreSQL, %s', (_name, bank) => {
  let url = ''
  const drop = async (): Promise<void> => {
    for (const schema of schemas) await dropSchema(url, schema)
  }
  beforeAll(async () => {
    url = await serverUrl()
    await drop()
  })
  afterAll(drop)

  const engineOf = (schema: string): Promise<Engine> => postgres({ connection: url, schema }).open()

  it('hold across two engines, as those of two processes', async () => {
    await using one = await engineOf('command_load')
    await using other = await engineOf('command_load')
    await using first = await bank.start({ engine: one })
    await using second = await bank.start({ engine: other })
    const acceptedIds = await commandLoad([first, second], 1, { accounts: 5, commands: 200 })
    await checkLoad(first, one, { acceptedIds, bank, note: 'two engines on one schema' })
    expect(acceptedIds.size).toBeGreaterThan(30)
  })

  it('hold where topics are kept elsewhere', async () => {
    const topics = embedded({ path: ':memory:' })
    const store = postgres({ connection: url, schema: 'command_load_bridged' })
    await using engine = await deployment({ topics, store }).open()
    await using running = await bank.start({ engine })
    const acceptedIds = await commandLoad([running], 2, { accounts: 5, commands: 200 })
    await checkLoad(running, engine, { acceptedIds, bank, note: 'bridged' })
    expect(acceptedIds.size).toBeGreaterThan(30)
  })
})
