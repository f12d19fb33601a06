import type { Engine, StateWrite, StoredEvent } from '../engine/index.ts'
import { type Clock, frozenJson, type Json, sleep } from '../kernel/index.ts'
import { streamOfClosedBooks } from './closed-books.ts'
import { ViewEventFailedError } from './errors.ts'
import { isDecidedIn } from './event-origin.ts'
import { forgottenNamespace, type InlineNoteEntry, movedNote, noteWrite, readNote } from './inline-notes.ts'
import { charactersOf } from './json-size.ts'
import type { View } from './view.ts'

/** Events of one commit: few at first, more as long as they and the values that they change are small. */
const eventsTogetherMin = 64
const eventsTogetherMax = 4096
/** Characters of the events of one commit, and of the values that it writes. */
const charactersTogetherMax = 4 * 1024 * 1024
/** Keys that are read at once. */
const keysTogether = 1000
/** Values that are kept between commits; beyond that all are read again. */
const cachedMax = 20_000
const cachedCharactersMax = 16 * 1024 * 1024
/** How long somebody who was overtaken looks whether the other one is at work. */
const standByMs = 1000
/** How often it is looked whether events came that the view does not take: they count as taken in, too. */
const otherEventsMs = 250

/** What a follower needs. */
export interface FollowerOptions {
  readonly engine: Engine
  readonly app: string
  readonly clock: Clock
  readonly view: View
  readonly namespace: string
  /** Types of events that close books and that the view does not take: see `carriersUnseen`. */
  readonly carriers: readonly string[]
  /** Waits until so many more events may be taken. Absent: at once. */
  readonly pace?: { take(eventCount: number, share: number, signal: AbortSignal): Promise<void> } | undefined
}

/** A value as the copy has it by now; `isStored`: there is one in the store, this one or an older one. */
interface FollowedValue {
  readonly value: Json | undefined
  readonly isStored: boolean
}

/** What came of one step. `'kept'`: commits write the copy. `'dropped'`: it was given up. */
type Step = number | 'ended' | 'kept' | 'dropped' | 'overtaken'

/**
 * Builds an inline copy by following the event store, while commits do not write it. It counts the events that commits would
 * have counted: those of the deciders of the app. Each commit moves the note that says how far the copy is, and expects the one
 * before: of several processes that try, one goes on and the others stand by, what was begun is gone on with where it stands, and
 * a copy that is given up takes no more.
 */
export class InlineFollower {
  readonly #options: FollowerOptions
  readonly #query: { readonly items: readonly { readonly types: readonly string[] }[] }
  readonly #cache = new Map<string, FollowedValue>()
  #cachedCharacters = 0
  #together = eventsTogetherMin
  #entry: InlineNoteEntry | undefined

  constructor(options: FollowerOptions) {
    this.#options = options
    this.#query = { items: [{ types: options.view.handler.events.map(({ type }) => type) }] }
  }

  /**
   * Follows until the signal aborts, commits write the copy, or it is given up.
   *
   * @throws ViewEventFailedError `VIEW_EVENT_FAILED`
   */
  async run(signal: AbortSignal): Promise<void> {
    const { pace } = this.#options
    while (!signal.aborted) {
      const step = await this.#step(signal)
      if (step === 'kept' || step === 'dropped') return
      if (step === 'overtaken') await this.#standBy(signal)
      else if (step === 'ended') await this.#nextEvent(signal)
      else await pace?.take(step, 1, signal)
    }
  }

  /**
   * Takes in what stands there; `undefined`: commits write the copy already, or it was given up.
   *
   * @throws ViewEventFailedError `VIEW_EVENT_FAILED`, and the reason of the signal
   */
  async takeToEnd(signal: AbortSignal): Promise<InlineNoteEntry | undefined> {
    this.#forget()
    const end = await this.#options.engine.events.lastPosition()
    for (;;) {
      const step = await this.#step(signal)
      if (step === 'kept' || step === 'dropped') return undefined
      if (this.#entry !== undefined && this.#entry.note.position >= end) return this.#entry
    }
  }

  /** Takes in some events: how many; or why none. */
  async #step(signal: AbortSignal): Promise<Step> {
    signal.throwIfAborted()
    const { engine, namespace } = this.#options
    this.#entry ??= await this.#begun(await readNote(engine, namespace), signal)
    const { note, revision } = this.#entry
    if (note.done || note.dropped === true) {
      this.#forget()
      return note.done ? 'kept' : 'dropped'
    }
    const end = await engine.events.lastPosition()
    if (end <= note.position) return 'ended'
    const { events, readCharacters, position } = await this.#read(note.position, end, signal)
    const { writes, writtenCharacters, forgets } = await this.#fold(events)
    const next = movedNote(note, { position, done: false, forgets })
    signal.throwIfAborted()
    const { ok } = await engine.commit({ state: [...writes, noteWrite(namespace, next, revision)] })
    if (!ok) {
      this.#forget()
      return 'overtaken'
    }
    this.#entry = { note: next, revision: revision + 1 }
    this.#adapt(Math.max(readCharacters, writtenCharacters))
    return events.length === 0 && position >= end ? 'ended' : events.length
  }

