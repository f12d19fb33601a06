import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { beforeAll, describe, expect, it, onTestFinished } from 'vitest'
import { z } from 'zod'
import { type App, app, service } from '../app/index.ts'
import { deployment } from '../bridge/index.ts'
import { view } from '../domain/index.ts'
import type { EngineSource } from '../engine/index.ts'
import { kafka } from '../kafka/index.ts'
import { eventually, firstAssignment, freshName, joining, sharedServer } from '../kafka/real-server.test-support.ts'
import { postgres } from '../postgres/index.ts'
import { dropSchema, serversWanted, serverUrl } from '../postgres/real-server.test-support.ts'
import { fixed, none, on } from '../runtime/index.ts'
import { saga, step } from '../saga/index.ts'
import { sourceUrl } from './child-process.test-support.ts'
import { type CliResult, cli, OrderPlaced, testFolder } from './cli.test-support.ts'

/** A folder with a module that exports what this expression makes, and the command line on it. */
function commandsOn(expression: string): (...args: readonly string[]) => Promise<CliResult> {
  const cwd = testFolder()
  const imports = ['kafka', 'postgres', 'bridge'].map((name) => sourceUrl(`${name}/index.ts`))
  const text = `import { kafka } from '${imports[0]}'\nimport { postgres } from '${imports[1]}'\nimport { deployment } from '${imports[2]}'\nexport default ${expression}\n`
  writeFileSync(join(cwd, 'ground.js'), text)
  writeFileSync(join(cwd, 'package.json'), '{ "type": "module" }')
  return (...args) => cli([...args, '--deployment', 'ground.js'], { cwd })
}

/** Gives up orders whose id is odd, until it is repaired. */
class Shop {
  readonly handled: string[] = []
  isRepaired = false
  readonly app: App

  constructor() {
    const payment = on(OrderPlaced, { retry: none }, (order) => {
      if (Number(order.data.id) % 2 === 1 && !this.isRepaired) throw new RangeError('card refused')
      this.handled.push(order.data.id)
    })
    const orders = view('orders', {
      events: [OrderPlaced],
      key: () => 'all',
      initial: { count: 0 },
      on: { OrderPlaced: ({ count }) => ({ count: count + 1 }) },
    })
    this.app = app('shop', { services: [service('payment', [payment])], views: [orders] })
  }
}

