import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { systemClock } from '../../src/index.ts'
import { groundFor } from './deployments.ts'
import type { Figures } from './figures.ts'
import { parseOptions } from './options.ts'
import { runShop } from './run.ts'

/** Runs the shop to its end in this process, in files of its own: most of a short run in another one would be its start. */
export async function figuresHere(...args: readonly string[]): Promise<Figures> {
  const folder = mkdtempSync(join(tmpdir(), 'millrace-shop-here-'))
  try {
    const options = parseOptions(['--once', ...args], folder)
    const { figures, broken } = await runShop({
      options,
      folder,
      engine: groundFor(options.deployment, folder, {}).engine,
      clock: systemClock,
      log: process.stderr,
      signal: new AbortController().signal,
    })
    if (figures === null || broken.length > 0) throw new AggregateError([], `It did not end well: ${broken.join('; ')}`)
    return figures
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}
