import { type Duration, durationMs } from './duration.ts'
import { MillraceError, type OptionProblem } from './errors.ts'

/** Milliseconds of a duration among options. What is wrong with it is added to the problems; then it is the smallest allowed. */
export function optionMs(option: string, value: Duration, minMs: number, problems: OptionProblem[]): number {
  try {
    const ms = durationMs(value)
    if (ms >= minMs) return ms
    problems.push({ option, problem: `is ${ms} ms, less than ${minMs} ms` })
  } catch (error) {
    problems.push({ option, problem: error instanceof MillraceError ? error.problem : String(error) })
  }
  return minMs
}

/** Options that nobody knows: a typing error must not leave out what somebody relies on. */
export function unknownOptions(options: object, known: readonly string[]): OptionProblem[] {
  return Object.keys(options)
    .filter((option) => !known.includes(option))
    .map((option) => ({ option, problem: 'is no option' }))
}
