import {
  type AddedTags,
  ArgumentInvalidError,
  type Claim,
  type Engine,
  type EventQuery,
  type ExpectedVersion,
  type JoinOptions,
  type RawRecord,
  type StateOwner,
  type WriteBatch,
} from '../engine/index.ts'
import { jsonText, timeMsMax } from '../kernel/index.ts'
import { isSealed, type Message, messageProblem } from '../message/index.ts'

/** Names of streams, namespaces, keys, owners, groups and tags: long enough for any use, short enough for an index. */
const nameBytesMax = 1024

/** Types and tags of one query: each is a term of a statement, and SQLite takes 500 of them. */
const queryLabelsMax = 500

/** Largest value of state or payload of a timer, as JSON: as large as a record can be. */
const jsonLengthMax = 64 * 1024 * 1024

/** A batch with a misspelt part would be acknowledged without it. */
const partNames: ReadonlySet<string> = new Set(['publish', 'append', 'state', 'timers', 'progress'])
const noPart = `is none of its parts: ${[...partNames].join(', ')}`

/** Refuses what is no batch at all, so that everything after it can trust the compiler's picture of lists and objects. */
export function checkBatch(batch: WriteBatch): void {
  if (typeof batch !== 'object' || batch === null) throw new ArgumentInvalidError('the batch', `is ${describe(batch)}`)
  for (const part in batch) if (!partNames.has(part)) throw new ArgumentInvalidError(`the batch's ${part}`, noPart)
  checkObjects('publish', batch.publish)
  checkObjects('append', batch.append)
  checkObjects('state', batch.state)
  checkObjects('timers', batch.timers)
  checkObjects('progress', batch.progress)
  if (batch.progress === undefined) return
  for (const [i, { claim, done }] of batch.progress.entries()) {
    if (typeof claim !== 'object' || claim === null)
      throw new ArgumentInvalidError(`progress[${i}].claim`, 'is missing')
    checkList(`progress[${i}].done`, done)
  }
}

/** Each commit passes here: nothing is made that only an error needs. */
function checkObjects(name: string, list: readonly unknown[] | undefined): void {
  if (list === undefined) return
  checkList(name, list)
  for (let i = 0; i < list.length; i++) {
    const write = list[i]
    if (typeof write === 'object' && write !== null) continue
    throw new ArgumentInvalidError(`${name}[${i}]`, `is ${describe(write)}, not an object`)
  }
}

export function checkList(place: string, list: unknown): asserts list is readonly unknown[] {
  if (!Array.isArray(list)) throw new ArgumentInvalidError(place, `is ${describe(list)}, not a list`)
}

/** Refuses what is no usable name: it would come back from the file as something else, or fill the indexes. */
export function checkName(place: string, name: unknown): asserts name is string {
  if (typeof name !== 'string') throw new ArgumentInvalidError(place, `is ${describe(name)}, not a string`)
  if (name.length === 0) throw new ArgumentInvalidError(place, 'is empty')
  if (!name.isWellFormed())
    throw new ArgumentInvalidError(place, 'holds half of a surrogate pair, which UTF-8 cannot carry')
  if (name.includes('\0')) throw new ArgumentInvalidError(place, 'holds a NUL character')
  if (name.length > nameBytesMax || Buffer.byteLength(name) > nameBytesMax) {
    throw new ArgumentInvalidError(place, `is longer than ${nameBytesMax} bytes`)
  }
}

/** Events that take further tags in one call. */
const taggedMax = 1000

/** What is asked of `addTags()`: each event once, and no tag twice. */
export function checkedTags(events: readonly AddedTags[]): readonly AddedTags[] {
  checkList('events', events)
  if (events.length > taggedMax)
    throw new ArgumentInvalidError('events', `holds ${events.length}, more than ${taggedMax}`)
  const tags = new Map<number, Set<string>>()
  for (const [index, event] of events.entries()) {
    const place = `events[${index}]`
    checkOptions(place, event)
    checkInteger(`${place}.position`, event.position, 1)
    checkList(`${place}.tags`, event.tags)
    for (const tag of event.tags) checkName(`${place}.tags`, tag)
    tags.set(event.position, new Set([...(tags.get(event.position) ?? []), ...event.tags]))
  }
  return [...tags].map(([position, own]) => ({ position, tags: [...own] })).sort((a, b) => a.position - b.position)
}

/**
 * A message comes checked from its definition or a decoder, and sealed. For one that is not sealed nobody vouches, however frozen it
 * is: stored as it is, it might come back as something else, or not be readable at all.
 */
export function checkMessage(message: Message): void {
  if (typeof message === 'object' && message !== null && isSealed(message)) return
  const problem = messageProblem(message)
  if (problem !== undefined) throw new ArgumentInvalidError('a message', problem)
}

/** Only what nobody can change any more, however deep, may be handed to several readers: not what somebody else froze, nor bytes. */
export function isShareable(message: Message): boolean {
  return isSealed(message) && !ArrayBuffer.isView(message.data)
}

export function checkRecord({ key, value, headers = [], timestampMs = 0 }: RawRecord): void {
  if (!isContent(key)) throw new ArgumentInvalidError('the key of a record', `is ${describe(key)}, not text or bytes`)
  if (!isContent(value))
    throw new ArgumentInvalidError('the value of a record', `is ${describe(value)}, not text or bytes`)
  checkInteger('the timestampMs of a record', timestampMs, 0)
  // Two times of one batch may not be further apart than a number can say.
  if (timestampMs > timeMsMax) {
    throw new ArgumentInvalidError('the timestampMs of a record', `is ${timestampMs}, after ${timeMsMax}`)
  }
  checkList('the headers of a record', headers)
  for (const header of headers) {
    checkList('a header of a record', header)
    if (typeof header[0] !== 'string' || !isContent(header[1])) {
      throw new ArgumentInvalidError('a header of a record', 'is no pair of a name and text or bytes')
    }
  }
}

