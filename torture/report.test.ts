import { describe, expect, it } from 'vitest'
import { exitCodeOf, exitCodes, type KindReport, textOf } from './report.ts'

const fine: KindReport = {
  kind: 'kills',
  title: 'processes killed',
  seconds: 1.4,
  skipped: null,
  caseCount: 3,
  failures: [],
  facts: { ready: 2, apps: 1 },
}
const nothing: KindReport = { ...fine, caseCount: 0 }
const skipped: KindReport = { ...nothing, skipped: 'strace is not installed' }
const failed: KindReport = { ...fine, failures: [{ name: 'case 1', problem: 'it died', evidence: 'case-1' }] }
const here = { only: [], isCi: false }

describe('what the torture says', () => {
  it('names what was done, and what went wrong', () => {
    expect(textOf(fine)).toBe('kills: processes killed: 3 cases in 1 s, 0 failed\n  ready 2, apps 1')
    expect(textOf(failed)).toContain('1 failed\n  ready 2, apps 1\n  case 1: it died (kept in .cache/torture/case-1)')
  })

  it('does not call it a success that nothing was done', () => {
    expect(textOf(nothing)).toBe('kills: NOT RUN, there was no case to do, or no time for one')
    expect(textOf(skipped)).toBe('kills: SKIPPED, strace is not installed')
  })

  it.each([
    ['all went well', [fine, fine], here, exitCodes.fine],
    ['something failed', [fine, failed, nothing], here, exitCodes.failed],
    ['a kind had no case', [fine, nothing], here, exitCodes.notRun],
    ['a kind cannot be done, and nobody asked for it', [fine, skipped], here, exitCodes.fine],
    ['a kind cannot be done that was asked for', [skipped], { only: ['kills'], isCi: false }, exitCodes.notRun],
    ['a kind cannot be done where all must be', [fine, skipped], { only: [], isCi: true }, exitCodes.notRun],
  ])('ends as it should when %s', (_when, reports, asked, code) => {
    expect(exitCodeOf(reports, asked)).toBe(code)
  })
})
