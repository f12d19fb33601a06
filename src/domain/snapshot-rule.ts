import { type Duration, durationMs, type OptionProblem, optionMs } from '../kernel/index.ts'

/** When a snapshot of the state is written, together with the events that make it due. Whatever comes first counts. */
export interface SnapshotOptions {
  /** After so many events since the last one, 1 to 1,000,000. */
  readonly everyEvents?: number
  /** After so many characters of JSON data of events since the last one, 1 to 1,000,000,000. */
  readonly everyCharacters?: number
  /** With the first event that comes so long after the last one. */
  readonly every?: Duration
}

/** When a snapshot is due; what is not asked for is infinite. */
export interface SnapshotRule {
  readonly everyEvents: number
  readonly everyCharacters: number
  readonly everyMs: number
}

const never = Number.POSITIVE_INFINITY

/** Options that were checked, as a rule. */
export function snapshotRule(options: SnapshotOptions | undefined): SnapshotRule | undefined {
  if (options === undefined) return undefined
  return Object.freeze({
    everyEvents: options.everyEvents ?? never,
    everyCharacters: options.everyCharacters ?? never,
    everyMs: options.every === undefined ? never : durationMs(options.every),
  })
}

/** What is wrong with the options. */
export function snapshotProblems(options: SnapshotOptions | undefined): readonly OptionProblem[] {
  if (options === undefined) return []
  if (typeof options !== 'object' || options === null) return [{ option: 'snapshot', problem: 'is no object' }]
  const problems: OptionProblem[] = []
  const known = ['everyEvents', 'everyCharacters', 'every']
  for (const option of Object.keys(options)) {
    if (!known.includes(option)) problems.push({ option: `snapshot.${option}`, problem: 'is no option' })
  }
  for (const [option, max] of [
    ['everyEvents', 1_000_000],
    ['everyCharacters', 1_000_000_000],
  ] as const) {
    const value = options[option]
    if (value !== undefined && !(Number.isSafeInteger(value) && value >= 1 && value <= max)) {
      problems.push({ option: `snapshot.${option}`, problem: `is ${value}, not a whole number from 1 to ${max}` })
    }
  }
  if (options.every !== undefined) optionMs('snapshot.every', options.every, 0, problems)
  if (Object.values(options).every((value) => value === undefined)) {
    problems.push({ option: 'snapshot', problem: 'says nothing about when' })
  }
  return problems
}
