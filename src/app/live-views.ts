import {
  type CommandOutcome,
  carriersUnseen,
  type Decider,
  inlineNamespace,
  isSameCopy,
  readNote,
  type View,
  ViewCopies,
  type ViewCopy,
  ViewNeverRunError,
  type ViewReader,
  viewGroup,
  viewNamespace,
} from '../domain/index.ts'
import type { Engine, TopicPosition } from '../engine/index.ts'
import type { Clock } from '../kernel/index.ts'
import type { Haste, Patience } from '../runtime/index.ts'
import { type CaughtUpWait, caughtUp, placesOf } from './caught-up.ts'
import { DropWorker } from './drop-worker.ts'
import { LiveView } from './live-view.ts'
import type { Part } from './parts.ts'
import { ViewDirectory } from './view-directory.ts'
import { ViewWorker } from './view-worker.ts'

/** What the views of a running app work with. */
export interface LiveViewsOptions {
  readonly app: string
  readonly views: readonly View[]
  /** The deciders of the app, whose events inline views are made of. */
  readonly deciders: readonly Decider[]
  readonly engine: Engine
  readonly clock: Clock
  readonly subscribe: (part: Part, haste: Haste) => Promise<void>
  readonly unsubscribe: (group: string) => Promise<void>
  /** Resolves when something may have changed, at the latest after so many milliseconds. */
  readonly somethingHappens: (lookMs: number, signal: AbortSignal | undefined) => Promise<void>
  /** @throws when the app runs no more. */
  readonly check: () => void
  readonly onError: (error: unknown) => void
  /** Waits for the engine where somebody waits for the start of the app, once that is over. */
  readonly patience: Patience
  /** Waits for the engine where nobody waits for what is done. */
  readonly background: Patience
  /** Aborts when the app stops. */
  readonly signal: AbortSignal
}

/** A view at work. */
interface ViewAtWork {
  readonly view: View
  readonly copies: ViewCopies
  readonly worker: ViewWorker
}

/** The views of a running app: their copies, who works on them, who reads them. */
export class LiveViews {
  readonly #options: LiveViewsOptions
  readonly #directory: ViewDirectory
  readonly #atWork: ReadonlyMap<string, ViewAtWork>
  readonly #drops: DropWorker

  constructor(options: LiveViewsOptions) {
    const { engine, app, clock, subscribe, unsubscribe, onError, patience, background, signal } = options
    this.#options = options
    const directory = new ViewDirectory(engine, app)
    this.#directory = directory
    const atWork = options.views.map((view): ViewAtWork => {
      const copies = new ViewCopies({
        engine,
        app,
        view: view.name,
        clock,
        onChange: (entry) => directory.put(view.name, entry),
        handover: (entry, to, writes) => worker.handOver(entry, to, writes),
      })
      const carriers = carriersUnseen(view, options.deciders)
      const shared = { engine, app, view, carriers, clock, directory, copies, onError, patience, background, signal }
      const worker = new ViewWorker({ ...shared, run: subscribe, halt: unsubscribe })
      return { view, copies, worker }
    })
    this.#drops = new DropWorker({ engine, app, clock, onError, patience: background, signal })
    this.#atWork = new Map(atWork.map((one) => [one.view.name, one]))
  }

  /** Consumer groups at work here. */
  get groups(): readonly string[] {
    return [...this.#atWork.values()].flatMap(({ worker }) => worker.groups)
  }

  /** Whether copies are at work as their registers say, and none is on its way to being swapped in by this process. */
  get isSettled(): boolean {
    return [...this.#atWork.values()].every(({ worker }) => worker.isSettled)
  }

  async start(): Promise<void> {
    const { engine, app, signal, onError } = this.#options
    // An app without views may have had some.
    if (engine.capabilities.keeps.includes('state')) this.#drops.start(this.#atWork.size > 0)
    if (this.#atWork.size === 0) return
    this.#directory.follow(signal).catch((error: unknown) => {
      if (!signal.aborted) onError(error)
    })
    const inline = [...this.#atWork.values()].filter(({ view }) => view.inline)
    // From here on: what others let go of while the workers start is seen once they have.
    const epochs = inline.length === 0 ? undefined : engine.state.watch(inlineNamespace, { key: app, signal })
    for (const { worker } of this.#atWork.values()) await worker.start()
    if (epochs === undefined) return
    this.#followEpochs(epochs, inline).catch((error: unknown) => {
      if (!signal.aborted) onError(error)
    })
  }

  /** Others may let go of what commits write here. */
  async #followEpochs(epochs: AsyncIterable<unknown>, inline: readonly ViewAtWork[]): Promise<void> {
    for await (const _change of epochs) for (const { worker } of inline) await worker.look()
  }

  /** Resolves when nothing is begun or written any more, after the signal has aborted. */
  async stop(): Promise<void> {
    await Promise.allSettled([
      ...[...this.#atWork.values()].map(({ worker }) => worker.stopped()),
      this.#drops.settled(),
    ])
  }

  /** `undefined`: the app has no such view in this version. */
  reader<State>(view: View<State>): ViewReader<State> | undefined {
    const found = this.#atWork.get(view?.name)
    if (found === undefined || found.view.version !== view.version) return undefined
    const { name } = view
    return new LiveView<State>(this.#options.engine, view, {
      register: () => this.#directory.registerOf(name),
      copies: found.copies,
      rebuild: async (options) => {
        this.#options.check()
        await found.worker.rebuild(options)
      },
      caughtUp: (what, signal) => this.#caughtUp(name, what, signal),
      ended: this.#options.signal,
      check: this.#options.check,
      moved: (signal) => this.#directory.moved(name, signal),
    })
  }

  /** Another copy may become live meanwhile: then that one has to have it. */
  async #caughtUp(
    name: string,
    what: CommandOutcome | readonly TopicPosition[],
    signal: AbortSignal | undefined,
  ): Promise<void> {
    const { engine, app, somethingHappens, check } = this.#options
    const places = placesOf(what) ?? []
    for (;;) {
      const { live } = this.#directory.registerOf(name)
      const isMoved = (): boolean => !isSameCopy(this.#directory.registerOf(name).live, live)
      const pause = async (lookMs: number): Promise<void> => {
        check()
        signal?.throwIfAborted()
        await somethingHappens(lookMs, signal)
      }
      if (live.inline) await this.#inlineCaughtUp(name, live, what, { pause, isOver: isMoved })
      else
        await caughtUp(
          { engine, group: viewGroup(app, { name, ...live }), topics: live.topics, pause, isOver: isMoved },
          places,
        )
      if (!isMoved()) return
    }
  }

  /** At once if commits write it. Else, while it is followed, it has to have come as far as the events stand. */
  async #inlineCaughtUp(
    name: string,
    copy: ViewCopy,
    what: CommandOutcome | readonly TopicPosition[],
    { pause, isOver }: Required<Pick<CaughtUpWait, 'pause' | 'isOver'>>,
  ): Promise<void> {
    const { engine, app } = this.#options
    const namespace = viewNamespace(app, { name, ...copy })
    let position = 'kind' in what && what.kind === 'accepted' ? what.position : undefined
    for (let lookMs = lookMinMs; !isOver(); lookMs = Math.min(lookMaxMs, lookMs * 2)) {
      const { note } = await readNote(engine, namespace)
      if (note.done) return
      if (this.#directory.isRetired(name)) throw new ViewNeverRunError(name, app)
      position ??= await engine.events.lastPosition()
      if (note.position >= position) return
      await pause(lookMs)
    }
  }
}

const lookMinMs = 2
const lookMaxMs = 250
