// Tortures the embedded engine with real processes and real disks, and says what it took. Run it with:
// npm run torture -- [--minutes <n>] [--quick | --full] [--only <kind>] [--cases <n>] [--seed <n>]
// [--stop-at-first] [--json]
import { parseArgs } from 'node:util'
import { SeededRandom, systemRandom } from '../src/kernel/index.ts'
import type { Kind, KindResult } from './kind.ts'
import { kinds } from './kinds.ts'
import { Scratch } from './scratch.ts'

const { values } = parseArgs({
  options: {
    minutes: { type: 'string' },
    quick: { type: 'boolean', default: false },
    full: { type: 'boolean', default: false },
    only: { type: 'string', multiple: true, default: [] },
    cases: { type: 'string' },
    seed: { type: 'string' },
    'stop-at-first': { type: 'boolean', default: false },
    json: { type: 'boolean', default: false },
  },
})

/** Of each kind, unless told otherwise. */
const minutesDefault = 10

interface KindReport extends KindResult {
  readonly kind: string
  readonly title: string
  readonly seconds: number
  /** Why nothing was done. */
  readonly skipped: string | null
}

function whole(option: 'minutes' | 'cases' | 'seed', text: string | undefined): number | undefined {
  if (text === undefined) return undefined
  const number = Number(text)
  if (text !== '' && number >= 0 && (option === 'minutes' || Number.isInteger(number))) return number
  throw new RangeError(`--${option} ${text} is no number that makes sense. Give a whole number.`)
}

/** How many cases of a kind: those asked for, or the small or large set, or whatever fits the time. */
function casesOf(kind: Kind, cases: number | undefined): number {
  if (cases !== undefined) return cases
  if (values.quick) return kind.casesQuick
  return values.full ? kind.casesFull : Number.POSITIVE_INFINITY
}

async function torment(kind: Kind, seed: number, casesMax: number, forMs: number): Promise<KindReport> {
  const { name, title } = kind
  const nothing = { caseCount: 0, failures: [], facts: {} }
  const skipped = kind.impossible?.() ?? null
  if (skipped !== null) return { kind: name, title, seconds: 0, skipped, ...nothing }
  const startMs = performance.now()
  using scratch = new Scratch()
  const budget = { casesMax, stopsAtFirst: values['stop-at-first'], endMs: startMs + forMs }
  const result = await kind.run({ random: new SeededRandom(seed), budget, scratch }).catch((error: unknown) => {
    const problem = error instanceof Error ? (error.stack ?? error.message) : String(error)
    return { caseCount: 0, failures: [{ name: 'the run itself', problem, evidence: null }], facts: {} }
  })
  return { kind: name, title, seconds: (performance.now() - startMs) / 1000, skipped, ...result }
}

function textOf({ kind, title, seconds, skipped, caseCount, failures, facts }: KindReport): string {
  if (skipped !== null) return `${kind}: SKIPPED, ${skipped}`
  const counts = Object.entries(facts).map(([fact, count]) => `${fact} ${count}`)
  const head = `${kind}: ${title}: ${caseCount} cases in ${seconds.toFixed(0)} s, ${failures.length} failed`
  const kept = (evidence: string | null): string => (evidence === null ? '' : ` (kept in .cache/torture/${evidence})`)
  const lines = failures.slice(0, 20).map(({ name, problem, evidence }) => `  ${name}: ${problem}${kept(evidence)}`)
  return [head, `  ${counts.join(', ')}`, ...lines].join('\n')
}

const unknown = values.only.filter((name) => !kinds.some((kind) => kind.name === name))
if (unknown.length > 0) {
  process.stderr.write(
    `No kind is named ${unknown.join(', ')}. There are: ${kinds.map(({ name }) => name).join(', ')}.\n`,
  )
  process.exit(2)
}
const chosen = kinds.filter(({ name }) => values.only.length === 0 || values.only.includes(name))
const minutes = whole('minutes', values.minutes)
const cases = whole('cases', values.cases)
const seed = whole('seed', values.seed) ?? systemRandom.nextUint32()
// A set that is counted takes the time that it takes.
const isCounted = cases !== undefined || values.quick || values.full
const forMs = ((minutes ?? (isCounted ? Number.POSITIVE_INFINITY : minutesDefault)) * 60_000) / chosen.length
if (!values.json) process.stdout.write(`seed ${seed}\n`)
const reports: KindReport[] = []
for (const kind of chosen) {
  const report = await torment(kind, seed, casesOf(kind, cases), forMs)
  reports.push(report)
  if (values.json) process.stderr.write(`${kind.name}: ${report.seconds.toFixed(1)} s\n`)
  else process.stdout.write(`${textOf(report)}\n`)
}
if (values.json) process.stdout.write(`${JSON.stringify({ seed, kinds: reports }, null, 2)}\n`)
// What cannot be done where it must be done is a failure too.
const isFine = ({ failures, skipped }: KindReport): boolean =>
  failures.length === 0 && (skipped === null || process.env['CI'] === undefined)
process.exitCode = reports.every(isFine) ? 0 : 1
