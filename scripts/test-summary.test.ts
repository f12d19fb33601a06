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

function lineOf(report: unknown, exitCode: number): string {
  const path = join(folder, 'report.json')
  writeFileSync(path, typeof report === 'string' ? report : JSON.stringify(report))
  return spawnSync(process.execPath, [script, path, String(exitCode)], { encoding: 'utf8' }).stdout
}

describe('the closing line', () => {
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
    expect(lineOf(report, exitCode)).toBe(line)
  })
})
