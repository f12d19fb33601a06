import type { PlantedFault } from './faults.ts'
import type { RunReport } from './run-seed.ts'

/** The command that does a seed again, with every line of its trace. */
export function commandFor(seed: number, plant: PlantedFault | undefined): string {
  return `npm run simulate -- --from ${seed} --seeds 1${plant === undefined ? '' : ` --plant ${plant}`} --trace`
}

/** What a seed that failed leaves for whoever looks into it. */
export function failureText(report: RunReport, plant: PlantedFault | undefined): string {
  return [
    `Seed ${report.seed} failed:`,
    ...report.violations.map(({ invariant, what }) => `  ${invariant}: ${what}`),
    `The last of ${report.traceLines} lines of its trace:`,
    ...report.tail.map((line) => `  ${line}`),
    `Again: ${commandFor(report.seed, plant)}`,
  ].join('\n')
}

/** Figures of many seeds. */
export class Summary {
  readonly #reached = new Map<string, number>()
  readonly failedSeeds: number[] = []
  #seedCount = 0
  #virtualMs = 0

  add(report: RunReport): void {
    this.#seedCount++
    this.#virtualMs += report.virtualMs
    if (report.violations.length > 0) this.failedSeeds.push(report.seed)
    for (const [what, count] of report.reached) this.#reached.set(what, (this.#reached.get(what) ?? 0) + count)
  }

  /** How often each thing came about that has to be seen, by name. */
  get reached(): Readonly<Record<string, number>> {
    return Object.fromEntries([...this.#reached].toSorted(([a], [b]) => (a < b ? -1 : 1)))
  }

  get json(): object {
    const { failedSeeds, reached } = this
    return { seedCount: this.#seedCount, failedSeeds, virtualMs: Math.round(this.#virtualMs), reached }
  }

  get text(): string {
    const lines = Object.entries(this.reached).map(([what, count]) => `${String(count).padStart(9)}  ${what}`)
    const hours = (this.#virtualMs / 3_600_000).toFixed(1)
    return [...lines, `${this.#seedCount} seeds, ${hours} virtual hours, ${this.failedSeeds.length} failed`].join('\n')
  }
}
