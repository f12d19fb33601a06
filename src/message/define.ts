import type { StandardSchemaV1 } from '@standard-schema/spec'
import { type OptionProblem, OptionsInvalidError } from '../kernel/index.ts'
import { type CreationRules, createMessage } from './create.ts'
import type {
  AnyQueryDefinition,
  CommandDefinition,
  EventDefinition,
  EventKind,
  MessageOverrides,
  QueryDefinition,
  ReadOptions,
  ReadonlyData,
  ThinLink,
} from './definition.ts'
import { definitionProblems, isSchema, notASchema, objectOf, place } from './definition-problems.ts'
import type { Message } from './envelope.ts'
import { readMessage } from './read.ts'
import { queryTopic, rememberTags, rememberTopic } from './topics.ts'
import { UpcastChain } from './upcast.ts'

type Schema = StandardSchemaV1 | undefined
type InputOf<S extends Schema> = S extends StandardSchemaV1 ? StandardSchemaV1.InferInput<S> : null | undefined
type HeldBy<S extends Schema> = S extends StandardSchemaV1 ? ReadonlyData<StandardSchemaV1.InferOutput<S>> : null

const noTags: readonly string[] = Object.freeze([])
const untagged = (): readonly string[] => noTags

interface DefinitionOptions<S extends Schema, Version extends number> {
  /** Version of the schema, an integer from 1. Raise it when data of old messages no longer fits. Default 1. */
  readonly version?: Version
  /** How data of older versions becomes data of this one. Default: older versions cannot be read. */
  readonly upcast?: UpcastChain<NoInfer<Version>, InputOf<NoInfer<S>>>
  /**
   * Validate messages of this version again when handlers, views, sagas and deciders read them: for topics to which programs write
   * that do not use this definition. What does not fit becomes a dead letter: `DATA_INVALID`. Not for schemas that change the type of what
   * they parse. Default `false`: they were validated when they were made.
   */
  readonly validateOnRead?: boolean
  /** Partition key: messages with the same key keep their order. Not empty. Default: none. */
  readonly key?: (data: HeldBy<NoInfer<S>>) => string
  /** What the message is about within its source, such as an order id. Not empty. Default: none. */
  readonly subject?: (data: HeldBy<NoInfer<S>>) => string
  /** Documentation, for people. */
  readonly doc?: string
  /** URI of the schema, for the attribute `dataschema`. Default: none. */
  readonly dataschema?: string
  /** How sensitive the data is, for the attribute `dataclassification`, such as `confidential`. Default: none. */
  readonly dataclassification?: string
}

/** Options of {@link event}. */
export interface EventOptions<S extends Schema, Version extends number, Query extends AnyQueryDefinition | undefined>
  extends DefinitionOptions<S, Version> {
  /** Schema of the data: any Standard Schema validator that answers at once. Default: the event has no data. */
  readonly data?: S
  /** Default `domain`. */
  readonly kind?: EventKind
  /**
   * Tags by which the event is found in the event store whatever its stream, such as `course:c1`: what decisions over
   * several things read. Default: none.
   */
  readonly tags?: (data: HeldBy<NoInfer<S>>) => readonly string[]
  /** Topic that it is published to, by name. Default `events`. */
  readonly topic?: string | { readonly name: string }
  /** For a notification event: the query that fetches the rest, and its parameters. */
  readonly thin?: {
    readonly query: Query
    readonly params: (data: HeldBy<NoInfer<S>>) => Query extends AnyQueryDefinition ? Parameters<Query>[0] : never
  }
}

/** Options of {@link command}. */
export interface CommandOptions<S extends Schema, Version extends number> extends DefinitionOptions<S, Version> {
  /** Schema of the data: any Standard Schema validator that answers at once. Default: the command has no data. */
  readonly data?: S
  /** Queue that it is sent to, by name. Default `commands`. */
  readonly queue?: string | { readonly name: string }
}

/** Options of {@link query}. */
export interface QueryOptions<S extends Schema, Version extends number, R extends StandardSchemaV1>
  extends DefinitionOptions<S, Version> {
  /** Schema of the parameters: any Standard Schema validator that answers at once. Default: it has no parameters. */
  readonly params?: S
  /** Schema of the answer. */
  readonly result: R
}

/**
 * Defines an event: something that happened.
 *
 * The result is a function that creates such events. It carries its definition as read-only properties.
 *
 * @throws OptionsInvalidError `OPTIONS_INVALID`, naming all options that are wrong.
 *
 * @example
 * ```ts
 * const OrderPlaced = event('OrderPlaced', {
 *   data: z.object({ orderId: z.string(), total: z.string() }),
 *   key: (d) => d.orderId,
 * })
 * const placed = OrderPlaced({ orderId: '536365', total: '139.12' })
 *
 * // A notification event carries little and names the query that fetches the rest.
 * const OrderChanged = event('OrderChanged', {
 *   data: z.object({ orderId: z.string() }),
 *   thin: { query: GetOrder, params: (d) => ({ orderId: d.orderId }) },
 * })
 * ```
 */
export function event<
  const Type extends string,
  S extends Schema = undefined,
  const Version extends number = 1,
  Query extends AnyQueryDefinition | undefined = undefined,
>(
  type: Type,
  given: EventOptions<S, Version, Query> = {},
): EventDefinition<
  Type,
  InputOf<S>,
  HeldBy<S>,
  Query extends AnyQueryDefinition ? ThinLink<Query, HeldBy<S>> : undefined
