/** One attribute that Millrace knows, with its names in the bindings. */
export interface KnownAttribute {
  readonly name: string
  /** How its text is to be read. */
  readonly valueType: 'string' | 'integer'
  /** Header of the HTTP binding (CloudEvents HTTP binding 1.0.2 §3.1.3), lower case. */
  readonly httpHeader: string
  /** Header of the Kafka binding (CloudEvents Kafka binding 1.0.2 §3.2.3). */
  readonly kafkaHeader: string
}

export const httpHeaderPrefix = 'ce-'
export const kafkaHeaderPrefix = 'ce_'

/** Header, in both bindings, that carries `datacontenttype` in binary mode and the event format in structured mode. */
export const contentTypeHeader = 'content-type'

function known(name: string, valueType: KnownAttribute['valueType'] = 'string'): KnownAttribute {
  const isContentType = name === 'datacontenttype'
  return Object.freeze({
    name,
    valueType,
    httpHeader: isContentType ? contentTypeHeader : httpHeaderPrefix + name,
    kafkaHeader: isContentType ? contentTypeHeader : kafkaHeaderPrefix + name,
  })
}

/**
 * Every attribute that Millrace knows, in the order in which a {@link Message} holds and the bindings write them.
 *
 * Extension attributes follow, named `ce-<name>` and `ce_<name>`.
 */
export const knownAttributes: readonly KnownAttribute[] = Object.freeze([
  known('specversion'),
  known('id'),
  known('source'),
  known('type'),
  known('time'),
  known('datacontenttype'),
  known('dataversion', 'integer'),
  known('subject'),
  known('partitionkey'),
  known('correlationid'),
  known('causationid'),
  known('traceparent'),
  known('tracestate'),
  known('sequence'),
  known('dataschema'),
  known('dataclassification'),
])

const knownNames: ReadonlySet<string> = new Set(knownAttributes.map((attribute) => attribute.name))

/** Whether Millrace itself gives this attribute a meaning. */
export function isKnownAttribute(name: string): boolean {
  return knownNames.has(name)
}

const namePattern = /^[a-z0-9]+$/

/** Whether this can be the name of an extension attribute: lower-case letters and digits, and not `data` (§3.1). */
export function isExtensionName(name: string): boolean {
  return namePattern.test(name) && name !== 'data' && name !== 'constructor' && name !== 'prototype'
}

const printableAscii = /^[\x20-\x7e]+$/
// The control characters that CloudEvents 1.0.2 §3.1 forbids in strings.
const controlCharacter = /\p{Cc}/u

/** Why this text cannot be the value of an attribute, or `undefined` if it can (CloudEvents 1.0.2 §3.1, String). */
export function attributeTextProblem(text: unknown): string | undefined {
  if (typeof text !== 'string') return 'is not a string'
  if (printableAscii.test(text)) return undefined
  if (text === '') return 'is empty'
  if (controlCharacter.test(text)) return 'contains a control character'
  return text.isWellFormed() ? undefined : 'contains half of a surrogate pair'
}

/** Why this text cannot be a URI reference (RFC 3986 §4.1), or `undefined`. Lax: only what no URI reference contains. */
export function uriReferenceProblem(text: unknown): string | undefined {
  const problem = attributeTextProblem(text)
  if (problem !== undefined) return problem
  return /[\s<>"{}|\\^`]/.test(text as string) ? 'contains a character that no URI reference contains' : undefined
}
