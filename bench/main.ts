// Measures Millrace beside what the machine can do at all, beside bare clients and beside others. Run it with: npm run bench
import { execFile } from 'node:child_process'
import { rmSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { Command } from 'commander'
import { type Machine, machineFacts } from './machine.ts'
import { type Figure, isMet, ratioOf } from './row.ts'
import { besideRows, rows as embeddedRows, engineRows, rivalRows } from './rows/index.ts'
import { figureTable, machineLine } from './table.ts'

const run = promisify(execFile)

const command = new Command('npm run bench --')
  .description('Measures Millrace beside what the machine can do at all, and says which targets it meets.')
  .option('--engines', 'the engines on real servers, beside their bare clients (npm run bench:engines)')
  .option('--sagas', 'sagas beside other systems, which it installs (npm run bench:sagas)')
  .option('--rivals', 'logs, queues and event stores beside others, which it installs (npm run bench:rivals)')
  .option('--only <row...>', 'these rows and no others')
  .option('--quick', 'less of everything: the figures are no more than a hint')
  .option(
    '--profile',
    'writes what the main thread of a row did to .cache/bench/profiles, for Chrome or VS Code; rows are slower with it',
  )
  .option('--json', 'prints one JSON object, and the progress on stderr')
  .allowExcessArguments(false)
  .addHelpText('after', () => `\n${rowList()}`)
  .showHelpAfterError('Add --help for the options.')
  .parse()
const values = command.opts<{
  readonly engines?: boolean
  readonly sagas?: boolean
  readonly rivals?: boolean
  readonly only?: readonly string[]
  readonly quick?: boolean
  readonly profile?: boolean
  readonly json?: boolean
}>()
const only = values.only ?? []

/** The rows of each choice, with what they measure. */
function rowList(): string {
  const groups = [
    { title: 'Rows', list: embeddedRows },
    { title: 'Rows of --engines', list: engineRows },
    { title: 'Rows of --sagas', list: besideRows },
    { title: 'Rows of --rivals', list: rivalRows },
  ]
  const lines = (list: typeof embeddedRows): string =>
    list.map(({ name, title }) => `  ${name.padEnd(20)}${title}`).join('\n')
  return groups.map(({ title, list }) => `${title}:\n${lines(list)}`).join('\n\n')
}

/** What became of one row. */
interface RowReport {
  readonly row: string
  readonly title: string
  readonly seconds: number
  readonly figures: readonly Figure[]
  /** Why there are no figures. */
  readonly failure: string | null
}

/** Where the profiles of a row go: those of its last run. */
function profilesOf(row: string): string {
  return join(import.meta.dirname, '..', '.cache', 'bench', 'profiles', row)
}

async function measure(name: string, title: string): Promise<RowReport> {
  const startMs = performance.now()
  const profiling = values.profile ? ['--cpu-prof', `--cpu-prof-dir=${profilesOf(name)}`] : []
  const args = [...profiling, `${import.meta.dirname}/row-process.ts`, name, ...(values.quick ? ['--quick'] : [])]
  const report = (figures: readonly Figure[], failure: string | null): RowReport => ({
    row: name,
    title,
    seconds: (performance.now() - startMs) / 1000,
    figures,
    failure,
  })
  if (values.profile) rmSync(profilesOf(name), { recursive: true, force: true })
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
  return JSON.stringify({ machine, quick: values.quick === true, rows: withVerdicts }, null, 2)
}

const rows = values.rivals ? rivalRows : values.sagas ? besideRows : values.engines ? engineRows : embeddedRows
const unknown = only.filter((name) => !rows.some((row) => row.name === name))
if (unknown.length > 0) {
  process.stderr.write(`No row is named ${unknown.join(', ')}. There are: ${rows.map((row) => row.name).join(', ')}.\n`)
  process.exit(2)
}
const machine = machineFacts()
if (!values.json) process.stdout.write(`${machineLine(machine)}\n`)
const reports: RowReport[] = []
for (const { name, title } of rows) {
  if (only.length > 0 && !only.includes(name)) continue
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
