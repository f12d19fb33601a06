import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { Deposit, Open } from '../domain/account.test-support.ts'
import type { View } from '../domain/index.ts'
import type { Engine } from '../engine/index.ts'
import { SeededRandom } from '../kernel/index.ts'
import { postgres } from '../postgres/index.ts'
import { dropSchema, serversWanted, serverUrl } from '../postgres/real-server.test-support.ts'
import type { RunningApp } from './index.ts'
import { killAfterLines } from './killed-process.test-support.ts'
import { checkRebuilt, type Deposits, rebuiltBank } from './rebuilt-bank.test-support.ts'

const schemas = ['view_rebuild', 'view_rebuild_killed']

async function deposit(running: RunningApp, count: number): Promise<void> {
  await Promise.all(Array.from({ length: count }, (_, n) => running.ask(Deposit({ id: `a${n % 7}`, amount: 1 }))))
}

async function noneIsBuilt(running: RunningApp, views: readonly View<Deposits>[]): Promise<void> {
  for (const one of views) {
    while ((await running.view(one).copies.status()).next !== null) await running.idle()
  }
  await running.idle()
}

// Skipped because it needs a real server: `npm run test:engines` runs it.
describe.skipIf(!serversWanted)('views on PostgreSQL that are built anew', { timeout: 240_000 }, () => {
  let url = ''
  const drop = async (): Promise<void> => {
    for (const schema of schemas) await dropSchema(url, schema)
  }
  beforeAll(async () => {
    url = await serverUrl()
    await drop()
  })
  afterAll(drop)

  const engineOf = (schema: string): Promise<Engine> => postgres({ connection: url, schema, pollMs: 50 }).open()

  it('count each event once while programs of two versions take commands', async () => {
    await using oldEngine = await engineOf('view_rebuild')
    await using newEngine = await engineOf('view_rebuild')
    const [first, second] = [rebuiltBank(1), rebuiltBank(2)]
    const old = await first.bank.start({ engine: oldEngine })
    for (let n = 0; n < 7; n++) await old.ask(Open({ id: `a${n}` }))
    await deposit(old, 200)
    await using running = await second.bank.start({ engine: newEngine })
    for (let round = 0; round < 5; round++) await Promise.all([deposit(old, 30), deposit(running, 30)])
    await old.stop()
    await noneIsBuilt(running, [second.followed, second.inline])
    const outcome = await running.ask(Deposit({ id: 'a0', amount: 1 }))
    for (const one of [second.followed, second.inline]) await running.view(one).waitFor(outcome)
    expect(await checkRebuilt(running, newEngine, 2, 'two versions')).toBe(501)
    for (const one of [second.followed, second.inline]) {
      const { copies } = running.view(one)
      expect(await copies.status()).toMatchObject({ live: { copy: 'v2', eventsBehind: 0 }, previous: { copy: 'v1' } })
      expect((await copies.difference({ to: 'previous' })).differingCount).toBe(7)
    }
  })

  it('count each event once while processes of two versions are killed again and again', async () => {
    const schema = 'view_rebuild_killed'
    const seed = 20_261_123
    const random = new SeededRandom(seed)
    const env = { DATABASE_URL: url }
    const lines = (): number => 4 + Math.floor(random.nextFloat() * 12)
    let killedBuilding = 0
    let lastRun = 0
    // How fast builds go is the machine's affair: it may take more kills to meet two of them at work.
    for (let run = 1; run <= 5 || (killedBuilding < 2 && run <= 25); run += 2) {
      lastRun = run + 2
      const outputs = await Promise.all(
        [run, run + 1, run + 2].map((one) =>
          killAfterLines('rebuilt-app.ts', [schema, String(one), 'postgres'], lines(), env),
        ),
      )
      killedBuilding += outputs.filter((output) => /building \d+\n[^\n]*$/.test(output)).length
    }
    const version = Math.ceil(lastRun / 2) + 1
    const last = rebuiltBank(version)
    await using engine = await engineOf(schema)
    await using running = await last.bank.start({ engine })
    await noneIsBuilt(running, [last.followed, last.inline])
    expect(await checkRebuilt(running, engine, version, `seed ${seed}`)).toBeGreaterThan(500)
    expect(killedBuilding).toBeGreaterThan(1)
  })
})
