// Tortures the embedded engine with real processes and real disks, and says what it took. Run it with: npm run torture
import { SeededRandom, systemRandom } from '../src/kernel/index.ts'
import { failureOf } from './cases.ts'
import type { Kind } from './kind.ts'
import { kinds } from './kinds.ts'
import { parseOptions } from './options.ts'
import { exitCodeOf, type KindReport, textOf } from './report.ts'
import { Scratch } from './scratch.ts'

const options = parseOptions(
  process.argv.slice(2),
  kinds.map(({ name }) => name),
)

/** Of all kinds together, unless told otherwise. */
const minutesDefault = 10

/** How many cases of a kind: those asked for, or the small or large set, or whatever fits the time. */
function casesOf(kind: Kind): number {
  if (options.cases !== undefined) return options.cases
  if (options.set === 'quick') return kind.casesQuick
  return options.set === 'full' ? kind.casesFull : Number.POSITIVE_INFINITY
}

async function torment(kind: Kind, seed: number, casesMax: number, forMs: number): Promise<KindReport> {
  const { name, title } = kind
  const nothing = { caseCount: 0, failures: [], facts: {} }
  const skipped = kind.impossible?.() ?? null
  if (skipped !== null) return { kind: name, title, seconds: 0, skipped, ...nothing }
  const startMs = performance.now()
  using scratch = new Scratch(options.folder)
  const budget = { casesMax, stopsAtFirst: options.stopsAtFirst, endMs: startMs + forMs }
  const result = await kind
    .run({ random: new SeededRandom(seed), budget, scratch })
    .catch((error: unknown) => ({ ...nothing, failures: [failureOf('the run itself', error)] }))
  return { kind: name, title, seconds: (performance.now() - startMs) / 1000, skipped, ...result }
}

const chosen = kinds.filter(({ name }) => options.only.length === 0 || options.only.includes(name))
const seed = options.seed ?? systemRandom.nextUint32()
// A set that is counted takes the time that it takes.
const isCounted = options.cases !== undefined || options.set !== undefined
const minutes = options.minutes ?? (isCounted ? Number.POSITIVE_INFINITY : minutesDefault)
const forMs = (minutes * 60_000) / chosen.length
if (!options.json) process.stdout.write(`seed ${seed}\n`)
const reports: KindReport[] = []
for (const kind of chosen) {
  const report = await torment(kind, seed, casesOf(kind), forMs)
  reports.push(report)
  if (options.json) process.stderr.write(`${kind.name}: ${report.seconds.toFixed(1)} s\n`)
  else process.stdout.write(`${textOf(report)}\n`)
}
if (options.json) process.stdout.write(`${JSON.stringify({ seed, kinds: reports }, null, 2)}\n`)
process.exitCode = exitCodeOf(reports, { only: options.only, isCi: process.env['CI'] !== undefined })
