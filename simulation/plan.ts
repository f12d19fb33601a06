import type { Draw } from './draw.ts'
import type { DiskWeather, OutsideWeather } from './weather.ts'

/** What a seed makes of a run. Each run has some kinds of work and some kinds of trouble only: what is rare beside others is
 * common alone (swarm testing). */
export interface Plan {
  readonly workloads: readonly WorkloadName[]
  /** Topics and everything else on two disks, with an outbox between them, rather than all on one. */
  readonly hasTwoDisks: boolean
  /** Lives that end in a crash, before the last one. */
  readonly crashCount: number
  /** Whether the last life sees faults too, until its clients are done. */
  readonly drainsInPlace: boolean
  /** Steps of the scheduler in one life, at most. */
  readonly stepCountMax: number
  /** Starts of the app that share the work of one process, at most. */
  readonly startCountMax: number
  readonly requestCount: number
  /** What the engine is asked is answered so many milliseconds later, at most; 0: at once. */
  readonly answerMsMax: number
  readonly disk: DiskWeather
  readonly outside: OutsideWeather
  /** The wall clock is set, by so many milliseconds at most; 0: never. */
  readonly clockJumpMsMax: number
}

export const workloadNames = [
  'postings',
  'alarms',
  'bank',
  'courses',
  'counters',
  'members',
  'checkout',
  'orders',
] as const

export type WorkloadName = (typeof workloadNames)[number]

export function drawPlan(draw: Draw): Plan {
  const workloads = workloadNames.filter(() => draw.chance(0.45))
  return {
    workloads: workloads.length > 0 ? workloads : [draw.pick(workloadNames)],
    hasTwoDisks: draw.chance(0.25),
    crashCount: draw.int(1, 4),
    stepCountMax: draw.pick([60, 200, 600]),
    startCountMax: draw.int(1, 3),
    requestCount: draw.int(2, 12),
    answerMsMax: draw.pick([0, 0, 2, 30]),
    disk: {
      syncMsMax: draw.pick([1, 10, 300]),
      syncFailureChance: draw.chance(0.3) ? 0.01 : 0,
      fullChance: draw.chance(0.3) ? draw.pick([0.03, 0.2]) : 0,
    },
    outside: {
      failureChance: draw.chance(0.6) ? 0.15 : 0,
      crashChance: draw.chance(0.5) ? 0.02 : 0,
    },
    clockJumpMsMax: draw.chance(0.3) ? 20_000 : 0,
    drainsInPlace: draw.chance(0.5),
  }
}
