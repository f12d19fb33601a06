import fc from 'fast-check'
import { type Message, sealMessage } from '../envelope.ts'

const namePattern = /^(?!data$|constructor$|prototype$)[a-z0-9]{1,20}$/
const text = fc.string({ minLength: 1, maxLength: 20, unit: 'binary' }).filter((t) => !/\p{Cc}/u.test(t))
const uri = fc.webPath().map((path) => path || '/')
const optionalNames = [
  'subject',
  'partitionkey',
  'correlationid',
  'causationid',
  'traceparent',
  'tracestate',
  'sequence',
  'dataclassification',
] as const
const known = new Set(['specversion', 'id', 'source', 'type', 'time', 'datacontenttype', 'dataversion', 'dataschema'])

function isPlain(value: unknown): boolean {
  if (typeof value !== 'object' || value === null) return true
  return Object.entries(value).every(([key, item]) => key !== '__proto__' && isPlain(item))
}

const extensionName = fc
  .stringMatching(/^[a-z0-9]{1,20}$/)
  .filter((name) => namePattern.test(name) && !known.has(name) && !optionalNames.includes(name as never))

/** JSON data as it comes back from JSON: fast-check also makes -0. */
const data: fc.Arbitrary<unknown> = fc
  .jsonValue()
  .filter(isPlain)
  .map((value): unknown => JSON.parse(JSON.stringify(value)))

/** Messages with any attributes that CloudEvents allows; their extensions are text unless `typedExtensions` is set. */
export function arbitraryMessage(typedExtensions: boolean): fc.Arbitrary<Message> {
  const value = typedExtensions ? fc.oneof(text, fc.integer(), fc.boolean()) : text
  return fc
    .record({
      type: text,
      id: text,
      source: uri,
      time: fc.date({ noInvalidDate: true, min: new Date(0), max: new Date(253402300799999) }),
      dataversion: fc.integer({ min: 1, max: 2 ** 31 - 1 }),
      data,
      optional: fc.record(Object.fromEntries(optionalNames.map((name) => [name, text])), { requiredKeys: [] }),
      extensions: fc.dictionary(extensionName, value, { maxKeys: 3, noNullPrototype: true }),
    })
    .map((m) =>
      sealMessage(
        m.type,
        m.id,
        m.source,
        m.time.toISOString(),
        'application/json',
        m.dataversion,
        m.data,
        m.optional,
        m.extensions,
      ),
    )
}
