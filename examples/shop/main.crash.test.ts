import { mkdtempSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'
import { SeededRandom, sleep, systemClock, systemRandom } from '../../src/kernel/index.ts'
import type { Figures } from './figures.ts'
import { expectedFigures } from './reference.test-support.ts'
import { figuresIn, lasting, startShop } from './shop-process.test-support.ts'
import { figuresHere } from './shop-run.test-support.ts'

const folder = mkdtempSync(join(tmpdir(), 'millrace-shop-crash-'))
afterAll(() => rmSync(folder, { recursive: true, force: true }))

const bundled = join(import.meta.dirname, 'data', 'online-retail.csv')

/** Longest time between the first write after a start and the kill, in milliseconds. */
const killAfterWriteMsMax = 300
/** Longest time between a start and a kill that does not wait for a write, in milliseconds. */
const killEarlyMsMax = 700
/** Share of kills that do not wait for a write, so that some hit the start, which repairs what the last kill left. */
const earlyShare = 0.25
const lookMs = 5

/**
 * Kills the shop with SIGKILL at random moments and starts it again, so many times, then lets it end.
 *
 * @returns its figures, and how many of the kills found it alive
 */
async function runKilled(
  data: string,
  args: readonly string[],
  kills: number,
): Promise<{ figures: Figures; killed: number }> {
  const random = new SeededRandom(systemRandom.nextUint32())
  process.stderr.write(`Seed of the kills: ${random.seed}\n`)
  const command = ['--once', '--json', ...args, '--data', data]
  let killed = 0
  for (let round = 0; round < kills; round++) {
    const before = lastWriteMs(data)
    const { child, exit } = startShop(command)
    const ended = exit.then(({ signal }) => signal)
    const isEarly = random.nextFloat() < earlyShare
    if (!isEarly) {
      while (child.exitCode === null && lastWriteMs(data) === before) await sleep(lookMs, systemClock)
    }
    const afterMs = random.nextFloat() * (isEarly ? killEarlyMsMax : killAfterWriteMsMax)
    const timer = setTimeout(() => child.kill('SIGKILL'), afterMs)
    if ((await ended) === 'SIGKILL') killed += 1
    clearTimeout(timer)
  }
  return { figures: figuresIn(await startShop(command).exit), killed }
}

/** When the shop last wrote to its log. */
function lastWriteMs(data: string): number {
  return statSync(join(data, 'shop.db-wal'), { throwIfNoEntry: false })?.mtimeMs ?? 0
}

describe('a shop that is killed at any moment', () => {
  // So much that the shop is still at work when it is killed for the last time, on a fast machine, too.
  it.each([
    { repeat: 16 },
    { repeat: 6, stock: 300, decline: 0.2, flaky: 0.3 },
    { repeat: 4, stock: 300, decline: 0.2, flaky: 0.3, saga: 'orchestration' },
  ])('ends with the figures of one that was not: %j', { timeout: 180_000 }, async (options) => {
    const args = Object.entries(options).flatMap(([name, value]) => [`--${name}`, String(value)])
    const { figures, killed } = await runKilled(join(folder, args.join('')), args, 5)
    expect(killed).toBeGreaterThan(2)
    expect(lasting(figures)).toEqual(lasting(await figuresHere(...args)))
    expect(figures).toMatchObject({ ...expectedFigures(bundled, options), openOrders: 0, stockViolations: 0 })
  })
})
