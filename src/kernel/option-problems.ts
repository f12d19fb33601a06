import { type Duration, durationMs, durationMsMax, durationText } from './duration.ts'
import { DurationInvalidError, JsonInvalidError, type OptionProblem } from './errors.ts'
import { frozenJson } from './json.ts'

/** Milliseconds of a duration among options. What is wrong with it is added to the problems; then it is the smallest allowed. */
export function optionMs(
  option: string,
  value: Duration,
  minMs: number,
  problems: OptionProblem[],
  maxMs: number = durationMsMax,
): number {
  try {
    const ms = durationMs(value)
    if (ms >= minMs && ms <= maxMs) return ms
    const bounds = maxMs === durationMsMax ? 'or more' : `to ${durationText(maxMs)}`
    problems.push({ option, problem: `is ${durationText(ms)}, not ${durationText(minMs)} ${bounds}` })
  } catch (error) {
    if (!(error instanceof DurationInvalidError)) throw error
    problems.push({ option, problem: `is ${error.details.given}, no duration such as 250 or '15m'` })
  }
  return minMs
}

/** A value among options that has to be JSON, frozen. What is wrong with it is added to the problems, with its place. */
export function optionJson<Value>(option: string, value: Value, problems: OptionProblem[]): Value | undefined {
  try {
    return frozenJson(value, option)
  } catch (error) {
    if (!(error instanceof JsonInvalidError)) throw error
    problems.push({ option: error.details.path, problem: error.details.reason })
    return undefined
  }
}

/** Names of apps, services, views and the like are parts of topic names, group names and command lines. */
const namePattern = /^[A-Za-z0-9][A-Za-z0-9_-]{0,99}$/

/** What is wrong with the name of an app or of a part of it, if anything. */
export function nameProblems(name: unknown, option = 'name'): OptionProblem[] {
  if (typeof name === 'string' && namePattern.test(name)) return []
  return [{ option, problem: 'is not 1 to 100 letters, digits, "_" and "-", beginning with a letter or digit' }]
}

/** Names that two things of a list have, where each needs one of its own. */
export function takenNames(option: string, named: readonly { readonly name: string }[]): OptionProblem[] {
  const names = named.map(({ name }) => name)
  const taken = new Set(names.filter((name, index) => names.indexOf(name) < index))
  return Array.from(taken, (name) => ({
    option,
    problem: `holds two of the name ${JSON.stringify(name)}: give one of them another`,
  }))
}

/** Options that nobody knows: a typing error must not leave out what somebody relies on. */
export function unknownOptions(options: object, known: readonly string[]): OptionProblem[] {
  return Object.keys(options)
    .filter((option) => !known.includes(option))
    .map((option) => ({ option, problem: 'is no option' }))
}
