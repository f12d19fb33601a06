/** How a row is run. */
export interface RowSettings {
  /** Fewer and smaller rounds: figures that show a fault, not the last word. */
  readonly quick: boolean
  /** An empty folder on the disk that is measured. */
  readonly folder: string
}

/** What a figure has to reach; `of` says whether the value itself or its ratio to the limit is meant. */
export interface Target {
  readonly of: 'value' | 'ratio'
  readonly atLeast?: number
  readonly atMost?: number
}

/** The physical limit beside a figure, measured in the same run. */
export interface Limit {
  /** What the loop does: only what nobody can avoid. */
  readonly what: string
  /** In the unit of the figure. */
  readonly value: number
}

/** One line of the table. */
export interface Figure {
  readonly what: string
  readonly value: number
  readonly unit: string
  readonly limit?: Limit
  readonly target?: Target
  /** What one has to know to read the figure. */
  readonly notes?: readonly string[]
}

/** A row of the table of targets: one or more figures that belong together, measured in a process of their own. */
export interface BenchRow {
  readonly title: string
  run(settings: RowSettings): Promise<readonly Figure[]>
}

/** A figure by its limit. */
export function ratioOf({ value, limit }: Figure): number | undefined {
  return limit === undefined ? undefined : value / limit.value
}

/** Whether a figure reaches its target; `undefined` if it has none. */
export function isMet(figure: Figure): boolean | undefined {
  const { target } = figure
  if (target === undefined) return undefined
  const measured = target.of === 'ratio' ? ratioOf(figure) : figure.value
  if (measured === undefined || Number.isNaN(measured)) return false
  return (
    measured >= (target.atLeast ?? Number.NEGATIVE_INFINITY) && measured <= (target.atMost ?? Number.POSITIVE_INFINITY)
  )
}
