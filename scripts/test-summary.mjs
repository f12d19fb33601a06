// Prints the closing line of a test run, `N passed, N failed, N skipped`, from the report that Vitest wrote.
// Usage: node scripts/test-summary.mjs <report.json> <exit code of the run>
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
  const [, , path = '', exitCode = '1'] = process.argv
  process.stdout.write(`${closingLine(summarize(read(path), Number(exitCode)))}\n`)
}
