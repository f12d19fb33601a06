// Asks the cases of the conformance suite of the embedded engine on files, all or those of one area. Ends at the first that
// fails, with code 1. Started by nets.ts: node torture/planted/conformance-process.ts <seed> [<area>]
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { embedded } from '../../src/embedded/index.ts'
import { conformanceCases, runCase, verdictOf } from '../../src/engine/conformance/index.ts'
import { SeededRandom, VirtualClock } from '../../src/kernel/index.ts'

const [, , seedText, area = ''] = process.argv
const seed = Number(seedText)
const folder = mkdtempSync(join(tmpdir(), 'millrace-torture-conformance-'))
/** A case that never ends fails too. */
const caseMsMax = 20_000

async function firstFailure(): Promise<string | undefined> {
  const offer = { capabilities: embedded({ path: join(folder, 'asked.db') }).capabilities, movesTime: true }
  for (const [index, one] of conformanceCases.entries()) {
    if (!one.name.startsWith(area) || verdictOf(one, offer) !== true) continue
    const path = join(folder, `${index}.db`)
    const clock = new VirtualClock()
    const open = (): ReturnType<ReturnType<typeof embedded>['open']> =>
      embedded({ path }).open({ clock, random: new SeededRandom(1) })
    const late = Promise.withResolvers<never>()
    const timer = setTimeout(() => late.reject(new RangeError('it does not end')), caseMsMax)
    try {
      await Promise.race([runCase(one, { clock, seed, open }), late.promise])
    } catch (error) {
      return `${one.name}: ${(error as Error).message}`
    } finally {
      clearTimeout(timer)
    }
  }
  return undefined
}

const failure = await firstFailure()
rmSync(folder, { recursive: true, force: true })
if (failure !== undefined) process.stdout.write(`${failure}\n`)
process.exit(failure === undefined ? 0 : 1)
