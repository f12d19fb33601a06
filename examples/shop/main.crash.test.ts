import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'
import { SeededRandom, systemRandom } from '../../src/kernel/index.ts'
import type { Figures } from './figures.ts'
import { expectedFigures } from './reference.test-support.ts'
import { figuresIn, lasting, startShop } from './shop-process.test-support.ts'

const folder = mkdtempSync(join(tmpdir(), 'millrace-shop-crash-'))
afterAll(() => rmSync(folder, { recursive: true, force: true }))

const bundled = join(import.meta.dirname, 'data', 'online-retail.csv')

/** Longest time before a kill, in milliseconds: long enough for some work, too short for all of it. */
const killAfterMsMax = 1_500

/**
 * Kills the shop with SIGKILL after random times and starts it again, so many times, then lets it end.
 *
 * @returns its figures, and how many of the kills found it alive
 */
async function runKilled(args: readonly string[], kills: number): Promise<{ figures: Figures; killed: number }> {
  const random = new SeededRandom(systemRandom.nextUint32())
  process.stderr.write(`Seed of the kills: ${random.seed}\n`)
  const command = ['--once', '--json', ...args]
  let killed = 0
  for (let round = 0; round < kills; round++) {
    const { child, exit } = startShop(command)
    const timer = setTimeout(() => child.kill('SIGKILL'), random.nextFloat() * killAfterMsMax)
    const { signal } = await exit
    clearTimeout(timer)
    if (signal === 'SIGKILL') killed += 1
  }
  return { figures: figuresIn(await startShop(command).exit), killed }
}

describe('a shop that is killed at any moment', () => {
  it.each([{ repeat: 40 }, { repeat: 12, stock: 300, decline: 0.2, flaky: 0.3 }])(
    'ends with the figures of one that was not: %j',
    { timeout: 180_000 },
    async (options) => {
      const args = Object.entries(options).flatMap(([name, value]) => [`--${name}`, String(value)])
      const { figures, killed } = await runKilled([...args, '--data', join(folder, args.join(''))], 10)
      expect(killed).toBeGreaterThan(4)
      const undisturbed = figuresIn(await startShop(['--once', '--json', ...args]).exit)
      expect(lasting(figures)).toEqual(lasting(undisturbed))
      expect(figures).toMatchObject({ ...expectedFigures(bundled, options), openOrders: 0, stockViolations: 0 })
    },
  )
})
