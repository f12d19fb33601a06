import type { Part } from './contenders.ts'
import type { Figure } from './row.ts'

/** One system in a comparison. */
export interface Entry {
  readonly name: string
  readonly part: Part
  readonly value: number
  readonly notes?: readonly string[]
}

/** What is compared, and which value is the better one. */
export interface Comparison {
  readonly what: string
  readonly unit: string
  readonly better: 'more' | 'less'
}

/**
 * Millrace, which stands first and has to be no worse than the best of those that are as durable; and all others beside
 * Millrace. Who is not as durable is told apart, and no yardstick.
 */
export function comparisonOf({ what, unit, better }: Comparison, entries: readonly Entry[]): readonly Figure[] {
  const sign = better === 'more' ? -1 : 1
  const [first, ...others] = entries
  const best = others.filter(({ part }) => part === 'rival').sort((a, b) => sign * (a.value - b.value))[0]
  if (first === undefined || best === undefined) throw new Error(`${what}: there is nobody to compare with.`)
  return entries.map(({ name, part, value, notes = [] }) => {
    const isFirst = name === first.name
    const told = part === 'weaker' ? [...notes, 'a power cut may take what it acknowledged'] : notes
    return {
      what: `${what}: ${name}`,
      value,
      unit,
      limit: isFirst
        ? { what: `${best.name}, the best as durable`, value: best.value }
        : { what: first.name, value: first.value },
      ...(isFirst && { target: better === 'more' ? { of: 'ratio', atLeast: 1 } : { of: 'ratio', atMost: 1 } }),
      ...(told.length > 0 && { notes: told }),
    }
  })
}
