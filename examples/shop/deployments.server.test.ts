import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { startServer } from '../../scripts/servers/index.ts'
import { deploymentNames, groundFor } from './deployments.ts'
import { expectedFigures } from './reference.test-support.ts'
import { figuresIn, lasting, type ShopExit, startShop } from './shop-process.test-support.ts'

const bundled = join(import.meta.dirname, 'data', 'online-retail.csv')
const onServers = deploymentNames.filter((name) => name !== 'embedded')
const options = { repeat: 1, stock: 300, decline: 0.2, flaky: 0.3 }
const args = Object.entries(options).flatMap(([name, value]) => [`--${name}`, String(value)])

const folder = mkdtempSync(join(tmpdir(), 'millrace-shop-servers-'))
afterAll(() => rmSync(folder, { recursive: true, force: true }))

// Skipped because it needs a real server: `npm run test:engines` runs it.
describe.skipIf(process.env['MILLRACE_REAL_SERVERS'] !== '1')('the shop on real servers', () => {
  const environment: Record<string, string> = {}
  /** The one run that all are compared with. */
  let embedded: Promise<ShopExit> | undefined
  beforeAll(async () => {
    environment['DATABASE_URL'] = (await startServer('postgres')).connection.url
    environment['KAFKA_BROKERS'] = (await startServer('kafka')).connection.bootstrapBrokers.join()
  }, 600_000)

  it('begins again when it is told to, and not by itself where its folder is gone', async () => {
    const data = join(folder, 'gone')
    const command = ['--once', '--json', '--data', data, '--deployment', 'postgres']
    try {
      const first = lasting(figuresIn(await startShop(command, environment).exit))
      rmSync(data, { recursive: true })
      const refused = await startShop(command, environment).exit
      expect([refused.code, refused.stderr]).toEqual([1, expect.stringContaining('SHOP_RUN_LEFT_OVER')])
      expect(lasting(figuresIn(await startShop([...command, '--afresh'], environment).exit))).toEqual(first)
    } finally {
      await groundFor('postgres', data, environment).remove()
    }
  })

  it.each(onServers)('has the figures of the embedded engine: %s', { timeout: 120_000 }, async (deployment) => {
    const run = startShop(['--once', '--json', ...args, '--deployment', deployment], environment)
    const figures = figuresIn(await run.exit)
    embedded ??= startShop(['--once', '--json', ...args]).exit
    expect(lasting(figures)).toEqual(lasting(figuresIn(await embedded)))
    expect(figures).toMatchObject({ ...expectedFigures(bundled, options), openOrders: 0, stockViolations: 0 })
  })

  // Kafka alone keeps no timers, which sagas need.
  it.each(onServers.filter((name) => name !== 'kafka'))(
    'has them when a saga conducts: %s',
    { timeout: 120_000 },
    async (deployment) => {
      const conducted = [...args, '--saga', 'orchestration', '--deployment', deployment]
      const figures = figuresIn(await startShop(['--once', '--json', ...conducted], environment).exit)
      expect(figures).toMatchObject({ ...expectedFigures(bundled, options), openOrders: 0, stockViolations: 0 })
    },
  )
})
