import { nameProblems, type OptionProblem, OptionsInvalidError, unknownOptions } from '../kernel/index.ts'
import type { AnyCommandDefinition, AnyEventDefinition, Message, MessageOf, ReadonlyData } from '../message/index.ts'
import type { CommandHandlingOptions, Decision } from './decider.ts'
import { handlingProblems } from './decider-problems.ts'
import { definitionListProblems } from './definition-list-problems.ts'
import type { Projection } from './projection.ts'

/** What a decision reads: projections by the names under which it gets their values. */
export type Projections = Readonly<Record<string, Projection>>

/** Values of {@link Projections}. */
export type ProjectedOf<Read> = {
  readonly [Name in keyof Read]: Read[Name] extends Projection<infer State> ? ReadonlyData<State> : never
}

/** What a boundary is made of. */
export interface BoundaryOptions<
  Command extends AnyCommandDefinition,
  Events extends readonly AnyEventDefinition[],
  Read extends Projections,
  Code extends string,
> extends CommandHandlingOptions {
  /** The command that it handles: it is its one handler. */
  readonly command: Command
  /** The events that it appends, with the tags of their definitions. */
  readonly events: Events
  /** What the decision reads. Pure. */
  readonly reads: (command: MessageOf<Command>) => Read
  /** What happens, given what was read. Pure. */
  readonly decide: (
    command: MessageOf<Command>,
    read: ProjectedOf<NoInfer<Read>>,
  ) => Decision<MessageOf<Events[number]>, Code>
  /** The stream that an event is kept in; nothing is decided by it. Default: one stream with the name of the boundary. */
  readonly stream?: (event: MessageOf<Events[number]>) => string
}

/** Decides a command over whatever it reads. Made by {@link boundary}. */
export interface Boundary<
  Command extends Message = Message,
  Event extends Message = Message,
  Code extends string = string,
> {
  readonly kind: 'boundary'
  readonly name: string
  readonly commands: readonly AnyCommandDefinition[]
  readonly events: readonly AnyEventDefinition[]
  readonly publish: boolean
  readonly rememberMs: number
  stream(event: Event): string
  /** What the decision on this command reads. */
  reads(command: Command): Projections
  /** What happens when this command meets these values. */
  decide(command: Command, read: Readonly<Record<string, unknown>>): Decision<Event, Code>
}

/**
 * Declares a dynamic consistency boundary: a command that is decided over several small projections, whatever streams
 * their events stand in, as when a course has seats and a student fewer than five courses.
 *
 * The append condition is inferred from what was read: the events are appended if no event that any of the projections
 * matches came after it, else the command is decided anew (dcb.events, specification, append condition).
 *
 * @param name Letters, digits, `_` and `-`; unique in its service and stable over deployments.
 * @throws OptionsInvalidError `OPTIONS_INVALID`, naming all options that are wrong.
 *
 * @example
 * ```ts
 * const subscribe = boundary('subscribe', {
 *   command: Subscribe,
 *   events: [StudentSubscribed],
 *   reads: ({ data }) => ({ seats: seatsOf(data.courseId), courses: coursesOf(data.studentId) }),
 *   decide: ({ data }, { seats, courses }) => {
 *     if (seats < 1) return reject('COURSE_FULL')
 *     return courses >= 5 ? reject('TOO_MANY_COURSES') : StudentSubscribed(data)
 *   },
 * })
 * ```
 */
export function boundary<
  Command extends AnyCommandDefinition,
  const Events extends readonly [AnyEventDefinition, ...AnyEventDefinition[]],
  Read extends Projections,
  Code extends string = never,
>(
  name: string,
  options: BoundaryOptions<Command, Events, Read, Code>,
): Boundary<MessageOf<Command>, MessageOf<Events[number]>, Code> {
  const rememberMs = checkBoundary(name, options)
  const declared = {
    kind: 'boundary',
    name,
    commands: Object.freeze([options.command]),
    events: Object.freeze([...options.events]),
    publish: options.publish ?? true,
    rememberMs,
    stream: options.stream ?? (() => name),
    reads: (command: MessageOf<Command>) => checkedReads(name, options.reads(command)),
    decide: options.decide,
  }
  return Object.freeze(declared) as unknown as ReturnType<typeof boundary<Command, Events, Read, Code>>
}

/** Without a check, what is no projection would leave the decision without a condition. @throws OptionsInvalidError `OPTIONS_INVALID` */
function checkedReads(name: string, read: Projections): Projections {
  const refuse = (problem: string): never => {
    throw new OptionsInvalidError(`boundary ${JSON.stringify(name)}`, [{ option: 'reads', problem }])
  }
  if (typeof read !== 'object' || read === null) return refuse(`answers ${String(read)}, not projections by name`)
  if (typeof (read as { then?: unknown }).then === 'function') {
    // Nobody awaits it, and its failure would otherwise end the process.
    Promise.resolve(read).catch(() => undefined)
    return refuse('answers a promise: it has to name its projections at once')
  }
  for (const [key, one] of Object.entries(read)) {
    if (typeof one !== 'object' || one === null || typeof one.apply !== 'function' || one.item === undefined) {
      refuse(`answers under ${JSON.stringify(key)} what projection() has not made`)
    }
  }
  return read
}

const boundaryOptions = ['command', 'events', 'reads', 'decide', 'stream', 'publish', 'remember']

function checkBoundary(name: string, given: object): number {
  const options = (given ?? {}) as Readonly<Record<string, unknown>>
  const problems: OptionProblem[] = [
    ...nameProblems(name),
    ...unknownOptions(options, boundaryOptions),
    ...definitionListProblems('command', 'command', [options['command']]),
    ...definitionListProblems('events', 'event', options['events']),
  ]
  for (const option of ['reads', 'decide', 'stream']) {
    const isFunction = typeof options[option] === 'function'
    const isLeftOut = option === 'stream' && options[option] === undefined
    if (!isFunction && !isLeftOut) problems.push({ option, problem: 'is not a function' })
  }
  const rememberMs = handlingProblems(options, problems)
  if (problems.length > 0) throw new OptionsInvalidError(`boundary ${JSON.stringify(name)}`, problems)
  return rememberMs
}
