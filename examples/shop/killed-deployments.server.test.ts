import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { startServer } from '../../scripts/servers/index.ts'
import { SeededRandom, systemRandom } from '../../src/kernel/index.ts'
import { type DeploymentName, deploymentNames, groundFor, type ShopGround } from './deployments.ts'
import { expectedFigures } from './reference.test-support.ts'
import type { SagaKind } from './saga-kind.ts'
import { figuresIn, startShop } from './shop-process.test-support.ts'

const bundled = join(import.meta.dirname, 'data', 'online-retail.csv')
const onServers = deploymentNames.filter((name) => name !== 'embedded')
/** So much that the shop is still at work when it is killed for the last time, on a fast machine, too. */
const optionsOf = (deployment: DeploymentName) => ({
  repeat: deployment.includes('kafka') ? 2 : 8,
  stock: 300,
  decline: 0.2,
  flaky: 0.3,
})
const argsOf = (deployment: DeploymentName): string[] =>
  Object.entries(optionsOf(deployment)).flatMap(([name, value]) => [`--${name}`, String(value)])

/** The shop takes half a minute by itself, and several beside other tests that keep the machine busy; then something is wrong. */
const overdueMs = 300_000

const folder = mkdtempSync(join(tmpdir(), 'millrace-shop-servers-'))
afterAll(() => rmSync(folder, { recursive: true, force: true }))

/** Kills the shop again and again, then lets it end; tells how many kills found it alive. */
async function killedShop(
  deployment: DeploymentName,
  environment: Readonly<Record<string, string>>,
): Promise<{ figures: ReturnType<typeof figuresIn>; killed: number }> {
  const random = new SeededRandom(systemRandom.nextUint32())
  process.stderr.write(`Seed of the kills: ${random.seed}\n`)
  const data = join(folder, deployment)
  const command = ['--once', '--json', ...argsOf(deployment), '--data', data, '--deployment', deployment]
  let killed = 0
  try {
    for (let round = 0; round < 4; round++) {
      const { child, exit } = startShop(command, environment)
      // The start alone takes half a second.
      const timer = setTimeout(() => child.kill('SIGKILL'), 400 + random.nextFloat() * 1200)
      if ((await exit).signal === 'SIGKILL') killed++
      clearTimeout(timer)
    }
    return { figures: figuresIn(await startShop(command, environment).exit), killed }
  } finally {
    await groundFor(deployment, data, environment).remove()
  }
}

/** Tells how far each service is. */
async function standing({ engine }: ShopGround): Promise<string> {
  await using ground = await engine.open()
  const groups = await Promise.all((await ground.groups.list()).map((group) => ground.groups.describe(group)))
  return `The shop has still not ended: ${JSON.stringify({ inTransit: await ground.inTransit?.(), groups })}\n`
}

/** Kills workers of a shop with three processes, one after the other; tells how many, and what the shop came to. */
async function shopOfKilledWorkers(
  deployment: DeploymentName,
  saga: SagaKind,
  environment: Readonly<Record<string, string>>,
): Promise<{ figures: ReturnType<typeof figuresIn>; killed: number }> {
  const random = new SeededRandom(systemRandom.nextUint32())
  process.stderr.write(`Seed of the kills: ${random.seed}\n`)
  const data = join(folder, `${deployment}-${saga}`)
  const place = ['--data', data, '--deployment', deployment]
  const command = ['--once', '--json', ...argsOf(deployment), ...place, '--workers', '3', '--saga', saga]
  const { child, exit } = startShop(command, environment)
  let killed = 0
  const kill = (): void => {
    const workers = readFileSync(`/proc/${child.pid}/task/${child.pid}/children`, 'utf8')
      .trim()
      .split(' ')
      .filter(Boolean)
    const victim = Number(workers[Math.floor(random.nextFloat() * workers.length)])
    if (workers.length > 0 && process.kill(victim, 'SIGKILL')) killed++
  }
  const timer = setInterval(() => {
    if (killed < 2 && child.exitCode === null) kill()
  }, 1_500)
  const overdue = setTimeout(() => {
    standing(groundFor(deployment, data, environment, 3)).then(
      process.stderr.write.bind(process.stderr),
      () => undefined,
    )
  }, overdueMs)
  try {
    return { figures: figuresIn(await exit), killed }
  } finally {
    clearInterval(timer)
    clearTimeout(overdue)
    await groundFor(deployment, data, environment).remove()
  }
}

// Skipped because it needs a real server: `npm run test:engines` runs it.
describe.skipIf(process.env['MILLRACE_REAL_SERVERS'] !== '1')(
  'the shop on real servers, killed again and again,',
  () => {
    const environment: Record<string, string> = {}
    beforeAll(async () => {
      environment['DATABASE_URL'] = (await startServer('postgres')).connection.url
      environment['KAFKA_BROKERS'] = (await startServer('kafka')).connection.bootstrapBrokers.join()
    }, 600_000)

    it.each([
      ['postgres', 'choreography'],
      ['kafka', 'choreography'],
      ['kafka+postgres', 'choreography'],
      ['postgres', 'orchestration'],
    ] as const)(
      'has the figures of the data with three processes of which two are killed: %s, %s',
      { timeout: overdueMs + 60_000 },
      async (deployment, saga) => {
        const { figures, killed } = await shopOfKilledWorkers(deployment, saga, environment)
        expect(killed).toBeGreaterThan(0)
        expect(figures).toMatchObject({
          ...expectedFigures(bundled, optionsOf(deployment)),
          openOrders: 0,
          stockViolations: 0,
        })
      },
    )

    it.each(onServers)('has them with one process: %s', { timeout: overdueMs + 60_000 }, async (deployment) => {
      const { figures, killed } = await killedShop(deployment, environment)
      expect(killed).toBeGreaterThan(2)
      expect(figures).toMatchObject({
        ...expectedFigures(bundled, optionsOf(deployment)),
        openOrders: 0,
        stockViolations: 0,
      })
    })
  },
)
