import { checkEngine, checkList, checkName, checkOptions, checkSignal } from '../committing/index.ts'
import { type AddedTags, ArgumentInvalidError, type Engine, type StoredEvent } from '../engine/index.ts'
import { type AnyEventDefinition, isCurrent, type Message } from '../message/index.ts'

/** Events whose tags are written in one commit. */
const eventsTogether = 500
/** Types that one query names; of more all events are read. */
const typesMax = 400
const unreadableMax = 100

/** How to {@link retag}. */
export interface RetagOptions {
  /** Counts what lacks tags, and changes nothing. Default `false`. */
  readonly dryRun?: boolean
  /** Called now and then with the position that was come to, and the last one that there was at the beginning. */
  readonly onProgress?: (position: number, last: number) => void
  readonly signal?: AbortSignal
}

/** What became of the events of one type. */
export interface RetaggedType {
  readonly type: string
  /** Events that were read. */
  readonly events: number
  /** How many of them lacked tags. */
  readonly changed: number
  /** How many tags they lacked. */
  readonly tagsAdded: number
}

/** An event whose tags cannot be told. */
export interface UnreadableEvent {
  readonly position: number
  readonly stream: string
  readonly version: number
  readonly type: string
  readonly error: unknown
}

/** What {@link retag} did. */
export interface Retagged {
  /** In the order of their names, those of which there are events. */
  readonly types: readonly RetaggedType[]
  /** Events that no upcast or tag function could read, left as they are: the first 100 … */
  readonly unreadable: readonly UnreadableEvent[]
  /** … and how many there are. */
  readonly unreadableCount: number
}

/**
 * Gives the events that stand in the event store the tags that their definitions give such events today: for programs that take up
 * {@link boundary boundaries}, or change a tag function, with events of before. Old versions are upcast first. No tag is ever taken away.
 *
 * Events keep their positions, so a decision that was made meanwhile without seeing them is not refused: stop the apps whose boundaries
 * decide by these tags first. What was cut off goes on when it is called again; what has its tags is only read.
 *
 * @param definitions What events are, one for each type. Those without tags, and events of other types, are passed over.
 * @throws ArgumentInvalidError `ARGUMENT_INVALID`: also where a tag function gives what is no tag; what came before is written then.
 *
 * @example
 * ```ts
 * const { types } = await retag(engine, [StudentSubscribed])
 * console.log(types) // [{ type: 'StudentSubscribed', events: 1200, changed: 1200, tagsAdded: 2400 }]
 * ```
 */
export async function retag(
  engine: Engine,
  definitions: readonly AnyEventDefinition[],
  options: RetagOptions = {},
): Promise<Retagged> {
  checkEngine(engine)
  checkDefinitions(definitions)
  checkRetagOptions(options)
  const { dryRun = false, onProgress, signal } = options
  const byType = new Map(definitions.map((definition) => [definition.type, definition]))
  const counts = new Map<string, { events: number; changed: number; tagsAdded: number }>()
  const unreadable: UnreadableEvent[] = []
  let unreadableCount = 0
  let lacking: AddedTags[] = []
  const flush = async (): Promise<void> => {
    const events = lacking
    lacking = []
    if (!dryRun && events.length > 0) await engine.events.addTags(events)
  }
  const last = await engine.events.lastPosition()
  const types = [...byType.keys()]
  if (last > 0 && types.length > 0) {
    const query = { items: [types.length <= typesMax ? { types } : {}] }
    for await (const event of engine.events.readAll({ query, ...(signal !== undefined && { signal }) })) {
      // What comes from now on has its tags.
      if (event.position > last) break
      const definition = byType.get(event.message.type)
      if (definition === undefined) continue
      const count = counts.get(definition.type) ?? { events: 0, changed: 0, tagsAdded: 0 }
      counts.set(definition.type, count)
      count.events++
      const tags = lackingTags(definition, event, (error) => {
        const { position, stream, version, message } = event
        if (++unreadableCount <= unreadableMax)
          unreadable.push({ position, stream, version, type: message.type, error })
      })
      if (tags.length > 0) {
        count.changed++
        count.tagsAdded += tags.length
        lacking.push({ position: event.position, tags })
      }
      if (lacking.length >= eventsTogether) await flush()
      onProgress?.(event.position, last)
    }
    await flush()
  }
  const told = [...counts].map(([type, count]) => ({ type, ...count }))
  return { types: told.sort((a, b) => (a.type < b.type ? -1 : 1)), unreadable, unreadableCount }
}

function checkDefinitions(definitions: unknown): void {
  checkList('definitions', definitions)
  const byType = new Map<string, unknown>()
  for (const [index, definition] of definitions.entries()) {
    const place = `definitions[${index}]`
    const { tagsOf, type = '' } = (definition ?? {}) as { readonly tagsOf?: unknown; readonly type?: string }
    if (typeof tagsOf !== 'function') throw new ArgumentInvalidError(place, 'is no definition of an event')
    if (byType.has(type) && byType.get(type) !== definition)
      throw new ArgumentInvalidError(place, `is another definition of ${type}, of which there is one already`)
    byType.set(type, definition)
  }
}

function checkRetagOptions(options: unknown): void {
  checkOptions('options', options)
  const { dryRun, onProgress, signal, ...others } = options as Readonly<Record<string, unknown>>
  const [unknown] = Object.keys(others)
  if (unknown !== undefined) throw new ArgumentInvalidError(`options.${unknown}`, 'is no option of retag()')
  if (dryRun !== undefined && typeof dryRun !== 'boolean')
    throw new ArgumentInvalidError('options.dryRun', 'is neither true nor false')
  if (onProgress !== undefined && typeof onProgress !== 'function')
    throw new ArgumentInvalidError('options.onProgress', 'is no function')
  if (signal !== undefined) checkSignal(signal)
}

/** The tags that a definition gives an event, and that it does not have. */
function lackingTags(
  definition: AnyEventDefinition,
  { message, tags }: StoredEvent,
  onUnreadable: (error: unknown) => void,
): readonly string[] {
  let given: readonly string[]
  try {
    const read: Message = isCurrent(definition, message) ? message : definition.read(message)
    given = definition.tagsOf(read.data)
  } catch (error) {
    onUnreadable(error)
    return []
  }
  // What an append would refuse: a mistake of the function, and none of the event.
  const place = `the tags of ${definition.type}`
  checkList(place, given)
  for (const tag of given) checkName(place, tag)
  const known = new Set(tags)
  return [...new Set(given)].filter((tag) => !known.has(tag))
}