// Skipped because it needs real servers: `npm run test:engines` runs it.
describe.skipIf(!serversWanted)('the command line on servers', { timeout: 120_000 }, () => {
  let brokers: readonly string[] = []
  let url = ''
  beforeAll(async () => {
    brokers = (await sharedServer()).bootstrapBrokers
    url = await serverUrl()
  }, 600_000)

  it('administers topics and groups of Kafka, beside a program that reads from it', async () => {
    const options = { brokers, prefix: `${freshName('cli')}.`, heartbeatIntervalMs: 100 }
    const millrace = commandsOn(`kafka(${JSON.stringify(options)})`)
    expect((await millrace('topics', 'create', 'orders', '--partitions', '1', '--retention', '7d')).exitCode).toBe(0)
    await using engine = await kafka(options).open()
    const member = await joining(engine, { group: 'payment', topics: ['orders'] })
    const { claim } = await firstAssignment(member)
    for (const id of ['1', '2', '3']) {
      const { exitCode } = await millrace('publish', 'orders', `{"id":"${id}"}`, '--type', 'OrderPlaced', '--key', id)
      expect(exitCode).toBe(0)
    }
    await engine.topics.read({ topic: 'orders', partition: 0, offset: 0 })
    expect(await engine.commit({ progress: [{ claim, done: [{ from: 0, to: 1 }] }] })).toMatchObject({ ok: true })
    expect((await millrace('tail', 'orders')).stdout.trim().split('\n')).toEqual([
      expect.stringMatching(/ orders\/0\/0 key=1 OrderPlaced \{"id":"1"\}$/),
      expect.stringMatching(/ orders\/0\/1 key=2 /),
      expect.stringMatching(/ orders\/0\/2 key=3 /),
    ])
    expect((await millrace('lag')).stdout).toMatch(/\npayment +orders +0 +1 +3 +2 /)
    expect(JSON.parse((await millrace('topics', 'describe', 'orders', '--json')).stdout)).toMatchObject({
      name: 'orders',
      config: { retentionMs: 7 * 86_400_000 },
      groups: [{ group: 'payment', lagMessages: 2 }],
    })
    const refused = await millrace('groups', 'reset', 'payment', '--to', 'latest', '--yes')
    expect([refused.exitCode, refused.stderr]).toEqual([6, expect.stringContaining('GROUP_ACTIVE')])
    await member.member.leave()
    await eventually('the reset', async () => {
      return (await millrace('groups', 'reset', 'payment', '--to', 'latest', '--yes')).exitCode === 0
    })
    expect((await millrace('lag')).stderr).toBe('Nothing waits.\n')
    expect((await millrace('topics', 'alter', 'orders', '--partitions', '3')).stderr).toBe('partitions: 1 → 3\n')
    for (const kept of ['streams', 'dead-letters']) {
      const { exitCode, stderr } = await millrace(kept, 'ls')
      expect([kept, exitCode, stderr]).toEqual([kept, 2, expect.stringContaining('KAFKA_KEEPS_NOT')])
    }
  })

  it.each(['postgres', 'kafka+postgres', 'kafka with state'])('looks after an app that runs on %s', async (which) => {
    const schema = freshName('cli').replaceAll('-', '_')
    if (which.includes('postgres')) onTestFinished(() => dropSchema(url, schema))
    const stored = { connection: url, schema, pollMs: 20 }
    const carried = { brokers, prefix: `${freshName('cli')}.`, heartbeatIntervalMs: 100 }
    // The app has one folder, and commands another.
    const [alone, visiting] = [testFolder(), testFolder()].map((folder) => ({ ...carried, state: { folder } }))
    const store = `postgres(${JSON.stringify(stored)})`
    const grounds: Readonly<Record<string, readonly [module: string, ground: EngineSource]>> = {
      postgres: [store, postgres(stored)],
      'kafka+postgres': [
        `deployment({ topics: kafka(${JSON.stringify(carried)}), store: ${store} })`,
        deployment({ topics: kafka(carried), store: postgres(stored) }),
      ],
      'kafka with state': [`kafka(${JSON.stringify(visiting)})`, kafka(alone ?? carried)],
    }
    const [module, ground] = grounds[which] as readonly [string, EngineSource]
    const millrace = commandsOn(module)
    const shop = new Shop()
    const letter = async (): Promise<{ id: string; requested: string | null } | undefined> =>
      (
        JSON.parse((await millrace('dead-letters', 'ls', '--json')).stdout) as [
          { id: string; requested: string | null },
        ]
      )[0]
    await using engine = await ground.open()
    const running = await shop.app.start({ engine })
    for (const id of ['1', '2']) {
      await millrace('publish', 'orders', `{"id":"${id}"}`, '--type', 'OrderPlaced', '--key', id)
    }
    await eventually('a handled order', () => shop.handled.length === 1)
    await running.idle()
    expect((await millrace('lag')).stderr).toBe('Nothing waits.\n')
    expect((await millrace('views', 'get', 'orders', 'all')).stdout).toContain('"count": 2')
    const found = await letter()
    expect(found?.id).toMatch(/^shop\.payment\.OrderPlaced\/orders\//)
    expect((await millrace('dead-letters', 'show', found?.id ?? '')).stdout).toContain('card refused')
    shop.isRepaired = true
    const redriven = await millrace('dead-letters', 'redrive', found?.id ?? '')
    expect(redriven.stderr).toBe('Asked for 1 dead letter to be handled again; an app that runs does it now.\n')
    await eventually('the redrive', () => shop.handled.length === 2)
    await running.idle()
    expect(shop.handled).toEqual(['2', '1'])
    expect(await letter()).toBeUndefined()
    await running.stop()
  })

  it.each(['postgres', 'kafka+postgres'])('has sagas tried again and steps skipped on %s', async (which) => {
    const schema = freshName('cli').replaceAll('-', '_')
    onTestFinished(() => dropSchema(url, schema))
    const stored = { connection: url, schema, pollMs: 20 }
    const carried = { brokers, prefix: `${freshName('cli')}.`, heartbeatIntervalMs: 100 }
    const store = `postgres(${JSON.stringify(stored)})`
    const [module, ground]: readonly [string, EngineSource] =
      which === 'postgres'
        ? [store, postgres(stored)]
        : [
            `deployment({ topics: kafka(${JSON.stringify(carried)}), store: ${store} })`,
            deployment({ topics: kafka(carried), store: postgres(stored) }),
          ]
    const millrace = commandsOn(module)
    let isDown = true
    const charge = step({
      run: ({ n }: { n: number }) => {
        if (isDown) throw new RangeError('gateway down')
        return { receipt: n }
      },
      retry: fixed({ delay: '1d', max: 9 }),
    })
    const checkout = saga('checkout', { start: z.object({ n: z.number() }), steps: { charge } }, (scope, given) =>
      scope.step('charge', given),
    )
    await using running = await app('shop', { sagas: [checkout] }).start({ engine: ground })
    const client = running.saga(checkout)
    for (const [n, key] of ['again', 'skipped'].entries()) await client.start(key, { n })
    await running.idle()
    const { stdout } = await millrace('sagas', 'ls', '--status', 'running')
    expect(stdout).toMatch(/checkout +again +running .* charge retrying +gateway down/)
    const lost = await millrace('sagas', 'skip', 'skipped', 'lost', '--yes')
    expect([lost.exitCode, lost.stderr]).toEqual([6, expect.stringContaining('SAGA_SKIP_REFUSED')])
    const skipped = await millrace('sagas', 'skip', 'skipped', 'charge', '--output', '{"receipt":77}', '--yes')
    expect([skipped.exitCode, skipped.stderr]).toEqual([0, expect.stringContaining('Asked to skip charge of skipped')])
    expect(await client.outcome('skipped')).toEqual({ status: 'completed', result: { receipt: 77 } })
    isDown = false
    expect((await millrace('sagas', 'retry', 'again')).exitCode).toBe(0)
    expect(await client.outcome('again')).toEqual({ status: 'completed', result: { receipt: 0 } })
  })
})
