import { isSealed, sealed } from './seal.ts'

/** What the value of an attribute can be (CloudEvents 1.0.2 §3.1, without the types that are written as text anyway). */
export type AttributeValue = string | number | boolean

/** What a message is for: what happened, what one receiver is told to do, or what it is asked. */
export type MessageKind = 'event' | 'command' | 'query'

/** Where types note the kind of a message. No message has such a property. */
declare const kindOfMessage: unique symbol

/**
 * A message in its envelope: an event in the sense of CloudEvents 1.0.2, frozen through and through.
 *
 * Attributes that are not there are absent, never `undefined`, with one exception: `data` of a foreign message that has
 * none is `undefined`. Extension attributes that Millrace does not know stand beside the known ones; read them with
 * {@link extensionOf}.
 *
 * `Kind` is known of messages that a definition made; others, such as those that were read, pass for any kind.
 */
export interface Message<Type extends string = string, Data = unknown, Kind extends MessageKind = MessageKind> {
  /**
   * For types only: an event cannot be sent as a command, nor a command be published. A method, so that a message of any kind
   * goes where one of them does.
   */
  [kindOfMessage]?(kind: Kind): void
  readonly specversion: '1.0'
  /** Unique with its source. A UUID of version 7 if Millrace made it. */
  readonly id: string
  /** Who made it: a URI reference, such as `/shop/payment`. */
  readonly source: string
  /** What it is: the name of its definition. */
  readonly type: Type
  /** When it was made: RFC 3339, with milliseconds and in UTC if Millrace made it. */
  readonly time: string
  /** Media type of `data`: `application/json` if Millrace made it. */
  readonly datacontenttype: string
  /** Version of the definition that `data` was written by: an integer from 1. Extension of Millrace. */
  readonly dataversion: number
  /** JSON data, or a `Uint8Array` (which cannot be frozen) or text where a foreign message is not JSON. */
  readonly data: Data
  /** What it is about within its source, such as an order id. */
  readonly subject?: string
  /** Messages with the same key keep their order. CloudEvents extension “partitioning”. */
  readonly partitionkey?: string
  /** Id of the message that started it all. CloudEvents extension “correlation”. */
  readonly correlationid?: string
  /** Id of the message whose handling made this one. CloudEvents extension “correlation”. */
  readonly causationid?: string
  /** W3C trace context of its maker. CloudEvents extension “distributed tracing”. */
  readonly traceparent?: string
  /** W3C trace state of its maker. CloudEvents extension “distributed tracing”. */
  readonly tracestate?: string
  /** Place among the messages of its source, ordered as text. CloudEvents extension “sequence”. */
  readonly sequence?: string
  /** URI of the schema of `data`. */
  readonly dataschema?: string
  /** How sensitive `data` is, such as `confidential`. CloudEvents extension “data classification”. */
  readonly dataclassification?: string
}

/** An event of any type, or a message of unknown kind: what can be published. */
export type EventMessage = Message<string, unknown, 'event'>

/** A command of any type, or a message of unknown kind: what can be sent. */
export type CommandMessage = Message<string, unknown, 'command'>

/** The attributes of a {@link Message} that may be missing, in the order in which they follow `data`. */
export interface OptionalAttributes {
  readonly subject?: string | undefined
  readonly partitionkey?: string | undefined
  readonly correlationid?: string | undefined
  readonly causationid?: string | undefined
  readonly traceparent?: string | undefined
  readonly tracestate?: string | undefined
  readonly sequence?: string | undefined
  readonly dataschema?: string | undefined
  readonly dataclassification?: string | undefined
}

/** Extension attributes by name: lower-case letters and digits (CloudEvents 1.0.2 §3.1), values as they are. */
export type Extensions = Readonly<Record<string, AttributeValue>>

type Mutable<T> = { -readonly [Key in keyof T]: T[Key] }

/**
 * Puts an envelope together and seals it. Nothing is checked here, nor by engines later: the caller vouches for every attribute, and
 * for `data`, which must be JSON that is frozen through and through, or a `Uint8Array`.
 *
 * All messages take their attributes in one order, so that engines for JavaScript see few shapes and property access
 * stays fast.
 */
export function sealMessage<Type extends string, Data>(
  type: Type,
  id: string,
  source: string,
  time: string,
  datacontenttype: string,
  dataversion: number,
  data: Data,
  optional: OptionalAttributes,
  extensions: Extensions | undefined,
): Message<Type, Data> {
  const message: Mutable<Message<Type, Data>> = {
    specversion: '1.0',
    id,
    source,
    type,
    time,
    datacontenttype,
    dataversion,
    data,
  }
  if (optional.subject !== undefined) message.subject = optional.subject
  if (optional.partitionkey !== undefined) message.partitionkey = optional.partitionkey
  if (optional.correlationid !== undefined) message.correlationid = optional.correlationid
  if (optional.causationid !== undefined) message.causationid = optional.causationid
  if (optional.traceparent !== undefined) message.traceparent = optional.traceparent
  if (optional.tracestate !== undefined) message.tracestate = optional.tracestate
  if (optional.sequence !== undefined) message.sequence = optional.sequence
  if (optional.dataschema !== undefined) message.dataschema = optional.dataschema
  if (optional.dataclassification !== undefined) message.dataclassification = optional.dataclassification
  if (extensions !== undefined) Object.assign(message, extensions)
  return sealed(message)
}

/**
 * The message with other attributes in its place; overwriting in a copy keeps their order, and with it the shape. It is sealed if the
 * message is: the caller vouches for what is new.
 */
export function withAttributes<M extends Message>(message: M, attributes: Partial<M> | Extensions): M {
  const changed: M = { ...message, ...attributes }
  return isSealed(message) ? sealed(changed) : Object.freeze(changed)
}

/**
 * The value of an extension attribute, whether Millrace knows it or not; `undefined` if the message has none such.
 *
 * @example
 * ```ts
 * extensionOf(message, 'tenant')
 * ```
 */
export function extensionOf(message: Message, name: string): AttributeValue | undefined {
  if (name === 'data' || !Object.hasOwn(message, name)) return undefined
  return (message as unknown as Extensions)[name]
}
