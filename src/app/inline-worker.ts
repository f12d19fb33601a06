import {
  handOver,
  InlineFollower,
  type InlineNoteEntry,
  isSameCopy,
  noteWrite,
  readNote,
  type View,
  type ViewCopies,
  type ViewCopy,
  ViewEventFailedError,
  type ViewRegister,
  viewNamespace,
} from '../domain/index.ts'
import type { Engine, StateWrite } from '../engine/index.ts'
import { type Clock, isPassing, sleep } from '../kernel/index.ts'
import type { Pace, Patience } from '../runtime/index.ts'
import type { ViewDirectory } from './view-directory.ts'

/** On what the copies of a view are kept up to date. */
export interface InlineWorkerOptions {
  readonly engine: Engine
  readonly app: string
  readonly view: View
  /** Types of events that close books and that the view does not take. */
  readonly carriers: readonly string[]
  readonly clock: Clock
  readonly directory: ViewDirectory
  readonly copies: ViewCopies
  readonly onError: (error: unknown) => void
  /** Waits for the engine where somebody waits for the start of the app, once that is over. */
  readonly patience: Patience
  /** Waits for the engine where nobody waits for what is done. */
  readonly background: Patience
  readonly signal: AbortSignal
}

/** Nobody shall wait for a copy that is further behind than this to be taken to the end. */
const positionsBehindMax = 10_000
/** How long a copy that others let go of is left to be followed, before commits write it again. */
const promoteDelayMinMs = 1000
const promoteDelayMaxMs = 60_000

/**
 * Builds the inline copies of a view that this program has the functions for: by following the event store, until commits of events
 * write the one that is live.
 */
export class InlineWorker {
  readonly #options: InlineWorkerOptions
  readonly #paceOf: (copy: ViewCopy) => Pace
  readonly #settle: () => Promise<void>
  /** What is being followed, by namespace. */
  readonly #following = new Map<string, AbortController>()
  /** What follows, and what hands over. */
  readonly #underWay = new Set<Promise<unknown>>()
  /** Positions of copies that stand before an event that the functions of this program cannot take, by namespace. */
  readonly #stuckAt = new Map<string, number>()
  #promoting: Promise<void> | undefined
  #promoteDelayMs = 0

  constructor(
    options: InlineWorkerOptions,
    parts: { readonly paceOf: (copy: ViewCopy) => Pace; readonly settle: () => Promise<void> },
  ) {
    this.#options = options
    this.#paceOf = parts.paceOf
    this.#settle = parts.settle
  }

