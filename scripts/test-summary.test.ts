import { spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'

const script = join(import.meta.dirname, 'test-summary.mjs')
let folder = ''
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'millrace-summary-'))
})
afterAll(() => rmSync(folder, { recursive: true }))

/** What is printed of runs, each with its report and exit code. */
function linesOf(...runs: readonly (readonly [name: string, report: unknown, exitCode: number])[]): string {
  const given = runs.flatMap(([name, report, exitCode]) => {
    const path = join(folder, `${name}.json`)
    writeFileSync(path, typeof report === 'string' ? report : JSON.stringify(report))
    return [name, path, String(exitCode)]
  })
  return spawnSync(process.execPath, [script, ...given], { encoding: 'utf8' }).stdout
}

describe('the line of a run', () => {
  const counts = { numPassedTests: 5, numFailedTests: 0, numPendingTests: 0, numTodoTests: 0, testResults: [] }
  const unloaded = { status: 'failed', assertionResults: [] }
  const broken = { status: 'failed', assertionResults: [{ status: 'failed' }] }

  it.each([
    ['all passed', counts, 0, '5 passed, 0 failed\n'],
    ['some skipped', { ...counts, numPendingTests: 2, numTodoTests: 1 }, 0, '5 passed, 0 failed, 3 skipped\n'],
    ['one failed', { ...counts, numFailedTests: 1, testResults: [broken] }, 1, '5 passed, 1 failed\n'],
    [
      'a file could not be loaded',
      { ...counts, testResults: [unloaded, broken], numFailedTests: 1 },
      1,
      '5 passed, 2 failed\n',
    ],
    ['the run failed beside its tests', counts, 1, '5 passed, 1 failed\n'],
    ['there is no report', '', 1, '0 passed, 1 failed\n'],
  ])('when %s', (_, report, exitCode, line) => {
    expect(linesOf(['tests', report, exitCode])).toMatch(new RegExp(`^tests: ${line}`))
  })
})

describe('the last line', () => {
  const report = (statuses: Readonly<Record<string, string>>): object => {
    const count = (status: string): number => Object.values(statuses).filter((one) => one === status).length
    const assertionResults = Object.entries(statuses).map(([fullName, status]) => ({ fullName, status }))
    return {
      numPassedTests: count('passed'),
      numFailedTests: count('failed'),
      numPendingTests: count('pending'),
      numTodoTests: 0,
      testResults: [{ name: 'a.test.ts', status: 'passed', assertionResults }],
    }
  }

  it('has all runs together, and as skipped only what none of them ran', () => {
    const tests = report({ one: 'passed', two: 'passed', 'on a server': 'pending', elsewhere: 'pending' })
    const servers = report({ 'on a server': 'passed' })
    expect(linesOf(['tests', tests, 0], ['real servers', servers, 0])).toBe(
      'tests: 2 passed, 0 failed, 2 skipped\nreal servers: 1 passed, 0 failed\n3 passed, 0 failed, 1 skipped\n',
    )
  })

  it('has a failure of whichever run failed, also without a report', () => {
    const failing = report({ one: 'failed' })
    expect(linesOf(['tests', report({ one: 'passed' }), 0], ['simulation', failing, 1], ['real servers', '', 1])).toBe(
      'tests: 1 passed, 0 failed\nsimulation: 0 passed, 1 failed\nreal servers: 0 passed, 1 failed\n1 passed, 2 failed\n',
    )
  })
})
