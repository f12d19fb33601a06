import type { PlantedFault } from './faults.ts'
import type { Trace } from './trace.ts'

/** An invariant that did not hold. */
export interface Violation {
  readonly invariant: string
  readonly what: string
}

const violationsKept = 20

/** What an observer outside of the process knows: it outlives every crash. */
export class History {
  readonly trace: Trace
  /** The bug that was planted in this run, if any. */
  readonly planted: PlantedFault | undefined
  readonly violations: Violation[] = []
  /** How often what was to be seen came about: a simulation that never crashes at work proves nothing. */
  readonly reached: Map<string, number> = new Map()
  /** The wall clock has shown this time before it was set: what was due then is not early when it was set back since. */
  wallMsMax = 0
  #moment = 0

  constructor(trace: Trace, planted: PlantedFault | undefined) {
    this.trace = trace
    this.planted = planted
  }

  /** A place in the order in which observers saw things, greater than all before. */
  moment(): number {
    return ++this.#moment
  }

  reach(what: string, count = 1): void {
    this.reached.set(what, (this.reached.get(what) ?? 0) + count)
  }

  violate(invariant: string, what: string): void {
    this.trace.write(`VIOLATION ${invariant}: ${what}`)
    if (this.violations.length < violationsKept) this.violations.push({ invariant, what })
  }

  /** Notes a violation unless `holds`. */
  check(holds: boolean, invariant: string, what: () => string): void {
    if (!holds) this.violate(invariant, what())
  }
}
