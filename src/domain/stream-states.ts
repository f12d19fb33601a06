import type { StateWrite, StreamDescription } from '../engine/index.ts'
import type { Json } from '../kernel/index.ts'
import type { Decider } from './decider.ts'
import type { DeskSetup, EventTypes } from './desk-setup.ts'
import { StreamBeginningGoneError } from './errors.ts'
import { foldStream } from './stream-fold.ts'

/** State of one stream as of one version. Changed in place only by who has the stream's lane. */
export interface StreamState {
  readonly state: unknown
  /** Version of the last event in it; 0: none. */
  readonly version: number
  /** Events and characters since the last snapshot, and when that was made. */
  readonly eventCount: number
  readonly characterCount: number
  readonly snapshotMs: number
}

/** A snapshot as it stands in the state store. */
interface Snapshot {
  readonly state: Json
  readonly version: number
  readonly timeMs: number
}

/** Streams whose state is kept; the one that was not used for longest goes first. */
const cachedMax = 20_000

/**
 * States of the streams of one decider: from the cache, else from the last snapshot and the events after it. Bounded at
 * 20,000 streams.
 *
 * A cached state may be behind: the append expects its version, and a conflict makes it read again.
 */
export class StreamStates {
  readonly #setup: DeskSetup
  readonly #decider: Decider
  readonly #types: EventTypes
  readonly #cache = new Map<string, StreamState>()

  constructor(setup: DeskSetup, decider: Decider, types: EventTypes) {
    this.#setup = setup
    this.#decider = decider
    this.#types = types
  }

  cached(stream: string): StreamState | undefined {
    const found = this.#cache.get(stream)
    if (found === undefined) return undefined
    // A map keeps the order in which keys were put in: what is used goes to the end.
    this.#cache.delete(stream)
    this.#cache.set(stream, found)
    return found
  }

  /**
   * Reads what came after what is cached, or all of it.
   *
   * @param found What the store says of the stream. Without it, a state is answered that may be one from before a deletion, if nothing
   *   was appended since: an append that expects its version is refused.
   * @throws StreamBeginningGoneError `STREAM_BEGINNING_GONE`, and what {@link foldStream} throws
   */
  async read(stream: string, found?: StreamDescription): Promise<StreamState> {
    let known = this.#cache.get(stream) ?? (await this.#snapshot(stream)) ?? this.#initial()
    if (found !== undefined) {
      const { version, deletedAt, truncatedBefore } = found
      if (deletedAt > known.version) known = { ...this.#initial(), version: deletedAt }
      if (truncatedBefore > version && version > known.version) {
        throw new StreamBeginningGoneError(this.#setup.group, stream, truncatedBefore)
      }
    }
    const fresh = found?.version === known.version ? known : await this.#foldFrom(stream, known)
    this.put(stream, fresh)
    return fresh
  }

  put(stream: string, state: StreamState): void {
    this.#cache.delete(stream)
    this.#cache.set(stream, state)
    if (this.#cache.size <= cachedMax) return
    const [oldest] = this.#cache.keys()
    this.#cache.delete(oldest as string)
  }

  forget(stream: string): void {
    this.#cache.delete(stream)
  }

  /** The snapshot that is due with this state, if one is; and the state with that counted. */
  snapshotDue(
    stream: string,
    state: StreamState,
  ): { readonly writes: readonly StateWrite[]; readonly state: StreamState } {
    const rule = this.#decider.snapshot
    if (rule === undefined || state.eventCount === 0) return { writes: [], state }
    const timeMs = this.#setup.clock.nowMs()
    const isDue =
      state.eventCount >= rule.everyEvents ||
      state.characterCount >= rule.everyCharacters ||
      timeMs - state.snapshotMs >= rule.everyMs
    if (!isDue) return { writes: [], state }
    const snapshot: Snapshot = { state: state.state as Json, version: state.version, timeMs }
    const value = snapshot as unknown as Json
    return {
      writes: [
        { kind: 'set', namespace: snapshotNamespace(this.#setup.group, this.#decider.version), key: stream, value },
      ],
      state: { ...state, eventCount: 0, characterCount: 0, snapshotMs: timeMs },
    }
  }

  /** Characters of an event, if anybody counts them. */
  charactersOf(data: unknown): number {
    if (this.#decider.snapshot === undefined || this.#decider.snapshot.everyCharacters === Number.POSITIVE_INFINITY)
      return 0
    return JSON.stringify(data)?.length ?? 0
  }

  #initial(): StreamState {
    const { initialState } = this.#decider
    const snapshotMs = this.#setup.clock.nowMs()
    return { state: initialState, version: 0, eventCount: 0, characterCount: 0, snapshotMs }
  }

  async #snapshot(stream: string): Promise<StreamState | undefined> {
    if (this.#decider.snapshot === undefined) return undefined
    const namespace = snapshotNamespace(this.#setup.group, this.#decider.version)
    const entry = await this.#setup.engine.state.get(namespace, stream)
    if (entry === undefined) return undefined
    const { state, version, timeMs } = entry.value as unknown as Snapshot
    return { state, version, eventCount: 0, characterCount: 0, snapshotMs: timeMs }
  }

  async #foldFrom(stream: string, from: StreamState): Promise<StreamState> {
    let { eventCount, characterCount } = from
    const { state, version } = await foldStream({
      events: this.#setup.engine.events,
      decider: this.#decider,
      types: this.#types,
      handler: this.#setup.group,
      stream,
      from,
      until: ({ message }) => {
        eventCount++
        characterCount += this.charactersOf(message.data)
        return true
      },
    })
    if (version === from.version) return from
    return { state, version, eventCount, characterCount, snapshotMs: from.snapshotMs }
  }
}

/** Where snapshots of a decider stand: those of another version of `evolve` elsewhere. */
export function snapshotNamespace(group: string, version: number): string {
  return `snapshots:${group}:v${version}`
}
