import type { StandardSchemaV1 } from '@standard-schema/spec'
import { type OptionProblem, OptionsInvalidError, optionJson, optionMs, unknownOptions } from '../kernel/index.ts'
import type { AnyDefinition } from '../message/index.ts'
import type { BreakerOptions, Handler, HandlerOptions, StateOptions, Subscribed } from './handler.ts'
import { escapedSegment } from './namespaces.ts'
import { exponential } from './retry-policy.ts'

type ErasedOptions = HandlerOptions<never> & {
  readonly state?: StateOptions<unknown>
  readonly timers?: Readonly<Record<string, unknown>>
}

const nameBytesMax = 255

const defaultRetry = exponential()

/** Told apart from a misspelt one, which would silently leave the default in force where no compiler looks. */
const knownOptions: Readonly<Record<keyof ErasedOptions, true>> = {
  name: true,
  key: true,
  state: true,
  timers: true,
  retry: true,
  onDeadLetter: true,
  dedupe: true,
  timeout: true,
  concurrency: true,
  early: true,
  from: true,
  requires: true,
  breaker: true,
  bulkhead: true,
  messagesPerSecond: true,
}

/**
 * Makes a {@link Handler} of what `on` was given. Reports all problems together.
 *
 * @throws OptionsInvalidError `OPTIONS_INVALID`
 */
export function handlerFrom(events: Subscribed, given: ErasedOptions, handle: unknown): Handler {
  const definitions = (Array.isArray(events) ? events : [events]) as readonly AnyDefinition[]
  const problems: OptionProblem[] = []
  const options: ErasedOptions = typeof given === 'object' && given !== null ? given : {}
  if (options !== given) problems.push({ option: 'options', problem: 'is no object' })
  checkEvents(definitions, problems)
  if (typeof handle !== 'function') problems.push({ option: 'handler', problem: 'is not a function' })
  const types = definitions.map((definition) => String(definition?.type))
  const name = options.name ?? types.join('+')
  problems.push(...handlerNameProblems(name))
  const handlerState = stateOf(options, problems)
  const handler = {
    name,
    events: Object.freeze([...definitions]),
    key: options.key,
    countsByKey: false,
    state: handlerState,
    handle: handlerState === undefined ? withoutState(handle) : handle,
    timers: timersOf(options, handlerState !== undefined, problems),
    retry: options.retry ?? defaultRetry,
    onDeadLetter: options.onDeadLetter ?? 'continue',
    dedupeWindowMs: isGiven(options, 'dedupe', ['window'], problems)
      ? optionMs('dedupe.window', options.dedupe.window, 1, problems)
      : undefined,
    timeoutMs: optionMs('timeout', options.timeout ?? '30s', 1, problems),
    concurrency: whole('concurrency', options.concurrency ?? 64, 10_000, problems),
    early: options.early ?? false,
    from: options.from ?? 'earliest',
    requires: options.requires,
    breaker: isGiven(options, 'breaker', ['failures', 'openFor'], problems)
      ? breakerOf(options.breaker, problems)
      : undefined,
    bulkhead: isGiven(options, 'bulkhead', ['concurrent'], problems)
      ? { concurrent: whole('bulkhead.concurrent', options.bulkhead.concurrent, 10_000, problems) }
      : undefined,
    messagesPerSecond: rateOf('messagesPerSecond', options.messagesPerSecond, problems),
    tables: undefined,
  }
  checkChoices(options, problems)
  if (problems.length > 0) throw new OptionsInvalidError(`handler ${JSON.stringify(name)}`, problems)
  return Object.freeze(handler) as Handler
}

/** What is wrong with the name of a handler, if anything. */
export function handlerNameProblems(name: unknown): OptionProblem[] {
  if (typeof name !== 'string' || !/^[^\s\p{C}]{1,255}$/u.test(name)) {
    return [{ option: 'name', problem: 'is not a name of 1 to 255 printable characters without white space' }]
  }
  // It is part of keys in the state store, beside those of app, service and topic.
  if (Buffer.byteLength(escapedSegment(name)) <= nameBytesMax) return []
  return [{ option: 'name', problem: `takes more than ${nameBytesMax} bytes ("/" and "%" count as three)` }]
}

/** Handlers without state take (message, ctx): the runtime always passes the state between them. */
function withoutState(handle: unknown): unknown {
  if (typeof handle !== 'function') return handle
  const call = handle as (subject: unknown, ctx: unknown) => unknown
  return (subject: unknown, _state: unknown, ctx: unknown) => call(subject, ctx)
}

