// Prints what test runs counted, from the reports that Vitest wrote: a line for each, and as the last line all of them together,
// `N passed, N failed, N skipped`. Skipped altogether is what no run ran.
// Usage: node scripts/test-summary.mjs {<name> <report.json> <exit code of the run>} …
// Plain JavaScript, so that it also answers when the set-up failed and only the machine's own Node is there.

import { readFileSync } from 'node:fs'
import { pathToFileURL } from 'node:url'

/** Counts of a report, given how the run ended. A run that did not end well never shows 0 failed. */
export function summarize(report, exitCode) {
  if (report === undefined) return { passed: 0, failed: 1, skipped: 0 }
  // A file that could not even be loaded has no tests of its own to count.
  const unloaded = report.testResults.filter(
    ({ status, assertionResults }) => status === 'failed' && !assertionResults.some((test) => test.status === 'failed'),
  ).length
  const failed = report.numFailedTests + unloaded
  return {
    passed: report.numPassedTests,
    failed: exitCode !== 0 && failed === 0 ? 1 : failed,
    skipped: report.numPendingTests + report.numTodoTests,
  }
}

/** Counts of all runs: `runs` are their reports and exit codes. */
export function summarizeAll(runs) {
  const counts = runs.map(({ report, exitCode }) => summarize(report, exitCode))
  const sumOf = (count) => counts.reduce((sum, one) => sum + one[count], 0)
  const tests = runs.flatMap(({ report }) => report?.testResults ?? []).flatMap(testsOf)
  const ran = new Set(tests.filter(({ isRun }) => isRun).map(({ id }) => id))
  const skipped = new Set(tests.filter(({ id }) => !ran.has(id)).map(({ id }) => id))
  return { passed: sumOf('passed'), failed: sumOf('failed'), skipped: skipped.size }
}

function testsOf({ name: file, assertionResults }) {
  return assertionResults.map(({ fullName, status }) => ({
    id: `${file} ${fullName}`,
    isRun: status === 'passed' || status === 'failed',
  }))
}

export function closingLine({ passed, failed, skipped }) {
  return `${passed} passed, ${failed} failed${skipped > 0 ? `, ${skipped} skipped` : ''}`
}

function read(path) {
  try {
    return JSON.parse(readFileSync(path, 'utf8'))
  } catch {
    process.stderr.write(`The test run left no readable report at ${path}.\n`)
    return undefined
  }
}

if (process.argv[1] !== undefined && import.meta.url === pathToFileURL(process.argv[1]).href) {
  const given = process.argv.slice(2)
  const runs = []
  for (let at = 0; at < given.length; at += 3) {
    const [name, path, exitCode] = given.slice(at, at + 3)
    runs.push({ name, report: read(path), exitCode: Number(exitCode) })
  }
  for (const { name, report, exitCode } of runs) {
    process.stdout.write(`${name}: ${closingLine(summarize(report, exitCode))}\n`)
  }
  process.stdout.write(`${closingLine(summarizeAll(runs))}\n`)
}
