/** The middle of some measurements. */
export function median(values: readonly number[]): number {
  return percentile(values, 0.5)
}

/** The value that a share of the measurements does not pass: 0.5 is the middle, 0.99 leaves one in a hundred out. */
export function percentile(values: readonly number[], share: number): number {
  const sorted = Float64Array.from(values).sort()
  if (sorted.length === 0) return Number.NaN
  const place = share * (sorted.length - 1)
  const below = Math.floor(place)
  const low = sorted[below] as number
  const high = sorted[Math.min(below + 1, sorted.length - 1)] as number
  return low + (high - low) * (place - below)
}

/** Measures that compete, in turn, so that what disturbs the machine disturbs all of them; the middle of each. */
export async function alternate<Name extends string>(
  rounds: number,
  measures: Readonly<Record<Name, (round: number) => number | Promise<number>>>,
): Promise<Record<Name, number>> {
  const names = Object.keys(measures) as Name[]
  const found = Object.fromEntries(names.map((name) => [name, [] as number[]])) as Record<Name, number[]>
  for (let round = 0; round < rounds; round++) {
    for (const name of names) found[name].push(await measures[name](round))
  }
  return Object.fromEntries(names.map((name) => [name, median(found[name])])) as Record<Name, number>
}

/** How many of something happened each second while `work` ran. */
export async function rateOf(count: number, work: () => unknown): Promise<number> {
  const startMs = performance.now()
  await work()
  return (count * 1000) / (performance.now() - startMs)
}