  /** What is noted of a copy, before its first event, too: books that were closed until then are not in it. */
  async #begun(entry: InlineNoteEntry, signal: AbortSignal): Promise<InlineNoteEntry> {
    if (entry.revision > 0) return entry
    const { engine, app, carriers } = this.#options
    const lacks = await streamOfClosedBooks(engine, app, carriers, signal)
    return lacks === undefined ? entry : { ...entry, note: { ...entry.note, lacks } }
  }

  /** The next events, and how far the copy is with them. */
  async #read(
    after: number,
    end: number,
    signal: AbortSignal,
  ): Promise<{ readonly events: readonly StoredEvent[]; readonly readCharacters: number; readonly position: number }> {
    const { engine, app } = this.#options
    const limit = this.#together
    const events: StoredEvent[] = []
    let readCount = 0
    let readCharacters = 0
    let last = 0
    const range = { query: this.#query, fromPosition: after + 1, limit, signal }
    for await (const event of engine.events.readAll(range)) {
      readCount++
      last = event.position
      readCharacters += charactersOf(event.message.data)
      if (isDecidedIn(app, event)) events.push(event)
      if (readCharacters >= charactersTogetherMax) return { events, readCharacters, position: last }
    }
    // A signal that aborts ends the reading without an error.
    signal.throwIfAborted()
    return { events, readCharacters, position: readCount === limit ? last : Math.max(end, last) }
  }

  /** So that neither the events nor the values of one commit are many characters. */
  #adapt(characters: number): void {
    if (characters > charactersTogetherMax / 2) this.#together = Math.max(1, this.#together >> 1)
    else if (characters < charactersTogetherMax / 8) this.#together = Math.min(eventsTogetherMax, this.#together * 2)
  }

  async #fold(events: readonly StoredEvent[]): Promise<{
    readonly writes: readonly StateWrite[]
    readonly writtenCharacters: number
    /** Whether a key that was stored is forgotten. */
    readonly forgets: boolean
  }> {
    const { view, namespace } = this.#options
    if (this.#cache.size > cachedMax || this.#cachedCharacters > cachedCharactersMax) this.#forgetValues()
    const keyed = events.flatMap((stored) => {
      const event = this.#guarded(stored, () => view.read(stored.message))
      return this.#guarded(stored, () => view.keysOf(event)).map((key) => ({ stored, event, key }))
    })
    await this.#load([...new Set(keyed.map(({ key }) => key))])
    const changed = new Set<string>()
    for (const { stored, event, key } of keyed) {
      const value = this.#guarded(stored, () => {
        const before = this.#cache.get(key)?.value
        const next = view.apply(before === undefined ? view.initial : before, event, key)
        return next === undefined ? undefined : (frozenJson(next, 'state') as Json)
      })
      this.#cache.set(key, { value, isStored: this.#cache.get(key)?.isStored === true })
      changed.add(key)
    }
    let writtenCharacters = 0
    let forgets = false
    const writes: StateWrite[] = []
    for (const key of changed) {
      const { value, isStored } = this.#cache.get(key) as FollowedValue
      this.#cache.set(key, { value, isStored: value !== undefined })
      if (value !== undefined) {
        writtenCharacters += charactersOf(value)
        writes.push({ kind: 'set', namespace, key, value })
      } else if (isStored) {
        forgets = true
        writes.push({ kind: 'delete', namespace, key })
        writes.push({ kind: 'set', namespace: forgottenNamespace(namespace), key, value: null })
      }
    }
    // More than they are, as a value that is replaced goes on to count: so the values are read again the sooner.
    this.#cachedCharacters += writtenCharacters
    return { writes, writtenCharacters, forgets }
  }

  async #load(keys: readonly string[]): Promise<void> {
    const { engine, namespace } = this.#options
    const missing = keys.filter((key) => !this.#cache.has(key))
    for (let start = 0; start < missing.length; start += keysTogether) {
      const some = missing.slice(start, start + keysTogether)
      const found = await engine.state.getMany(namespace, some)
      for (const [index, key] of some.entries()) {
        this.#cache.set(key, { value: found[index]?.value, isStored: found[index] !== undefined })
      }
    }
  }

  /** The note and the values may be others by now. */
  #forget(): void {
    this.#entry = undefined
    this.#forgetValues()
  }

  #forgetValues(): void {
    this.#cache.clear()
    this.#cachedCharacters = 0
  }

  #guarded<Result>({ position, message }: StoredEvent, run: () => Result): Result {
    try {
      return run()
    } catch (error) {
      this.#forget()
      throw new ViewEventFailedError(this.#options.view.name, message.type, position, error)
    }
  }

  /** Somebody else builds the copy: looks until he does so no more. */
  async #standBy(signal: AbortSignal): Promise<void> {
    const { engine, clock, namespace } = this.#options
    for (;;) {
      const { revision } = await readNote(engine, namespace)
      await sleep(standByMs, clock, signal)
      if ((await readNote(engine, namespace)).revision === revision) return
    }
  }

  /** Waits for an event: a moment longer for one that the view does not take, as it changes nothing but how far the copy is. */
  async #nextEvent(signal: AbortSignal): Promise<void> {
    const over = new AbortController()
    const ended = AbortSignal.any([signal, over.signal])
    const after = this.#entry?.note.position ?? 0
    const other = this.#otherEvent(after, ended).catch((error: unknown) => {
      if (!ended.aborted) throw error
    })
    try {
      await Promise.race([this.#ownEvent(after, ended), other])
    } finally {
      over.abort()
    }
  }

  async #ownEvent(after: number, signal: AbortSignal): Promise<void> {
    const { engine, app } = this.#options
    for await (const one of engine.events.subscribe({ after, query: this.#query, signal })) {
      if (one.kind === 'event' && isDecidedIn(app, one)) return
    }
  }

  async #otherEvent(after: number, signal: AbortSignal): Promise<void> {
    const { engine, clock } = this.#options
    do await sleep(otherEventsMs, clock, signal)
    while ((await engine.events.lastPosition()) <= after)
  }
}
