import { checkOptions } from '../committing/index.ts'
import type {
  CommandOutcome,
  RebuildOptions,
  View,
  ViewChange,
  ViewCopies,
  ViewCopy,
  ViewEntry,
  ViewReader,
  ViewRegister,
} from '../domain/index.ts'
import { ArgumentInvalidError, type Engine, type StateRange, type TopicPosition } from '../engine/index.ts'
import { differences, type Json } from '../kernel/index.ts'
import { partitionFor } from '../record/index.ts'

import { placesOf } from './caught-up.ts'

const pageSize = 1000
/** Into so many parts keys are divided for a canary. */
const canaryParts = 1_000_000

/** What reading a view needs beside the engine. */
export interface LiveViewParts {
  /** The copies as this process knows them. */
  readonly register: () => ViewRegister
  readonly copies: ViewCopies
  readonly rebuild: (options?: RebuildOptions) => Promise<void>
  /** Waits until the live copy has taken in what an outcome led to, or what stands at these places. */
  readonly caughtUp: (what: CommandOutcome | readonly TopicPosition[], signal?: AbortSignal) => Promise<void>
  /** Aborts when the app stops or fails; then `check` throws why. */
  readonly ended: AbortSignal
  readonly check: () => void
  /** Resolves when another copy may be live. */
  readonly moved: (signal: AbortSignal) => Promise<void>
}

/** What a watcher wants to be told, and until when. */
interface WatchOptions {
  readonly key?: string
  readonly prefix?: string
  readonly signal: AbortSignal
}

/** A copy that is being watched. */
interface WatchedCopy {
  readonly changes: AsyncIterable<{ readonly key: string; readonly value: Json | undefined }>
  readonly copy: ViewCopy
  readonly end: () => void
  /** The copy that took its place. */
  next: WatchedCopy | undefined
}

function checkSignal(options: Partial<WatchOptions> | undefined): void {
  if (options?.signal instanceof AbortSignal) return
  throw new ArgumentInvalidError('signal', 'is missing: without it nothing would ever end the watch')
}

/** Reads a view from the state store: the copy that is live, whatever version has made it. */
export class LiveView<State> implements ViewReader<State> {
  readonly copies: ViewCopies
  readonly #engine: Engine
  readonly #view: View<State>
  readonly #parts: LiveViewParts

  constructor(engine: Engine, view: View<State>, parts: LiveViewParts) {
    this.copies = parts.copies
    this.#engine = engine
    this.#view = view
    this.#parts = parts
  }

