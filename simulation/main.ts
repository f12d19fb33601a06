// Runs producers, consumers, sagas and the rest under virtual time, with crashes and faulty disks, once for each seed:
// npm run simulate -- --seeds N [--from S] [--json]
import { parseOptions, type SimulateOptions } from './options.ts'
import { failureText, Summary } from './report.ts'
import { type RunReport, runSeed } from './run-seed.ts'

/** The seed that is at work. */
let running = 0

// Whoever reports a fault that nobody has caught has to be able to see it again.
process.on('uncaughtExceptionMonitor', () => {
  console.error(
    `Seed ${running} ended with an error that nobody has caught. Again: npm run simulate -- --from ${running} --seeds 1 --trace`,
  )
})

async function simulate({ seeds, from, json, trace, plant }: SimulateOptions): Promise<boolean> {
  const summary = new Summary()
  for (let seed = from; seed < from + seeds; seed++) {
    const echo = trace ? (line: string) => console.log(line) : undefined
    running = seed
    const report: RunReport = await runSeed(seed, { plant, echo })
    summary.add(report)
    if (report.violations.length > 0) console.error(failureText(report, plant))
  }
  console.log(json ? JSON.stringify(summary.json) : summary.text)
  return summary.failedSeeds.length === 0
}

const options = parseOptions(process.argv.slice(2))
if ('help' in options) console.log(options.help)
else if ('problem' in options) {
  console.error(options.problem)
  process.exitCode = 2
} else if (!(await simulate(options))) process.exitCode = 1
