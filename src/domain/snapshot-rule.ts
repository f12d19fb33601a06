import { durationMs, MillraceError, type OptionProblem } from '../kernel/index.ts'
import type { SnapshotOptions } from './decider.ts'

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
  try {
    if (options.every !== undefined) durationMs(options.every)
  } catch (error) {
    problems.push({ option: 'snapshot.every', problem: error instanceof MillraceError ? error.problem : String(error) })
  }
  if (Object.values(options).every((value) => value === undefined)) {
    problems.push({ option: 'snapshot', problem: 'says nothing about when' })
  }
  return problems
}
