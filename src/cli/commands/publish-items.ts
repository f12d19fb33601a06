import type { PublishWrite, RawRecord, TopicDescription } from '../../engine/index.ts'
import { freezeParsedJson, isoTime, JsonInvalidError, uuidv7 } from '../../kernel/index.ts'
import {
  AttributeInvalidError,
  attributeTextProblem,
  decodeJson,
  isExtensionName,
  isKnownAttribute,
  type Message,
  type OptionalAttributes,
  sealMessage,
  withAttributes,
} from '../../message/index.ts'
import { RecordBatchBuilder, RecordTooLargeError } from '../../record/index.ts'
import { type InputLine, lineText } from '../input-lines.ts'
import type { Invocation } from '../session.ts'

/** Options of `millrace publish`. */
export interface PublishOptions {
  readonly input?: string
  readonly type?: string
  readonly dataVersion?: number
  readonly source?: string
  readonly subject?: string
  readonly key?: string
  readonly keyField?: string
  readonly header?: readonly (readonly [name: string, value: string])[]
  readonly partition?: number
  readonly envelope?: boolean
  readonly raw?: boolean
  readonly separator?: string
  readonly tombstone?: boolean
  readonly dryRun?: boolean
}

/** What one line of input became. */
export interface Item {
  readonly line: number
  /** Id of the message; undefined for a raw record. */
  readonly id: string | undefined
  readonly content: Message | RawRecord
}

/** Makes an item of a line: a text tells what is wrong with the line, `undefined` passes an empty line over. */
export type MakeItem = (line: InputLine) => Item | string | undefined

const defaultSource = 'urn:millrace:cli'

/** Attributes that `--header` may set although Millrace knows them: those that no other option sets. */
const settable = new Set([
  'correlationid',
  'causationid',
  'traceparent',
  'tracestate',
  'sequence',
  'dataschema',
  'dataclassification',
])

/** @throws AttributeInvalidError `ATTRIBUTE_INVALID` */
export function makeItems(invocation: Invocation<PublishOptions>): MakeItem {
  const { options } = invocation
  if (options.raw === true) return rawItems(options)
  const makeMessage = options.envelope === true ? fromEnvelope(options) : fromData(invocation)
  return ({ number, bytes }) => {
    const text = lineText(bytes)
    if (text === undefined) return 'is not valid UTF-8'
    if (text.trim() === '') return number === 0 ? 'is empty' : undefined
    const message = makeMessage(text)
    return typeof message === 'string' ? message : { line: number, id: message.id, content: message }
  }
}

/** The write that publishes items of one kind. */
export function publishWrite(topic: string, items: readonly Item[], options: PublishOptions): PublishWrite {
  const contents = items.map(({ content }) => content)
  return {
    topic,
    ...(options.partition !== undefined && { partition: options.partition }),
    ...(options.raw === true ? { records: contents as RawRecord[] } : { messages: contents as Message[] }),
  }
}

/** Finds items that the topic would not take, before any of their neighbours is published: a text tells why. */
export function itemCheck({ config }: TopicDescription): (item: Item) => string | undefined {
  const builder = new RecordBatchBuilder({ recordBytesMax: config.recordBytesMax })
  const empty = builder.mark()
  return ({ content }) => {
    const isMessage = 'specversion' in content
    const key = isMessage ? content.partitionkey : (content.key ?? undefined)
    if (key === undefined && config.cleanup !== 'delete') return 'has no key, which a compacted topic needs'
    try {
      if (isMessage) builder.appendMessage(content, 0)
      else builder.appendRaw({ ...content, timestampMs: 0 })
    } catch (error) {
      if (!(error instanceof RecordTooLargeError)) throw error
      const { recordBytes, recordBytesMax } = error.details
      return `makes a record of at least ${recordBytes} bytes, and the topic takes ${recordBytesMax}`
    }
    builder.rewind(empty)
    return undefined
  }
}

