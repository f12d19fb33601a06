/** How a disk behaves in a run. */
export interface DiskWeather {
  /** Time for one transaction and its sync, at most, in milliseconds. */
  readonly syncMsMax: number
  /** From 0 to 1, for each transaction. */
  readonly syncFailureChance: number
  readonly fullChance: number
}

/** A disk that refuses nothing. */
export const fairWeather: Omit<DiskWeather, 'syncMsMax'> = { syncFailureChance: 0, fullChance: 0 }

/** How the outside world behaves in a run, from 0 to 1. */
export interface OutsideWeather {
  /** It does what it was asked for, and the answer is lost. */
  readonly failureChance: number
  /** The process dies beside a call: before it, or right after. */
  readonly crashChance: number
}
