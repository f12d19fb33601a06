/** What is measured: bytes, or rows of a table. */
export type Sample = Readonly<Record<string, number>>

/** How much more the last half of a run may hold than the half before it. */
export interface Allowance {
  /** Of what the earlier half came to. */
  readonly share: number
  readonly more: number
  /** For each event of the last half. */
  readonly eachEvent: number
}

/** A measure whose later maximum is beyond what the earlier one allows for. */
export interface Growth {
  readonly name: string
  readonly before: number
  readonly after: number
}

/** So much of a run is not looked at: caches fill, pages come to be used again. */
const warmUpShare = 1 / 4
/** Of a run, the half that is held against the one before it. */
export const laterShare: number = (1 - warmUpShare) / 2
/** With fewer, caches are still filling in the first half. */
export const samplesMin = 32

/** What the two halves of a run came to at most, the warm-up left out. */
export function halves(samples: readonly Sample[]): readonly [before: Sample, after: Sample] {
  const warm = samples.slice(Math.floor(samples.length * warmUpShare))
  const middle = Math.floor(warm.length / 2)
  return [maxima(warm.slice(0, middle)), maxima(warm.slice(middle))]
}

/** What goes on growing: whose maximum in the last half is beyond that of the half before and what is allowed. `eventCount`: of the last half. */
export function growing(
  samples: readonly Sample[],
  eventCount: number,
  allowanceOf: (name: string) => Allowance,
): readonly Growth[] {
  const [before, after] = halves(samples)
  return Object.entries(after).flatMap(([name, most]) => {
    const { share, more, eachEvent } = allowanceOf(name)
    const earlier = before[name] ?? 0
    return most > earlier * (1 + share) + more + eachEvent * eventCount ? [{ name, before: earlier, after: most }] : []
  })
}

function maxima(samples: readonly Sample[]): Sample {
  const most: Record<string, number> = {}
  for (const sample of samples) {
    for (const [name, count] of Object.entries(sample)) most[name] = Math.max(most[name] ?? count, count)
  }
  return most
}
