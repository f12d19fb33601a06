import type { Engine, StateWrite, StoredEvent } from '../engine/index.ts'
import { type Clock, frozenJson, type Json, sleep } from '../kernel/index.ts'
import { InlineViewForgetsError, ViewEventFailedError } from './errors.ts'
import { type InlineNoteEntry, noteWrite, readNote } from './inline-notes.ts'
import type { View } from './view.ts'

/** Events of one commit. */
const eventsTogether = 5000
/** Keys that are read at once. */
const keysTogether = 1000
/** Values that are kept between commits; beyond that all are read again. */
const cachedMax = 20_000
/** How long somebody who was overtaken looks whether the other one is at work. */
const standByMs = 1000

/** What a follower needs. */
export interface FollowerOptions {
  readonly engine: Engine
  readonly clock: Clock
  readonly view: View
  readonly namespace: string
  /** Waits until so many more events may be taken. Absent: at once. */
  readonly pace?: { take(eventCount: number, share: number, signal: AbortSignal): Promise<void> } | undefined
}

/**
 * Builds an inline copy by following the event store, while commits do not write it. Each commit moves the note that says how far
 * the copy is, and expects the one before: of several processes that try, one goes on and the others stand by, and what was
 * begun is gone on with where it stands.
 */
export class InlineFollower {
  readonly #options: FollowerOptions
  readonly #query: { readonly items: readonly { readonly types: readonly string[] }[] }
  readonly #cache = new Map<string, Json | undefined>()
  #entry: InlineNoteEntry | undefined

  constructor(options: FollowerOptions) {
    this.#options = options
    this.#query = { items: [{ types: options.view.handler.events.map(({ type }) => type) }] }
  }

  /**
   * Follows until the signal aborts or commits write the copy.
   *
   * @throws ViewEventFailedError `VIEW_EVENT_FAILED`
   */
  async run(signal: AbortSignal): Promise<void> {
    const { pace } = this.#options
    while (!signal.aborted) {
      const step = await this.#step(eventsTogether)
      if (step === 'kept') return
      if (step === 'overtaken') await this.#standBy(signal)
      else if (step === 'ended') await this.#nextEvent(signal)
      else await pace?.take(step, 1, signal)
    }
  }

  /** Takes in what stands there; `undefined`: commits write the copy already. @throws ViewEventFailedError `VIEW_EVENT_FAILED` */
  async takeToEnd(): Promise<InlineNoteEntry | undefined> {
    this.#forget()
    const end = await this.#options.engine.events.lastPosition()
    for (;;) {
      const step = await this.#step(eventsTogether)
      if (step === 'kept') return undefined
      if (this.#entry !== undefined && this.#entry.note.position >= end) return this.#entry
    }
  }

  /** Takes in some events: how many; or why none. */
  async #step(limit: number): Promise<number | 'ended' | 'kept' | 'overtaken'> {
    const { engine, namespace } = this.#options
    this.#entry ??= await readNote(engine, namespace)
    const { note, revision } = this.#entry
    if (note.done) {
      this.#forget()
      return 'kept'
    }
    const end = await engine.events.lastPosition()
    if (end <= note.position) return 'ended'
    const events: StoredEvent[] = []
    const range = { query: this.#query, fromPosition: note.position + 1, limit }
    for await (const event of engine.events.readAll(range)) events.push(event)
    const last = events.at(-1)?.position ?? 0
    const position = events.length === limit ? last : Math.max(end, last)
    const writes = await this.#fold(events)
    const next = { position, done: false }
    const { ok } = await engine.commit({ state: [...writes, noteWrite(namespace, next, revision)] })
    if (!ok) {
      this.#forget()
      return 'overtaken'
    }
    this.#entry = { note: next, revision: revision + 1 }
    return events.length === 0 ? 'ended' : events.length
  }

  async #fold(events: readonly StoredEvent[]): Promise<readonly StateWrite[]> {
    const { view, namespace } = this.#options
    if (this.#cache.size > cachedMax) this.#cache.clear()
    const keyed = events.flatMap((stored) => {
      const event = this.#guarded(stored, () => view.read(stored.message))
      const key = this.#guarded(stored, () => view.keyOf(event))
      return key === undefined ? [] : [{ stored, event, key }]
    })
    await this.#load([...new Set(keyed.map(({ key }) => key))])
    const changed = new Set<string>()
    for (const { stored, event, key } of keyed) {
      const value = this.#guarded(stored, () => {
        const before = this.#cache.get(key)
        const next = view.apply(before === undefined ? view.initial : before, event)
        if (next === undefined) throw new InlineViewForgetsError(view.name, key)
        return frozenJson(next, 'state') as Json
      })
      this.#cache.set(key, value)
      changed.add(key)
    }
    return [...changed].map((key) => ({ kind: 'set', namespace, key, value: this.#cache.get(key) as Json }))
  }

  async #load(keys: readonly string[]): Promise<void> {
    const { engine, namespace } = this.#options
    const missing = keys.filter((key) => !this.#cache.has(key))
    for (let start = 0; start < missing.length; start += keysTogether) {
      const some = missing.slice(start, start + keysTogether)
      const found = await engine.state.getMany(namespace, some)
      for (const [index, key] of some.entries()) this.#cache.set(key, found[index]?.value)
    }
  }

  /** The note and the values may be others by now. */
  #forget(): void {
    this.#entry = undefined
    this.#cache.clear()
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

  async #nextEvent(signal: AbortSignal): Promise<void> {
    const { engine } = this.#options
    const after = this.#entry?.note.position ?? 0
    for await (const one of engine.events.subscribe({ after, query: this.#query, signal })) {
      if (one.kind === 'event') return
    }
  }
}
