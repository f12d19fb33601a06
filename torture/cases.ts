import { type Budget, type Failure, goesOn } from './kind.ts'

/** How cases are gone through. */
export interface CaseRun {
  readonly budget: Budget
  readonly failures: Failure[]
  readonly atOnce: number
  /** How many there are; as many as the budget lets begin, unless told. */
  readonly count?: number
}

/**
 * Runs one case after the other, some of them beside each other, until there are enough, and answers how many were begun. A case
 * that throws has failed as one that fails otherwise has: it ends neither the run nor the cases beside it.
 */
export async function runCases(
  { budget, failures, atOnce, count = Number.POSITIVE_INFINITY }: CaseRun,
  run: (number: number) => Promise<void>,
): Promise<number> {
  let begun = 0
  const work = async (): Promise<void> => {
    while (begun < count && goesOn(budget, begun, failures.length)) {
      const number = begun++
      await run(number).catch((error: unknown) => failures.push(failureOf(`case ${number}`, error)))
    }
  }
  await Promise.all(Array.from({ length: atOnce }, work))
  return begun
}

/** What was thrown where nothing was to be. */
export function failureOf(name: string, error: unknown): Failure {
  return { name, problem: error instanceof Error ? (error.stack ?? error.message) : String(error), evidence: null }
}
