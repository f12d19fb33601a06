import { type Fault, MillraceError } from '../kernel/index.ts'

/** What a commit that threw means. */
export type CommitFailure =
  /** The engine will not take commits any more. */
  | 'engine'
  /** Nothing is wrong with what was committed: it works once the engine can do it, as when there is room on its disk again. */
  | 'passing'
  /** The engine refuses what was to be written: too large, to an unknown place, not JSON. */
  | 'content'

const failures: Readonly<Record<Fault, CommitFailure>> = { passing: 'passing', lasting: 'engine' }

/** Sorts out why a commit threw. */
export function commitFailureOf(error: unknown): CommitFailure {
  const fault = error instanceof MillraceError ? error.fault : undefined
  return fault === undefined ? 'content' : failures[fault]
}
