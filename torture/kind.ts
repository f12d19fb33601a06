import type { SeededRandom } from '../src/kernel/index.ts'
import type { Scratch } from './scratch.ts'

/** How much of one kind is to be done: so many cases, or as many as fit until a time; whichever comes first. */
export interface Budget {
  readonly casesMax: number
  /** No case is begun after one that went wrong. */
  readonly stopsAtFirst: boolean
  /** By `performance.now()`. */
  readonly endMs: number
}

/** A case that went wrong. */
export interface Failure {
  /** Which one, so that it can be told from others of its kind. */
  readonly name: string
  readonly problem: string
  /** Folder under `.cache/torture` with what is left of it, if anything is. */
  readonly evidence: string | null
}

/** What became of one kind. */
export interface KindResult {
  readonly caseCount: number
  readonly failures: readonly Failure[]
  /** Counts that say what the cases were made of, so that one sees whether they were any good. */
  readonly facts: Readonly<Record<string, number>>
}

/** What a kind works with. */
export interface Bench {
  readonly random: SeededRandom
  readonly budget: Budget
  readonly scratch: Scratch
}

/** One way to torture the engine. */
export interface Kind {
  readonly name: string
  readonly title: string
  /** What `--quick` does, so that all kinds together take less than 100 seconds. */
  readonly casesQuick: number
  /** The large set, which `--full` does. */
  readonly casesFull: number
  /** Why it cannot be done on this machine; undefined: it can. */
  readonly impossible?: () => string | undefined
  readonly run: (bench: Bench) => Promise<KindResult>
}

/** Whether another case is to be begun. */
export function goesOn({ casesMax, stopsAtFirst, endMs }: Budget, caseCount: number, failureCount: number): boolean {
  return caseCount < casesMax && performance.now() < endMs && !(stopsAtFirst && failureCount > 0)
}
