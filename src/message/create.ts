import type { StandardSchemaV1 } from '@standard-schema/spec'
import { frozenJson, isoTime, parseIsoTime } from '../kernel/index.ts'
import { attributeTextProblem, isExtensionName, isKnownAttribute, uriReferenceProblem } from './attributes.ts'
import { currentContext } from './context.ts'
import type { MessageOverrides } from './definition.ts'
import { type Extensions, type Message, sealMessage } from './envelope.ts'
import { AttributeInvalidError, DataInvalidError, type DataIssue } from './errors.ts'
import { validateNow } from './validate.ts'

/** What creating a message needs to know of its definition. */
export interface CreationRules {
  readonly type: string
  readonly version: number
  readonly schema: StandardSchemaV1 | undefined
  readonly validateOnRead: boolean
  readonly key: ((data: unknown) => string) | undefined
  readonly subject: ((data: unknown) => string) | undefined
  readonly dataschema: string | undefined
  readonly dataclassification: string | undefined
}

const noOverrides: MessageOverrides = Object.freeze({})

/** Data as messages hold it: validated, checked for JSON and deep-frozen. A definition without schema has only `null`. */
export function acceptData(rules: CreationRules, data: unknown): unknown {
  if (rules.schema !== undefined) return frozenJson(validated(rules, rules.schema, data))
  if (data === null || data === undefined) return null
  throw new DataInvalidError(rules.type, rules.version, [
    { path: 'data', message: 'the definition has no schema, so there is no data' },
  ])
}

/** Creates a message. What it throws is documented at `MessageDefinition`. */
export function createMessage(rules: CreationRules, data: unknown, overrides: MessageOverrides = noOverrides): Message {
  const context = currentContext()
  const type = rules.type
  if (overrides !== noOverrides) checkOverrides(type, overrides)
  const accepted = acceptData(rules, data)
  const optional = {
    subject: overrides.subject ?? madeOf(type, 'subject', rules.subject, accepted),
    partitionkey: overrides.partitionkey ?? madeOf(type, 'partitionkey', rules.key, accepted),
    correlationid: overrides.correlationid ?? context.correlationid,
    causationid: overrides.causationid ?? context.causationid,
    traceparent: overrides.traceparent ?? context.traceparent,
    tracestate: overrides.tracestate ?? context.tracestate,
    sequence: overrides.sequence,
    dataschema: overrides.dataschema ?? rules.dataschema,
    dataclassification: overrides.dataclassification ?? rules.dataclassification,
  }
  const source = overrides.source ?? context.source
  const id = overrides.id ?? context.nextId()
  const time = overrides.time ?? isoTime(context.nowMs())
  const extensions =
    context.extensions === undefined || overrides.extensions === undefined
      ? (overrides.extensions ?? context.extensions)
      : { ...context.extensions, ...overrides.extensions }
  return sealMessage(type, id, source, time, 'application/json', rules.version, accepted, optional, extensions)
}

/** What a function of the user makes of data. Nothing is not left out: without its key a message would lose its order. */
function madeOf(
  type: string,
  attribute: 'subject' | 'partitionkey',
  make: ((data: unknown) => string) | undefined,
  data: unknown,
): string | undefined {
  if (make === undefined) return undefined
  const made: unknown = make(data)
  checkText(type, attribute, made)
  return made as string
}

function validated(rules: CreationRules, schema: StandardSchemaV1, data: unknown): unknown {
  const result = validateNow(schema, data, rules.type)
  if (result.issues === undefined) return result.value
  throw new DataInvalidError(rules.type, rules.version, result.issues.map(dataIssue))
}

function dataIssue(issue: StandardSchemaV1.Issue): DataIssue {
  let path = 'data'
  for (const segment of issue.path ?? []) {
    const key = typeof segment === 'object' ? segment.key : segment
    path += typeof key === 'number' ? `[${key}]` : `.${String(key)}`
  }
  return { path, message: issue.message }
}

/** What the definition alone says. */
const ofDefinition: ReadonlySet<string> = new Set(['specversion', 'type', 'datacontenttype', 'dataversion'])

function checkOverrides(type: string, overrides: MessageOverrides): void {
  if (typeof overrides !== 'object' || overrides === null || Array.isArray(overrides)) {
    throw new AttributeInvalidError(type, 'overrides', 'is no object of attributes')
  }
  for (const [name, value] of Object.entries(overrides)) {
    if (value === undefined) continue
    if (name === 'extensions') checkExtensions(type, value as Extensions)
    else if (ofDefinition.has(name)) throw new AttributeInvalidError(type, name, 'is set by the definition alone')
    else if (!isKnownAttribute(name)) throw new AttributeInvalidError(type, name, 'belongs under extensions')
    else checkText(type, name, value)
  }
  if (overrides.source !== undefined) checkUri(type, 'source', overrides.source)
  if (overrides.dataschema !== undefined) checkUri(type, 'dataschema', overrides.dataschema)
  if (overrides.time !== undefined && parseIsoTime(overrides.time) === undefined) {
    throw new AttributeInvalidError(type, 'time', 'is not an RFC 3339 timestamp')
  }
}

function checkText(type: string, attribute: string, value: unknown): void {
  const problem = attributeTextProblem(value)
  if (problem !== undefined) throw new AttributeInvalidError(type, attribute, problem)
}

function checkUri(type: string, attribute: string, value: unknown): void {
  const problem = uriReferenceProblem(value)
  if (problem !== undefined) throw new AttributeInvalidError(type, attribute, problem)
}

function checkExtensions(type: string, extensions: Extensions): void {
  if (typeof extensions !== 'object' || extensions === null || Array.isArray(extensions)) {
    throw new AttributeInvalidError(type, 'extensions', 'is no object of attributes')
  }
  for (const [name, value] of Object.entries(extensions)) {
    if (!isExtensionName(name)) {
      throw new AttributeInvalidError(type, JSON.stringify(name), 'is not named by lower-case letters and digits')
    }
    if (isKnownAttribute(name)) throw new AttributeInvalidError(type, name, 'is no extension: set it directly')
    const problem = extensionProblem(value)
    if (problem !== undefined) throw new AttributeInvalidError(type, name, problem)
  }
}

/** CloudEvents integers have 32 bits with sign (§3.1, Integer). */
function extensionProblem(value: unknown): string | undefined {
  if (typeof value === 'boolean') return undefined
  if (typeof value === 'number') return value === (value | 0) ? undefined : 'is not an integer of 32 bits'
  return typeof value === 'string' ? attributeTextProblem(value) : 'is neither text, an integer nor a boolean'
}
