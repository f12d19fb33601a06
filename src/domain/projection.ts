import type { EventQueryItem } from '../engine/index.ts'
import { type OptionProblem, OptionsInvalidError, optionJson, unknownOptions } from '../kernel/index.ts'
import type { AnyEventDefinition, Message, MessageOf, ReadonlyData } from '../message/index.ts'
import { definitionListProblems, functionProblems } from './definition-list-problems.ts'

/** What a projection is made of. */
export interface ProjectionOptions<Events extends readonly AnyEventDefinition[], State> {
  /** The events that count. */
  readonly events: Events
  /** Only events that have all of these tags. Default: whatever their tags. */
  readonly tags?: readonly string[]
  /** Value without any event. JSON. */
  readonly initial: State
  /** For each event, by its type: the value after it. Pure. */
  readonly on: {
    readonly [Type in Events[number]['type']]: (
      state: ReadonlyData<State>,
      event: Extract<MessageOf<Events[number]>, { readonly type: Type }>,
    ) => ReadonlyData<State>
  }
  /** Only the last of these events counts, so only that one is read. Default `false`. */
  readonly onlyLast?: boolean
}

/** One small thing that a decision needs to know, made of the events that match. Made by {@link projection}. */
export interface Projection<State = unknown> {
  readonly events: readonly AnyEventDefinition[]
  readonly initial: State
  readonly onlyLast: boolean
  /** What it reads: one item of a query. */
  readonly item: EventQueryItem
  apply(state: State, event: Message): State
}

/**
 * Declares what a decision reads: a value made of the events that match types and tags, whatever streams they stand in.
 *
 * Made anew for each command, with the tags that the command is about.
 *
 * @throws OptionsInvalidError `OPTIONS_INVALID`, naming all options that are wrong.
 *
 * @example
 * ```ts
 * const seatsOf = (courseId: string) =>
 *   projection({
 *     events: [CourseDefined, StudentSubscribed],
 *     tags: [`course:${courseId}`],
 *     initial: 0,
 *     on: { CourseDefined: (_seats, { data }) => data.capacity, StudentSubscribed: (seats) => seats - 1 },
 *   })
 * ```
 */
export function projection<const Events extends readonly [AnyEventDefinition, ...AnyEventDefinition[]], State>(
  options: ProjectionOptions<Events, State>,
): Projection<State> {
  const initial = checkProjection(options) as State
  const functions = options.on as unknown as Readonly<Record<string, (state: unknown, event: Message) => unknown>>
  const types = options.events.map((definition) => definition.type)
  const tags = options.tags ?? []
  return Object.freeze({
    events: options.events,
    initial,
    onlyLast: options.onlyLast ?? false,
    item: tags.length === 0 ? { types } : { types, tags: [...tags] },
    apply: (state: State, event: Message) => functions[event.type]?.(state, event) as State,
  })
}

const projectionOptions = ['events', 'tags', 'initial', 'on', 'onlyLast']

/** Answers the initial value, frozen. */
function checkProjection(options: {
  readonly events?: unknown
  readonly tags?: unknown
  readonly initial?: unknown
  readonly on?: unknown
  readonly onlyLast?: unknown
}): unknown {
  if (typeof options !== 'object' || options === null) {
    throw new OptionsInvalidError('a projection', [{ option: 'options', problem: 'is no object' }])
  }
  const problems: OptionProblem[] = [
    ...unknownOptions(options, projectionOptions),
    ...definitionListProblems('events', 'event', options?.events),
    ...functionProblems('on', options?.events, options?.on),
  ]
  const { tags = [] } = options
  if (!Array.isArray(tags) || !tags.every((tag) => typeof tag === 'string' && tag !== '')) {
    problems.push({ option: 'tags', problem: 'is no list of texts' })
  }
  if (!['boolean', 'undefined'].includes(typeof options.onlyLast)) {
    problems.push({ option: 'onlyLast', problem: 'is neither true nor false' })
  }
  const initial = optionJson('initial', options.initial, problems)
  if (problems.length > 0) throw new OptionsInvalidError('a projection', problems)
  return initial
}
