import type { StandardSchemaV1 } from '@standard-schema/spec'
import type { Extensions, Message, MessageKind } from './envelope.ts'

/** Whom an event is for: the own domain, other systems, or the machinery itself. */
export type EventKind = 'domain' | 'integration' | 'system'

/** Attributes that a caller sets by hand instead of leaving them to the definition and the context. */
export interface MessageOverrides {
  /** Default: the next id of the context; outside any, a fresh UUID of version 7. */
  readonly id?: string
  /** RFC 3339. Default: now, by the clock of the context. */
  readonly time?: string
  /** URI reference. Default: that of the context; outside any, `urn:millrace:app`. */
  readonly source?: string
  /** Default: what the `subject` of the definition makes of the data. */
  readonly subject?: string
  /** Default: what the `key` of the definition makes of the data. */
  readonly partitionkey?: string
  /** Default: that of the context. */
  readonly correlationid?: string
  /** Default: that of the context. */
  readonly causationid?: string
  /** Default: that of the context. */
  readonly traceparent?: string
  /** Default: that of the context. */
  readonly tracestate?: string
  readonly sequence?: string
  /** Default: that of the definition. */
  readonly dataschema?: string
  /** Default: that of the definition. */
  readonly dataclassification?: string
  /** Further attributes: names of lower-case letters and digits, values text, integers (32 bits) or booleans. */
  readonly extensions?: Extensions
}

/** How {@link MessageDefinition.read} reads. */
export interface ReadOptions {
  /**
   * Validate messages of the current version too. They were validated when they were written; set it for messages of foreign
   * producers. Default: `validateOnRead` of the definition, which is `false` unless it says otherwise.
   *
   * Not for schemas that change the type of what they parse (`z.string().transform(Number)`): messages hold the result.
   */
  readonly validate?: boolean
}

/** What creating a message takes: data, unless the definition has no schema, then overrides. */
export type CreateArguments<Input> = undefined extends Input
  ? [data?: Input, overrides?: MessageOverrides]
  : [data: Input, overrides?: MessageOverrides]

/**
 * What events, commands and queries have in common. Immutable.
 *
 * `Input` is what the schema takes, `Data` what it makes of it and what messages hold.
 */
export interface MessageDefinition<Type extends string, Input, Data, Kind extends MessageKind = MessageKind> {
  /**
   * Creates a message: validates the data, freezes a copy of it and fills in the envelope.
   *
   * The copy is what will be read back, so it is as JSON has it: a property that is `undefined` is left out, and `-0` is `0`. What
   * JSON would change beyond that is refused, such as `undefined` in an array, which would become `null`.
   *
   * @throws DataInvalidError `DATA_INVALID`: the data does not fit the schema.
   * @throws JsonInvalidError `JSON_INVALID`: the data holds what JSON cannot carry, with its path.
   * @throws AttributeInvalidError `ATTRIBUTE_INVALID`: an attribute is not what CloudEvents allows.
   * @throws SchemaAsyncError `SCHEMA_ASYNC`: the schema validates asynchronously.
   */
  (...args: CreateArguments<Input>): Message<Type, Data, Kind>
  readonly messageKind: Kind
  /** Name of the type, the attribute `type` of its messages. */
  readonly type: Type
  /** Version of the schema, an integer from 1. */
  readonly version: number
  readonly schema: StandardSchemaV1 | undefined
  /** Whether messages of the current version are validated again when they are read. */
  readonly validateOnRead: boolean
  readonly doc: string | undefined
  readonly dataschema: string | undefined
  readonly dataclassification: string | undefined
  /** Oldest version that {@link MessageDefinition.read} can read. */
  readonly oldestVersion: number
  /** Partition key of this data; `undefined` if the definition has none. */
  keyOf(data: Data): string | undefined
  /**
   * A message of this type, of whatever version it was written by, as the current version.
   *
   * A message of the current version comes back as it is. One of an older version is upcast and validated: a new message
   * with the same envelope, but for `dataversion` and `data`.
   *
   * @throws TypeMismatchError `TYPE_MISMATCH`: it is of another type.
   * @throws VersionUnknownError `VERSION_UNKNOWN`: it is of a newer version.
   * @throws UpcastMissingError `UPCAST_MISSING`: no upcast begins at its version or before.
   * @throws UpcastFailedError `UPCAST_FAILED`: a step threw, or the schema refused the result.
   * @throws DataInvalidError `DATA_INVALID`, JsonInvalidError `JSON_INVALID`: with `validate`, of the current version.
   */
  read(message: Message, options?: ReadOptions): Message<Type, Data, Kind>
}

/** How a notification event names the query that fetches the rest. */
export interface ThinLink<Query extends AnyQueryDefinition, Data> {
  readonly query: Query
  /** Parameters of the query for an event with this data. */
  readonly params: (data: Data) => QueryInput<Query>
}

/** An event: something that happened. Made by {@link event}. */
export interface EventDefinition<Type extends string, Input, Data, Thin = unknown>
  extends MessageDefinition<Type, Input, Data, 'event'> {
  readonly kind: EventKind
  /** Topic that it is published to. */
  readonly topic: string
  /** Tags of an event with this data; none if the definition has none. */
  tagsOf(data: Data): readonly string[]
  /** The query that fetches the rest, of a notification event; else `undefined`. */
  readonly thin: Thin
}

/** A command: something that one receiver is told to do. Made by {@link command}. */
export interface CommandDefinition<Type extends string, Input, Data>
  extends MessageDefinition<Type, Input, Data, 'command'> {
  /** Queue that it is sent to: today a topic of that name. */
  readonly queue: string
}

/** A query: a question that one receiver answers. Its data are its parameters. Made by {@link query}. */
export interface QueryDefinition<Type extends string, Input, Data, Result>
  extends MessageDefinition<Type, Input, Data, 'query'> {
  /** Schema of the answer. */
  readonly result: StandardSchemaV1<unknown, Result>
}

export type AnyEventDefinition = EventDefinition<string, never, unknown>
export type AnyCommandDefinition = CommandDefinition<string, never, unknown>
export type AnyQueryDefinition = QueryDefinition<string, never, unknown, unknown>
export type AnyDefinition = AnyEventDefinition | AnyCommandDefinition | AnyQueryDefinition

/** The messages of a definition: `MessageOf<typeof OrderPlaced>`. */
export type MessageOf<Definition> =
  Definition extends MessageDefinition<infer Type, infer _Input, infer Data, infer Kind>
    ? Message<Type, Data, Kind>
    : never

/** The data in the messages of a definition: `DataOf<typeof OrderPlaced>`. */
export type DataOf<Definition> = Definition extends MessageDefinition<string, infer _Input, infer Data> ? Data : never

/** What a query answers: `QueryResult<typeof GetOrder>`. */
export type QueryResult<Query> =
  Query extends QueryDefinition<string, infer _Input, infer _Data, infer Result> ? Result : never

/** What asking a query takes after its definition: the parameters, unless it has none. */
export type QueryArguments<Query extends AnyQueryDefinition> =
  Parameters<Query> extends [infer Params, ...unknown[]] ? [params: Params] : [params?: null]

type QueryInput<Query> = Query extends QueryDefinition<string, infer Input, infer _Data, infer _Result> ? Input : never

/** Top-level properties of data as `readonly`; what is below keeps its type, so that it fits where it is passed on. */
export type ReadonlyData<Data> = unknown extends Data
  ? Data
  : Data extends string | number | boolean | null | undefined
    ? Data
    : Readonly<Data>