  async get(key: string): Promise<State | undefined> {
    const { live, next, canary } = this.#parts.register()
    const isCanary = next !== null && canary > 0 && partitionFor(key, canaryParts) < canary * canaryParts
    if (!isCanary) return this.#read(live, key)
    const [shown, other] = await Promise.all([this.#read(next, key), this.#read(live, key)])
    this.copies.countCanary(differences(other as Json | undefined, shown as Json | undefined).length > 0)
    return shown
  }

  async range(range?: StateRange): Promise<readonly ViewEntry<State>[]> {
    return this.#page(this.#parts.register().live, range)
  }

  async *list(
    range: Pick<StateRange, 'prefix' | 'from' | 'to' | 'reverse'> = {},
  ): AsyncGenerator<ViewEntry<State>, void, void> {
    // All pages come from one copy, also if another one becomes live meanwhile.
    yield* this.#all(this.#parts.register().live, range)
  }

  async *#all(copy: ViewCopy, range: StateRange): AsyncGenerator<ViewEntry<State>, void, void> {
    let after: string | undefined
    for (;;) {
      const page = await this.#page(copy, { ...range, limit: pageSize, ...(after !== undefined && { after }) })
      yield* page
      if (page.length < pageSize) return
      after = page.at(-1)?.key
    }
  }

  count(): Promise<number> {
    const { namespace, owner } = this.copies.standOf(this.#parts.register().live)
    return this.#engine.state.count(namespace, owner)
  }

  watch(options: WatchOptions): AsyncIterable<ViewChange<State>> {
    checkSignal(options)
    // Begun here, not when somebody asks for the first change: what changes until then is told.
    return this.#follow(options, this.#watchLive(options))
  }

  async *#follow(options: WatchOptions, first: WatchedCopy): AsyncGenerator<ViewChange<State>, void, void> {
    let watched = first
    try {
      while (!options.signal.aborted) {
        for await (const { key, value } of watched.changes) {
          yield { key, value: value === undefined ? undefined : this.#view.adapt(value, watched.copy.version) }
        }
        const before = watched.copy
        do {
          watched.end()
          watched = watched.next ?? this.#watchLive(options)
        } while (watched.next !== undefined)
        // The watch has begun: what changes while this is read is told again.
        if (!options.signal.aborted) yield* this.#toldAnew(before, watched.copy, options)
      }
    } finally {
      for (let one: WatchedCopy | undefined = watched; one !== undefined; one = one.next) one.end()
    }
  }

  /**
   * All that a copy holds which has taken the place of another one, and what it does not hold. Not only what differs: the copy before may
   * have changed without its watcher having been told.
   */
  async *#toldAnew(
    before: ViewCopy,
    now: ViewCopy,
    { key, prefix, signal }: WatchOptions,
  ): AsyncGenerator<ViewChange<State>, void, void> {
    if (key !== undefined) {
      yield { key, value: await this.#read(now, key) }
      return
    }
    const range = prefix === undefined ? {} : { prefix }
    for await (const entry of this.#all(now, range)) {
      if (signal.aborted) return
      yield entry
    }
    for await (const { key: old } of this.#all(before, range)) {
      if (signal.aborted) return
      if ((await this.#read(now, old)) === undefined) yield { key: old, value: undefined }
    }
  }

  /** Watches the copy that is live now, until another one is: that is watched from then on, whenever somebody asks. */
  #watchLive(options: WatchOptions): WatchedCopy {
    this.#parts.check()
    const { live } = this.#parts.register()
    const { namespace, owner } = this.copies.standOf(live)
    const moved = new AbortController()
    const signal = AbortSignal.any([options.signal, moved.signal, this.#parts.ended])
    const changes = this.#engine.state.watch(namespace, { ...options, signal, ...(owner !== undefined && { owner }) })
    const watched: WatchedCopy = { changes, copy: live, end: () => moved.abort(), next: undefined }
    this.#parts
      .moved(signal)
      .then(() => {
        watched.next = this.#watchLive(options)
      })
      // An app that is about to end is found out by who asks for the next change.
      .catch(() => undefined)
      .finally(watched.end)
    return watched
  }

  async waitFor(
    what: CommandOutcome | readonly TopicPosition[],
    options: { readonly signal?: AbortSignal } = {},
  ): Promise<void> {
    checkOptions('options', options, ['signal'])
    if (placesOf(what) !== undefined) await this.#parts.caughtUp(what, options.signal)
  }

  async rebuild(options?: RebuildOptions): Promise<void> {
    if (options !== undefined) checkOptions('options', options, ['eventsPerSecond', 'swap'])
    await this.#parts.rebuild(options)
  }

  async #read(copy: ViewCopy, key: string): Promise<State | undefined> {
    const { namespace, owner } = this.copies.standOf(copy)
    const entry = await this.#engine.state.get(namespace, key, owner)
    return entry === undefined ? undefined : this.#view.adapt(entry.value, copy.version)
  }

  async #page(copy: ViewCopy, range: StateRange | undefined): Promise<readonly ViewEntry<State>[]> {
    const { namespace, owner } = this.copies.standOf(copy)
    const page = await this.#engine.state.range(namespace, range, owner)
    return page.map(({ key, value }) => ({ key, value: this.#view.adapt(value, copy.version) }))
  }
}
