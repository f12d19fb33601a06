import type { KindResult } from './kind.ts'

/** What became of one kind, for people and programs. */
export interface KindReport extends KindResult {
  readonly kind: string
  readonly title: string
  readonly seconds: number
  /** Why it cannot be done here; null: it can. */
  readonly skipped: string | null
}

/** What was asked for, and where. */
export interface Asked {
  /** Kinds that were named. */
  readonly only: readonly string[]
  readonly isCi: boolean
}

const failuresShownMax = 20

/** Nothing went wrong; something did; something that was to be done was not. */
export const exitCodes = { fine: 0, failed: 1, notRun: 2 } as const

/** What the process is to end with. What is skipped is fine only where nobody named it, on a machine of one's own. */
export function exitCodeOf(reports: readonly KindReport[], { only, isCi }: Asked): number {
  if (reports.some(({ failures }) => failures.length > 0)) return exitCodes.failed
  const isRun = ({ kind, skipped, caseCount }: KindReport): boolean =>
    skipped === null ? caseCount > 0 : !isCi && !only.includes(kind)
  return reports.every(isRun) ? exitCodes.fine : exitCodes.notRun
}

export function textOf({ kind, title, seconds, skipped, caseCount, failures, facts }: KindReport): string {
  if (skipped !== null) return `${kind}: SKIPPED, ${skipped}`
  if (caseCount === 0 && failures.length === 0) return `${kind}: NOT RUN, there was no case to do, or no time for one`
  const counts = Object.entries(facts).map(([fact, count]) => `${fact} ${count}`)
  const head = `${kind}: ${title}: ${caseCount} cases in ${seconds.toFixed(0)} s, ${failures.length} failed`
  const kept = (evidence: string | null): string => (evidence === null ? '' : ` (kept in .cache/torture/${evidence})`)
  const lines = failures
    .slice(0, failuresShownMax)
    .map(({ name, problem, evidence }) => `  ${name}: ${problem}${kept(evidence)}`)
  return [head, `  ${counts.join(', ')}`, ...lines].join('\n')
}
