// Measures Millrace beside what the machine can do at all. Run it with: npm run bench -- [--json] [--quick] [--only <row>]
// With --engines it measures the engines on real servers beside their bare clients: npm run bench:engines. With --sagas it
// measures sagas beside other systems, which it installs: npm run bench:sagas. With --rivals it does the same with logs, queues and
// event stores: npm run bench:rivals.
import { execFile } from 'node:child_process'
import { parseArgs, promisify } from 'node:util'
import { type Machine, machineFacts } from './machine.ts'
import { type Figure, isMet, ratioOf } from './row.ts'
import { besideRows, rows as embeddedRows, engineRows, rivalRows } from './rows/index.ts'
import { figureTable, machineLine } from './table.ts'

const run = promisify(execFile)

const { values } = parseArgs({
  options: {
    json: { type: 'boolean', default: false },
    quick: { type: 'boolean', default: false },
    engines: { type: 'boolean', default: false },
    sagas: { type: 'boolean', default: false },
    rivals: { type: 'boolean', default: false },
    only: { type: 'string', multiple: true, default: [] },
  },
})

/** What became of one row. */
interface RowReport {
  readonly row: string
  readonly title: string
  readonly seconds: number
  readonly figures: readonly Figure[]
  /** Why there are no figures. */
  readonly failure: string | null
}

async function measure(name: string, title: string): Promise<RowReport> {
  const startMs = performance.now()
  const args = [`${import.meta.dirname}/row-process.ts`, name, ...(values.quick ? ['--quick'] : [])]
  const report = (figures: readonly Figure[], failure: string | null): RowReport => ({
    row: name,
    title,
    seconds: (performance.now() - startMs) / 1000,
    figures,
    failure,
  })
  try {
    const { stdout } = await run(process.execPath, args, { maxBuffer: 64 * 1024 * 1024 })
    return report(JSON.parse(stdout.trim().split('\n').at(-1) as string) as readonly Figure[], null)
  } catch (error) {
    const { stderr, message } = error as { readonly stderr?: string; readonly message: string }
    return report([], stderr?.trim() || message)
  }
}

function jsonReport(machine: Machine, reports: readonly RowReport[]): string {
  const withVerdicts = reports.map((report) => ({
    ...report,
    figures: report.figures.map((figure) => ({
      ...figure,
      ratio: ratioOf(figure) ?? null,
      met: isMet(figure) ?? null,
    })),
  }))
  return JSON.stringify({ machine, quick: values.quick, rows: withVerdicts }, null, 2)
}

const rows = values.rivals ? rivalRows : values.sagas ? besideRows : values.engines ? engineRows : embeddedRows
const unknown = values.only.filter((name) => !rows.some((row) => row.name === name))
if (unknown.length > 0) {
  process.stderr.write(`No row is named ${unknown.join(', ')}. There are: ${rows.map((row) => row.name).join(', ')}.\n`)
  process.exit(2)
}
const machine = machineFacts()
if (!values.json) process.stdout.write(`${machineLine(machine)}\n`)
const reports: RowReport[] = []
for (const { name, title } of rows) {
  if (values.only.length > 0 && !values.only.includes(name)) continue
  const report = await measure(name, title)
  reports.push(report)
  if (values.json) process.stderr.write(`${name}: ${report.seconds.toFixed(1)} s\n`)
  else process.stdout.write(`\n${title} (${name}, ${report.seconds.toFixed(0)} s)\n${figureTable(report)}\n`)
}
if (values.json) process.stdout.write(`${jsonReport(machine, reports)}\n`)
const figures = reports.flatMap((report) => report.figures)
const missed = figures.filter((figure) => isMet(figure) === false)
const failed = reports.filter((report) => report.failure !== null)
if (!values.json) {
  const targetCount = figures.filter((figure) => figure.target !== undefined).length
  const failures = failed.length > 0 ? `; ${failed.length} rows could not be measured` : ''
  const size = values.quick ? ' (--quick: smaller than the targets ask for)' : ''
  process.stdout.write(`\n${targetCount - missed.length} of ${targetCount} targets met${failures}${size}\n`)
}
// A target that is missed is a figure, not a fault: only a row that does not run is one.
process.exitCode = failed.length > 0 ? 1 : 0