function isContent(value: unknown): boolean {
  return value === null || typeof value === 'string' || value instanceof Uint8Array
}

export function checkInteger(place: string, value: unknown, min: number): asserts value is number {
  if (typeof value !== 'number' || !Number.isSafeInteger(value) || value < min) {
    throw new ArgumentInvalidError(place, `is ${describe(value)}, not a whole number of at least ${min}`)
  }
}

/** Refuses what is no object of options, an option that is not among those that are known, if given, and a signal that is none. */
export function checkOptions(place: string, options: unknown, known?: readonly string[]): void {
  if (typeof options !== 'object' || options === null || Array.isArray(options)) {
    throw new ArgumentInvalidError(place, `is ${describe(options)}, not an object`)
  }
  const unknown = Object.keys(options).find((name) => known?.includes(name) === false)
  if (unknown !== undefined) throw new ArgumentInvalidError(unknown, 'is no option')
  const { signal } = options as { readonly signal?: unknown }
  if (signal !== undefined) checkSignal(signal)
}

/** Refuses what is no engine that somebody has opened. @throws ArgumentInvalidError `ARGUMENT_INVALID` */
export function checkEngine(engine: unknown): asserts engine is Engine {
  const { commit, capabilities } = (engine ?? {}) as Partial<Engine>
  if (typeof commit === 'function' && typeof capabilities === 'object') return
  throw new ArgumentInvalidError('the engine', 'is none that is open, as embedded({ path }).open() answers it')
}

/** Refuses what is no text, where text may be empty: a prefix, or where a page begins. */
export function checkText(place: string, text: unknown): asserts text is string {
  if (typeof text !== 'string') throw new ArgumentInvalidError(place, `is ${describe(text)}, not a string`)
}

/** Refuses what is no signal: nothing else would ever end what waits for it. */
export function checkSignal(signal: unknown): asserts signal is AbortSignal {
  if (!(signal instanceof AbortSignal)) throw new ArgumentInvalidError('signal', `is ${describe(signal)}, not a signal`)
}

export function checkExpected(place: string, expected: ExpectedVersion): void {
  if (expected === 'any' || expected === 'none' || expected === 'exists') return
  if (typeof expected === 'number') checkInteger(place, expected, 0)
  else throw new ArgumentInvalidError(place, `is ${describe(expected)}, not 'any', 'none', 'exists' or a version`)
}

export function checkQuery(place: string, query: EventQuery): void {
  if (!Array.isArray(query?.items)) throw new ArgumentInvalidError(place, 'has no items')
  let labelCount = 0
  for (const [i, item] of query.items.entries()) {
    if (typeof item !== 'object' || item === null)
      throw new ArgumentInvalidError(`${place}.items[${i}]`, 'is no object')
    const { types = [], tags = [] } = item
    checkList(`${place}.items[${i}].types`, types)
    checkList(`${place}.items[${i}].tags`, tags)
    for (const type of types) checkName(`${place}.items[${i}].types`, type)
    for (const tag of tags) checkName(`${place}.items[${i}].tags`, tag)
    labelCount += types.length + tags.length
  }
  if (labelCount > queryLabelsMax) {
    throw new ArgumentInvalidError(place, `names ${labelCount} types and tags, more than ${queryLabelsMax}`)
  }
}

/**
 * State and payloads are JSON: what JSON would drop or change is refused, not stored as something else.
 * @throws JsonInvalidError naming the path; ArgumentInvalidError beyond 64 Mi characters
 */
export function encodeJson(place: string, value: unknown): string {
  const text = jsonText(value, place)
  if (text.length > jsonLengthMax) {
    throw new ArgumentInvalidError(place, `takes ${text.length} characters as JSON, more than ${jsonLengthMax}`)
  }
  return text
}

function describe(value: unknown): string {
  if (typeof value === 'number') return String(value)
  if (value === null) return 'null'
  return value === undefined ? 'missing' : `a ${typeof value}`
}

/** @throws ArgumentInvalidError `ARGUMENT_INVALID` */
export function checkOwner(place: string, owner: unknown): asserts owner is StateOwner {
  if (typeof owner !== 'object' || owner === null) throw new ArgumentInvalidError(place, 'is no claim and no group')
  const { group, topic, partition, epoch } = owner as Partial<Claim>
  checkName(`${place}.group`, group)
  if (topic === undefined && partition === undefined) return
  checkName(`${place}.topic`, topic)
  checkInteger(`${place}.partition`, partition, 0)
  checkInteger(`${place}.epoch`, epoch, 0)
}

/** What a member of a group asks for. @throws ArgumentInvalidError `ARGUMENT_INVALID` */
export function checkJoin(options: JoinOptions): void {
  checkName('group', options?.group)
  for (const name of ['onAssigned', 'onRevoked', 'onLost'] as const) {
    if (typeof options[name] !== 'function') throw new ArgumentInvalidError(name, 'is not a function')
  }
  if (options.sessionTimeoutMs !== undefined) checkInteger('sessionTimeoutMs', options.sessionTimeoutMs, 1)
  const { from = 'earliest', together } = options
  if (from !== 'earliest' && from !== 'latest') throw new ArgumentInvalidError('from', 'is not earliest or latest')
  if (together !== undefined && together !== 'numbers' && together !== 'all') {
    throw new ArgumentInvalidError('together', 'is not numbers or all')
  }
  checkList('topics', options.topics)
}
