import type { ViewBuild, ViewCopy } from './view-copy.ts'

/** A copy as it stands. */
export interface CopyStatus extends ViewCopy {
  /** Such as `v2`. */
  readonly copy: string
  /** Of an inline copy, positions of the event store take the place of events here and below. */
  readonly eventsTotal: number
  readonly eventsDone: number
  readonly eventsBehind: number
  /** How many processes and starts are at work on it. 0 for an inline copy: nobody can tell. */
  readonly memberCount: number
  /** Events that its functions could not take, up to 1,000. While there are any, it is swapped in by hand only. */
  readonly deadLetterCount: number
  /**
   * Why it cannot go on: an event that its functions cannot take. null: nothing is known. Of inline copies; the others have
   * dead letters.
   */
  readonly problem: string | null
}

/** A copy that is being built, as it stands. */
export interface BuildStatus extends CopyStatus, ViewBuild {
  /** In the last 10 seconds, as far as this process looked; `undefined`: it looked only once. */
  readonly speedEventsPerSecond: number | undefined
  /** At this speed; `undefined`: it cannot be told. */
  readonly secondsLeft: number | undefined
}

/** The copies of a view as they stand. */
export interface ViewStatus {
  readonly live: CopyStatus
  /** What `rollBack()` goes back to. */
  readonly previous: CopyStatus | null
  readonly next: BuildStatus | null
  /** Reads of this process from the copy that is being built, each compared with the live one. */
  readonly canary: CanaryStatus
}

/** Reads from the copy that is being built. Copies that are not equally far differ for a while. */
export interface CanaryStatus {
  /** Share of the keys, 0 to 1. */
  readonly share: number
  readonly readCount: number
  /** How many of them the live copy answers otherwise. */
  readonly differingCount: number
}