> {
  const problems: OptionProblem[] = []
  const options = objectOf(given, ['data', 'kind', 'tags', 'topic', 'thin'], problems)
  if (options.kind !== undefined && !['domain', 'integration', 'system'].includes(options.kind)) {
    problems.push({ option: 'kind', problem: `is ${JSON.stringify(options.kind)}, not domain, integration or system` })
  }
  if (options.tags !== undefined && typeof options.tags !== 'function') {
    problems.push({ option: 'tags', problem: 'is not a function' })
  }
  if (options.thin !== undefined && options.thin?.query?.messageKind !== 'query') {
    problems.push({ option: 'thin.query', problem: 'is not the definition of a query' })
  }
  if (options.thin !== undefined && typeof options.thin?.params !== 'function') {
    problems.push({ option: 'thin.params', problem: 'is not a function' })
  }
  const own = {
    messageKind: 'event',
    kind: options.kind ?? 'domain',
    tagsOf: (options.tags ?? untagged) as (data: unknown) => readonly string[],
    topic: place('topic', options.topic ?? 'events', problems),
    thin: options.thin === undefined ? undefined : Object.freeze({ ...options.thin }),
  }
  const definition = build(type, options, options.data, own, problems)
  rememberTopic(type, own.topic)
  if (options.tags !== undefined) rememberTags(type, own.tagsOf)
  return definition as unknown as ReturnType<typeof event<Type, S, Version, Query>>
}

/**
 * Defines a command: something that one receiver is told to do.
 *
 * @throws OptionsInvalidError `OPTIONS_INVALID`, naming all options that are wrong.
 *
 * @example
 * ```ts
 * const ShipOrder = command('ShipOrder', { data: z.object({ orderId: z.string() }), queue: 'shipping' })
 * ```
 */
export function command<const Type extends string, S extends Schema = undefined, const Version extends number = 1>(
  type: Type,
  given: CommandOptions<S, Version> = {},
): CommandDefinition<Type, InputOf<S>, HeldBy<S>> {
  const problems: OptionProblem[] = []
  const options = objectOf(given, ['data', 'queue'], problems)
  const own = { messageKind: 'command', queue: place('queue', options.queue ?? 'commands', problems) }
  const definition = build(type, options, options.data, own, problems)
  rememberTopic(type, own.queue)
  return definition as unknown as CommandDefinition<Type, InputOf<S>, HeldBy<S>>
}

/**
 * Defines a query: a question that one receiver answers. The data of its messages are the parameters.
 *
 * @throws OptionsInvalidError `OPTIONS_INVALID`, naming all options that are wrong.
 *
 * @example
 * ```ts
 * const GetOrder = query('GetOrder', { params: z.object({ orderId: z.string() }), result: Order })
 * ```
 */
export function query<
  const Type extends string,
  R extends StandardSchemaV1,
  S extends Schema = undefined,
  const Version extends number = 1,
>(
  type: Type,
  given: QueryOptions<S, Version, R>,
): QueryDefinition<Type, InputOf<S>, HeldBy<S>, StandardSchemaV1.InferOutput<R>> {
  const problems: OptionProblem[] = []
  const options = objectOf(given, ['params', 'result'], problems)
  if (!isSchema(options.result)) problems.push({ option: 'result', problem: notASchema })
  const own = { messageKind: 'query', result: options.result }
  const definition = build(type, options, options.params, own, problems)
  rememberTopic(type, queryTopic)
  return definition as unknown as QueryDefinition<Type, InputOf<S>, HeldBy<S>, StandardSchemaV1.InferOutput<R>>
}

/** Options of any definition, after their types have done their work. */
interface ErasedOptions {
  readonly version?: number
  readonly validateOnRead?: boolean
  readonly upcast?: unknown
  readonly key?: unknown
  readonly subject?: unknown
  readonly doc?: string
  readonly dataschema?: string
  readonly dataclassification?: string
}

function build(
  type: string,
  options: ErasedOptions,
  schema: Schema,
  own: Readonly<Record<string, unknown>>,
  problems: OptionProblem[],
): object {
  const version = options.version ?? 1
  const chain = options.upcast instanceof UpcastChain ? options.upcast : undefined
  if (options.upcast !== chain) problems.push({ option: 'upcast', problem: 'was not made by upcastFrom' })
  problems.push(...definitionProblems(type, version, chain, { ...options, schema }))
  if (problems.length > 0) throw new OptionsInvalidError(`the definition of ${JSON.stringify(type)}`, problems)
  const rules: CreationRules = Object.freeze({
    type,
    version,
    schema,
    validateOnRead: options.validateOnRead ?? false,
    key: options.key as ((data: unknown) => string) | undefined,
    subject: options.subject as ((data: unknown) => string) | undefined,
    dataschema: options.dataschema,
    dataclassification: options.dataclassification,
  })
  const define = (data?: unknown, overrides?: MessageOverrides): Message => createMessage(rules, data, overrides)
  Object.defineProperty(define, 'name', { value: type })
  return Object.freeze(
    Object.assign(define, own, {
      type,
      version,
      schema,
      doc: options.doc,
      validateOnRead: rules.validateOnRead,
      dataschema: options.dataschema,
      dataclassification: options.dataclassification,
      oldestVersion: chain?.from ?? version,
      keyOf: (data: unknown) => rules.key?.(data),
      read: (message: Message, readOptions?: ReadOptions) => readMessage(rules, chain, message, readOptions),
    }),
  )
}
