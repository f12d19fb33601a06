import { jsonProblem, parseIsoTime } from '../kernel/index.ts'
import { attributeTextProblem, isExtensionName, isKnownAttribute } from './attributes.ts'
import { isJsonContentType } from './cloudevents/content-type.ts'
import type { Message } from './envelope.ts'

/** Attributes that every message has as text; of these, `time` must be a timestamp too. */
const requiredTexts = ['id', 'source', 'type', 'time', 'datacontenttype'] as const

/**
 * Why this value cannot be kept as a message, or `undefined` if it can.
 *
 * For messages that nobody vouches for: what a definition created, or a decoder read, is {@link isSealed sealed} and needs no such look. It refuses
 * what would come back as something else, or could not be read at all.
 *
 * @example
 * ```ts
 * messageProblem({ ...placed, data: { at: new Date(0) } })
 * // 'has data that cannot be kept: data.at is an instance of Date, not a plain object or array'
 * ```
 */
export function messageProblem(value: unknown): string | undefined {
  if (typeof value !== 'object' || value === null) return 'is no object'
  const message = value as Partial<Message> & Readonly<Record<string, unknown>>
  if (message.specversion !== '1.0') return 'has no specversion 1.0'
  for (const name of requiredTexts) {
    const problem = attributeTextProblem(message[name])
    if (problem !== undefined) return `has a wrong ${name}: it ${problem}`
  }
  if (parseIsoTime(message.time as string) === undefined) return 'has a wrong time: it is not an RFC 3339 timestamp'
  const version = message.dataversion
  if (!Number.isInteger(version) || (version as number) < 1 || (version as number) >= 2 ** 31) {
    return 'has a wrong dataversion: it is not a whole number from 1'
  }
  for (const [name, attribute] of Object.entries(message)) {
    const problem = name === 'data' ? undefined : attributeProblem(name, attribute)
    if (problem !== undefined) return problem
  }
  return dataProblem(message.data, message.datacontenttype as string)
}

function attributeProblem(name: string, value: unknown): string | undefined {
  if (value === undefined || name === 'dataversion') return undefined
  const isKnown = isKnownAttribute(name)
  if (!isKnown && !isExtensionName(name)) {
    return `has the attribute ${JSON.stringify(name)}, which is not named by lower-case letters and digits`
  }
  if (!isKnown && (typeof value === 'boolean' || Number.isFinite(value))) return undefined
  const problem = attributeTextProblem(value)
  return problem === undefined ? undefined : `has a wrong ${name}: it ${problem}`
}

function dataProblem(data: unknown, contentType: string): string | undefined {
  if (data === undefined) return undefined
  if (!isJsonContentType(contentType)) {
    if (data instanceof Uint8Array) return undefined
    if (typeof data === 'string') return data.isWellFormed() ? undefined : 'has data with half of a surrogate pair'
  }
  const details = jsonProblem(data)?.details
  return details && `has data that cannot be kept: ${details.path} ${details.reason}`
}
