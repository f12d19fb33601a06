import type { UnitCommand, UnitResult } from '../committing/index.ts'

/** A unit of a group of commits that has no answer yet. */
export interface OpenUnit {
  /** Its place in the group. */
  readonly index: number
  readonly unit: UnitCommand
}

/** Why an attempt to make units came to nothing; all of it is undone. */
export type Stop =
  /** These units cannot be made; the others can. */
  | { readonly kind: 'refused'; readonly answers: ReadonlyMap<number, UnitResult> }
  /** The brokers ended the session; nothing is wrong with the units. */
  | { readonly kind: 'session-over'; readonly code: number }