const takeable: ReadonlySet<unknown> = new Set(['event', 'command', 'query'])

function checkEvents(definitions: readonly AnyDefinition[], problems: OptionProblem[]): void {
  if (definitions.length === 0) problems.push({ option: 'events', problem: 'is empty' })
  const seen = new Set<string>()
  for (const definition of definitions) {
    if (!takeable.has(definition?.messageKind)) {
      problems.push({ option: 'events', problem: 'holds what is no definition of an event or a command' })
    } else if (seen.has(definition.type)) {
      problems.push({ option: 'events', problem: `names ${definition.type} twice` })
    } else {
      seen.add(definition.type)
    }
  }
}

function checkChoices(options: ErasedOptions, problems: OptionProblem[]): void {
  for (const option of Object.keys(options)) {
    if (!Object.hasOwn(knownOptions, option)) problems.push({ option, problem: 'is no option of on()' })
  }
  if (options.key !== undefined && typeof options.key !== 'function') {
    problems.push({ option: 'key', problem: 'is not a function' })
  }
  if (options.retry !== undefined && typeof options.retry?.delayMs !== 'function') {
    problems.push({ option: 'retry', problem: 'is no retry policy, such as fixed() or exponential() make' })
  }
  if (!['continue', 'park-key', undefined].includes(options.onDeadLetter)) {
    problems.push({ option: 'onDeadLetter', problem: `is ${String(options.onDeadLetter)}, not continue or park-key` })
  }
  if (!['exactly-once', undefined].includes(options.requires)) {
    problems.push({ option: 'requires', problem: `is ${String(options.requires)}, not exactly-once` })
  }
  if (!['boolean', 'undefined'].includes(typeof options.early)) {
    problems.push({ option: 'early', problem: `is ${String(options.early)}, not true or false` })
  }
  if (!['earliest', 'latest', undefined].includes(options.from)) {
    problems.push({ option: 'from', problem: `is ${String(options.from)}, not earliest or latest` })
  }
}

/** Whether an option that is an object itself is there, with no option of its own that is none. */
function isGiven<Option extends 'state' | 'dedupe' | 'breaker' | 'bulkhead'>(
  options: ErasedOptions,
  option: Option,
  known: readonly string[],
  problems: OptionProblem[],
): options is ErasedOptions & { readonly [Name in Option]: NonNullable<ErasedOptions[Name]> } {
  const given: unknown = options[option]
  if (given === undefined) return false
  if (typeof given !== 'object' || given === null) {
    problems.push({ option, problem: `is no object with ${known.join(' or ')}` })
    return false
  }
  problems.push(...unknownOptions(given, known).map((one) => ({ ...one, option: `${option}.${one.option}` })))
  return true
}

function stateOf(options: ErasedOptions, problems: OptionProblem[]): Handler['state'] {
  if (!isGiven(options, 'state', ['initial', 'schema'], problems)) return undefined
  const schema: StandardSchemaV1 | undefined = options.state.schema
  if (schema !== undefined && typeof schema['~standard']?.validate !== 'function') {
    problems.push({ option: 'state.schema', problem: 'is not a Standard Schema validator' })
  }
  return Object.freeze({ initial: optionJson('state.initial', options.state.initial, problems), schema })
}

function timersOf(options: ErasedOptions, stateful: boolean, problems: OptionProblem[]): Handler['timers'] {
  const timers: Record<string, unknown> = Object.create(null)
  for (const [id, run] of Object.entries(options.timers ?? {})) {
    if (typeof run !== 'function') problems.push({ option: `timers.${id}`, problem: 'is not a function' })
    timers[id] = stateful ? run : withoutState(run)
  }
  return Object.freeze(timers) as Handler['timers']
}

function breakerOf(options: BreakerOptions, problems: OptionProblem[]): Handler['breaker'] {
  return {
    failures: whole('breaker.failures', options.failures ?? 5, 1000, problems),
    openForMs: optionMs('breaker.openFor', options.openFor ?? '10s', 1, problems),
  }
}

/** Checks a rate: a number above 0, or none. */
export function rateOf(option: string, rate: number | undefined, problems: OptionProblem[]): number | undefined {
  if (rate !== undefined && !(Number.isFinite(rate) && rate > 0)) {
    problems.push({ option, problem: `is ${String(rate)}, not a number above 0` })
  }
  return rate
}

function whole(option: string, value: number, max: number, problems: OptionProblem[]): number {
  if (!Number.isSafeInteger(value) || value < 1 || value > max) {
    problems.push({ option, problem: `is ${value}, not a whole number from 1 to ${max}` })
  }
  return value
}
