import type { VirtualClock } from '../../kernel/index.ts'
import type { Engine } from '../engine.ts'

/** What the suite runs on: one place where an engine keeps its things, opened as often as a case wants. */
export interface Ground {
  /**
   * Opens the engine on what earlier calls left there. Never called before the engine that it gave last was closed or
   * released.
   */
  open(): Promise<Engine>
  /** Called at the end of a case instead of closing the engine, which the case may have closed: to use it once more. */
  release?(engine: Engine): Promise<void>
  /** The clock that the engine lives by; absent where it has a time of its own, as a server does. */
  readonly clock?: VirtualClock
  /** What the cases that choose at random choose by, to repeat one that failed. Absent: each of them takes a new one. */
  readonly seed?: number
}