  /** Works on these copies, and on no others. */
  async apply(copies: readonly ViewCopy[], register: ViewRegister): Promise<void> {
    const wanted = new Map(copies.map((copy) => [this.#namespaceOf(copy), copy]))
    for (const [namespace, end] of this.#following) {
      if (wanted.has(namespace)) continue
      end.abort()
      this.#following.delete(namespace)
    }
    for (const [namespace, copy] of wanted) {
      const { note } = await readNote(this.#options.engine, namespace)
      // Another program may have taken it past that event.
      if (note.done || note.dropped === true || this.#stuckAt.get(namespace) === note.position) continue
      if (isSameCopy(copy, register.live)) this.#promote(copy)
      this.#follow(namespace, copy)
    }
  }

  /** Resolves when the live copy is written by commits, if it can be. */
  async promoted(): Promise<void> {
    await this.#promoting
  }

  /** Resolves when nothing is built or handed over here any more, after the signal has aborted. */
  async stopped(): Promise<void> {
    await Promise.allSettled(this.#underWay)
  }

  /** Makes another copy live, in one moment with what commits of events write. */
  handOver(from: ViewCopy | null, to: ViewCopy, writes: readonly StateWrite[]): Promise<boolean> {
    const { engine, app, view, clock, signal } = this.#options
    const place = { engine, app, view: view.name, clock, signal }
    const handed = handOver(place, { from, to, writes }, (copy) => this.#takeToEnd(copy))
    this.#keep(handed)
    return handed
  }

  /** Who stops waits for it: an engine that is closed in the middle of a cut would leave all commands waiting. */
  #keep(work: Promise<unknown>): void {
    this.#underWay.add(work)
    work.catch(() => undefined).finally(() => this.#underWay.delete(work))
  }

  async #takeToEnd(copy: ViewCopy): Promise<InlineNoteEntry | undefined> {
    const { engine, view, signal } = this.#options
    if (copy.version !== view.version) return undefined
    const { note } = await readNote(engine, this.#namespaceOf(copy))
    if ((await engine.events.lastPosition()) - note.position > positionsBehindMax) return undefined
    return this.#followerOf(copy).takeToEnd(signal)
  }

  #followerOf(copy: ViewCopy, pace?: Pace): InlineFollower {
    const { engine, app, clock, view, carriers } = this.#options
    return new InlineFollower({ engine, app, clock, view, carriers, namespace: this.#namespaceOf(copy), pace })
  }

  #follow(namespace: string, copy: ViewCopy): void {
    if (this.#following.has(namespace)) return
    const { signal, background } = this.#options
    const end = new AbortController()
    this.#following.set(namespace, end)
    const ended = AbortSignal.any([signal, end.signal])
    const pace = this.#paceOf(copy)
    const following = background
      .during(() => this.#followerOf(copy, pace).run(ended), ended)
      .catch((error: unknown) => (ended.aborted ? undefined : this.#onFailed(copy, error, ended)))
      .catch(this.#options.onError)
      .finally(() => {
        if (this.#following.get(namespace) === end) this.#following.delete(namespace)
      })
    this.#keep(following)
  }

  /**
   * What its functions cannot take stops the copy and nothing else, since commits may have been made by a program that
   * can take it: a build is paused, and the live copy and the previous one stay behind.
   */
  async #onFailed(copy: ViewCopy, error: unknown, signal: AbortSignal): Promise<void> {
    const { directory, view, copies, background } = this.#options
    if (isPassing(error)) throw error
    const { live, next } = directory.registerOf(view.name)
    if (!isSameCopy(copy, next)) {
      if (error instanceof ViewEventFailedError) return background.during(() => this.#getStuck(copy, error), signal)
      if (isSameCopy(copy, live)) throw error
      return
    }
    const problem = error instanceof Error ? error.message : String(error)
    await background.during(() => copies.pauseFailed(copy, problem), signal)
  }

  /** Leaves a copy where it stands, and keeps why where all can see it, until somebody takes it further. */
  async #getStuck(copy: ViewCopy, { message }: ViewEventFailedError): Promise<void> {
    const { engine } = this.#options
    const namespace = this.#namespaceOf(copy)
    for (;;) {
      const { note, revision } = await readNote(engine, namespace)
      if (note.done || note.dropped === true) return
      this.#stuckAt.set(namespace, note.position)
      if (note.problem === message) return
      const { ok } = await engine.commit({ state: [noteWrite(namespace, { ...note, problem: message }, revision)] })
      if (ok) return
    }
  }

  /** Has commits write the live copy again: at once, or after a while if others keep letting go of it. */
  #promote(copy: ViewCopy): void {
    if (this.#promoting !== undefined) return
    const { signal, patience, directory, view, onError } = this.#options
    const delayMs = this.#promoteDelayMs
    this.#promoteDelayMs = Math.min(promoteDelayMaxMs, Math.max(promoteDelayMinMs, delayMs * 2))
    const promoting = patience
      .during(() => this.#promoteAfter(copy, delayMs), signal)
      .catch((error: unknown) => {
        if (signal.aborted) throw error
        return this.#onFailed(copy, error, signal)
      })
      .finally(() => {
        this.#promoting = undefined
        const { live } = directory.registerOf(view.name)
        // Another one became live meanwhile, and was told that this one is being promoted.
        if (!signal.aborted && live.inline && !isSameCopy(live, copy)) this.#settle().catch(onError)
      })
    this.#promoting = promoting
    this.#keep(promoting)
    promoting.catch((error: unknown) => {
      if (!signal.aborted) this.#options.onError(error)
    })
  }

  async #promoteAfter(copy: ViewCopy, delayMs: number): Promise<void> {
    const { engine, directory, view, clock, signal } = this.#options
    if (delayMs > 0) await sleep(delayMs, clock, signal)
    const isWanted = async (): Promise<boolean> => {
      signal.throwIfAborted()
      if (!isSameCopy(directory.registerOf(view.name).live, copy)) return false
      const { note } = await readNote(engine, this.#namespaceOf(copy))
      return !note.done && note.dropped !== true
    }
    while (await isWanted()) {
      await this.#followerOf(copy).takeToEnd(signal)
      if (await this.handOver(null, copy, [])) return this.#settle()
    }
  }

  #namespaceOf(copy: ViewCopy): string {
    const { app, view } = this.#options
    return viewNamespace(app, { name: view.name, ...copy })
  }
}
