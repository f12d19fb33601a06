import {
  type Duration,
  nameProblems,
  type OptionProblem,
  OptionsInvalidError,
  optionJson,
  optionMs,
  unknownOptions,
} from '../kernel/index.ts'
import { definitionListProblems, functionProblems } from './definition-list-problems.ts'
import { type SnapshotOptions, snapshotProblems } from './snapshot-rule.ts'

const rememberDefault: Duration = '10m'
const rememberMsMin = 1000
const rememberMsMax = 30 * 24 * 60 * 60 * 1000

/** Options after their types have done their work. */
interface ErasedOptions {
  readonly commands?: unknown
  readonly events?: unknown
  readonly stream?: unknown
  readonly initialState?: unknown
  readonly decide?: unknown
  readonly evolve?: unknown
  readonly version?: unknown
  readonly carriesForward?: unknown
  readonly publish?: unknown
  readonly remember?: unknown
  readonly snapshot?: unknown
}

const deciderOptions = [
  'commands',
  'events',
  'stream',
  'initialState',
  'decide',
  'evolve',
  'version',
  'carriesForward',
  'publish',
  'remember',
  'snapshot',
]

/**
 * Checks the options of a decider. Answers for how long outcomes are remembered, in milliseconds, and its initial state, frozen.
 *
 * @throws OptionsInvalidError `OPTIONS_INVALID`
 */
export function checkDecider(
  name: string,
  given: object,
): { readonly rememberMs: number; readonly initialState: unknown } {
  const options = (given ?? {}) as ErasedOptions
  const problems: OptionProblem[] = nameProblems(name)
  problems.push(...unknownOptions(options, deciderOptions))
  problems.push(...definitionListProblems('commands', 'command', options.commands))
  problems.push(...definitionListProblems('events', 'event', options.events))
  if (typeof options.stream !== 'function') problems.push({ option: 'stream', problem: 'is not a function' })
  problems.push(...functionProblems('decide', options.commands, options.decide))
  problems.push(...functionProblems('evolve', options.events, options.evolve))
  const { version = 1 } = options
  if (!Number.isSafeInteger(version) || (version as number) < 1) {
    problems.push({ option: 'version', problem: `is ${String(version)}, not a whole number from 1` })
  }
  const { carriesForward } = options
  if (carriesForward !== undefined && !(options.events as readonly unknown[] | undefined)?.includes(carriesForward)) {
    problems.push({ option: 'carriesForward', problem: 'is not among its events' })
  }
  problems.push(...snapshotProblems(options.snapshot as SnapshotOptions | undefined))
  const rememberMs = handlingProblems(options, problems)
  const initialState = optionJson('initialState', options.initialState, problems)
  if (problems.length > 0) throw new OptionsInvalidError(`decider ${JSON.stringify(name)}`, problems)
  return { rememberMs, initialState }
}

/** Checks the options that all who handle commands have in common; answers for how long outcomes are remembered. */
export function handlingProblems(options: ErasedOptions, problems: OptionProblem[]): number {
  if (!['boolean', 'undefined'].includes(typeof options.publish)) {
    problems.push({ option: 'publish', problem: 'is neither true nor false' })
  }
  return optionMs('remember', (options.remember ?? rememberDefault) as Duration, rememberMsMin, problems, rememberMsMax)
}
