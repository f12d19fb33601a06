/** What is to catch a bug: a kind of torture, the simulation, or the conformance suite of engines. */
export type Net = 'power-loss' | 'kills' | 'faults' | 'flips' | 'limits' | 'simulation' | 'conformance'

/** One place of a source, as it stands there exactly once, and what stands there instead. */
export interface Edit {
  /** Below the root of the repository. */
  readonly file: string
  readonly from: string
  readonly to: string
}

/** A bug that somebody could make. */
export interface PlantedBug {
  /** What is wrong then. */
  readonly name: string
  readonly net: Net
  /** For the sake of time: of the conformance suite only the cases whose names begin with it, of faults only those of this system call. */
  readonly area?: string
  readonly edits: readonly Edit[]
}

/** The text with an edit made. @throws RangeError where the source moved on, so that the bug would not be planted */
export function edited(text: string, { file, from, to }: Edit): string {
  const count = text.split(from).length - 1
  if (count !== 1) throw new RangeError(`${file} holds ${count} times what is to be replaced: ${from.trim()}`)
  return text.replace(from, () => to)
}