function rawItems({ key, header = [], separator, tombstone }: PublishOptions): MakeItem {
  const parting = separator === undefined ? undefined : Buffer.from(separator, 'utf8')
  return ({ number, bytes }) => {
    const record = (recordKey: RawRecord['key'], value: Uint8Array | null): Item => ({
      line: number,
      id: undefined,
      content: { key: recordKey, value, headers: header },
    })
    if (tombstone === true) return record(key ?? null, null)
    if (parting === undefined) return record(key ?? null, bytes)
    const at = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).indexOf(parting)
    if (at < 0) return `holds no ${JSON.stringify(separator)} to part key and value`
    return record(bytes.subarray(0, at), bytes.subarray(at + parting.length))
  }
}

function fromEnvelope({ key, keyField }: PublishOptions): (text: string) => Message | string {
  return (text) => {
    const decoded = decodeJson(text)
    if (!decoded.ok) return `is no CloudEvents message: ${decoded.error.details.place} ${decoded.error.details.reason}`
    const message = decoded.value
    const partitionkey = keyOf(message.data, key, keyField)
    if (typeof partitionkey === 'object') return partitionkey.problem
    return partitionkey === undefined ? message : withAttributes(message, { partitionkey })
  }
}

function fromData({ options, environment }: Invocation<PublishOptions>): (text: string) => Message | string {
  const { type = '', source = defaultSource, subject, key, keyField, dataVersion = 1 } = options
  const nextId = uuidv7(environment.clock, environment.random)
  checkText(type, 'type', type)
  checkText(type, 'source', source)
  if (/[\s<>"{}|\\^`]/.test(source)) throw new AttributeInvalidError(type, 'source', 'is no URI reference')
  if (subject !== undefined) checkText(type, 'subject', subject)
  const { optional, extensions } = attributesOf(type, options.header ?? [])
  return (text) => {
    let data: unknown
    try {
      data = freezeParsedJson(JSON.parse(text) as unknown)
    } catch (error) {
      return error instanceof JsonInvalidError
        ? error.problem.replace(/\.$/, '')
        : `is not JSON: ${(error as Error).message}`
    }
    const partitionkey = keyOf(data, key, keyField)
    if (typeof partitionkey === 'object') return partitionkey.problem
    const time = isoTime(environment.clock.nowMs())
    const all = { ...optional, subject, partitionkey }
    return sealMessage(type, nextId(), source, time, 'application/json', dataVersion, data, all, extensions)
  }
}

function attributesOf(
  type: string,
  headers: readonly (readonly [string, string])[],
): { optional: OptionalAttributes; extensions: Readonly<Record<string, string>> | undefined } {
  const optional: Record<string, string> = {}
  const extensions: Record<string, string> = {}
  for (const [name, value] of headers) {
    if (settable.has(name)) optional[name] = value
    else if (isKnownAttribute(name)) throw new AttributeInvalidError(type, name, 'is not set by a header')
    else if (isExtensionName(name)) extensions[name] = value
    else throw new AttributeInvalidError(type, JSON.stringify(name), 'is not named by lower-case letters and digits')
    checkText(type, name, value)
  }
  return { optional, extensions: Object.keys(extensions).length === 0 ? undefined : extensions }
}

function checkText(type: string, name: string, value: string): void {
  const problem = attributeTextProblem(value)
  if (problem !== undefined) throw new AttributeInvalidError(type === '' ? 'the message' : type, name, problem)
}

/** The key from the option, or from a field of the data; an object tells what is wrong with it. */
function keyOf(
  data: unknown,
  key: string | undefined,
  keyField: string | undefined,
): string | undefined | { readonly problem: string } {
  let value: unknown = key
  if (keyField !== undefined) {
    value = data
    for (const name of keyField.split('.')) {
      const isThere = typeof value === 'object' && value !== null && Object.hasOwn(value, name)
      value = isThere ? (value as Readonly<Record<string, unknown>>)[name] : undefined
    }
    if (typeof value === 'number') value = String(value)
    if (typeof value !== 'string') return { problem: `holds no text or number at ${keyField} for the key` }
  }
  if (value === undefined) return undefined
  const problem = attributeTextProblem(value)
  return problem === undefined ? (value as string) : { problem: `has a key that ${problem}` }
}
