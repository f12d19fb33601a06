import type { CommitOutcome, Engine, StateWrite } from '../engine/index.ts'
import { type Clock, sleep } from '../kernel/index.ts'
import type { Message } from '../message/index.ts'
import type { CommitWithin } from '../runtime/index.ts'
import { BooksNeededError } from './errors.ts'
import { InlineEpochs } from './inline-epochs.ts'
import { type InlineNoteEntry, movedNote, noteWrite, readNote } from './inline-notes.ts'
import { InlineViews, type InlineWriter, type WrittenCopy } from './inline-views.ts'
import type { View } from './view.ts'
import { copyName, type ViewCopy, viewNamespace } from './view-copy.ts'
import { registerKey, registersOf } from './view-register.ts'

/** What commits of events have to do in one epoch. */
interface Plan {
  readonly epoch: number
  /** What keeps the copies that this program has the functions for. */
  readonly views: InlineViews
  /** Copies that commits are to write and that this program has no functions for. */
  readonly foreign: readonly { readonly namespace: string; readonly copy: ViewCopy }[]
}

/** A copy that follows the event store and has not come as far as somebody wants. */
interface CopyBehind {
  readonly view: string
  /** Such as `v2`. */
  readonly copy: string
  readonly role: 'live' | 'previous' | 'next'
  readonly namespace: string
  readonly entry: InlineNoteEntry
  /** It does not come further by itself. */
  readonly isStuck: boolean
}

/** How long the books of a stream are held open for copies that still follow. */
const booksWaitMs = 10_000
/** A previous copy that somebody keeps up to date has caught up by then. */
const previousWaitMs = 2000
const booksLookMinMs = 5
const booksLookMaxMs = 250

/**
 * Keeps the inline copies of an app up to date that are live, in the commits of the events themselves, by the version of each that
 * is live at the moment. Each commit is held to the epoch in which that is so, also where no copy is inline: another program may add
 * the first one at any time.
 *
 * A program that appends events of a live copy that it has no functions for lets go of it first: from there on the copy is built by
 * following the event store, by those who have them. So programs of two versions may run side by side, and no copy ever
 * has a gap.
 */
export class InlineCopies implements InlineWriter {
  readonly #engine: Engine
  readonly #app: string
  readonly #clock: Clock
  readonly #views: readonly View[]
  readonly #epochs: InlineEpochs
  #plan: Plan | undefined
  #loading: Promise<Plan> | undefined
  /** A commit was refused: perhaps the epoch is over. */
  #isDoubtful = false

  constructor(engine: Engine, app: string, clock: Clock, views: readonly View[]) {
    this.#engine = engine
    this.#app = app
    this.#clock = clock
    this.#views = views.filter(({ inline }) => inline)
    this.#epochs = new InlineEpochs(engine, app, clock)
  }

  async commit(events: readonly Message[], commit: Parameters<CommitWithin>[0]): Promise<CommitOutcome> {
    for (;;) {
      const plan = await this.#planFor(events)
      const guard = this.#epochs.guard(plan.epoch)
      const outcome = await plan.views.commit(events, (writes) => commit([...writes, guard]))
      if (!('forgetting' in outcome)) {
        if (!outcome.ok) this.#isDoubtful = true
        return outcome
      }
      // From the next epoch on, all who write these copies mind what was forgotten.
      await this.#epochs.cut(async () => forgettingWrites(this.#engine, outcome.forgetting))
      this.#plan = undefined
    }
  }

  async rehearse(events: readonly Message[]): Promise<void> {
    await (await this.#planFor(events)).views.rehearse(events)
  }

  async takenIn(stream: string, types: readonly string[]): Promise<readonly StateWrite[]> {
    const position = await this.#endOf(stream)
    const sinceMs = this.#clock.monotonicMs()
    for (let lookMs = booksLookMinMs; ; lookMs = Math.min(booksLookMaxMs, lookMs * 2)) {
      const behind = await this.#behind(position, types)
      const waitedMs = this.#clock.monotonicMs() - sinceMs
      const needing = behind.find(({ role }) => role !== 'previous')
      if (needing !== undefined && (needing.isStuck || waitedMs >= booksWaitMs)) {
        throw new BooksNeededError(stream, needing.view, needing.copy)
      }
      // Nobody may ever take a previous copy further: then it is written on it that it lacks them.
      if (needing === undefined && (waitedMs >= previousWaitMs || behind.length === 0)) {
        return behind.map(({ namespace, entry: { note, revision } }) =>
          noteWrite(namespace, { ...note, lacks: stream }, revision),
        )
      }
      await sleep(lookMs, this.#clock)
    }
  }

  /** Position of the last event of a stream. */
  async #endOf(stream: string): Promise<number> {
    for await (const { position } of this.#engine.events.readStream(stream, { direction: 'backward', limit: 1 })) {
      return position
    }
    return 0
  }

  /** The copies that follow the events of some types and are not as far as a position. */
  async #behind(position: number, types: readonly string[]): Promise<readonly CopyBehind[]> {
    const prefix = registerKey(this.#app, '')
    const found: CopyBehind[] = []
    for (const [key, { live, previous, next }] of await registersOf(this.#engine, this.#app)) {
      const view = key.slice(prefix.length)
      for (const [role, copy] of [
        ['live', live],
        ['previous', previous],
        ['next', next],
      ] as const) {
        if (copy?.inline !== true || !copy.types.some((type) => types.includes(type))) continue
        const namespace = viewNamespace(this.#app, { name: view, ...copy })
        const entry = await readNote(this.#engine, namespace)
        const { done, position: at, problem, lacks } = entry.note
        if (done || at >= position || (role === 'previous' && lacks !== undefined)) continue
        const isStuck = problem !== undefined || (role === 'next' && next?.paused === true)
        found.push({ view, copy: copyName(copy), role, namespace, entry, isStuck })
      }
    }
    return found
  }

  async #planFor(events: readonly Message[]): Promise<Plan> {
    for (;;) {
      const plan = await this.#current()
      const { foreign } = plan
      const isForeign = foreign.some(({ copy }) => events.some(({ type }) => copy.types.includes(type)))
      if (!isForeign) return plan
      await this.#epochs.cut(async () =>
        releaseWrites(
          this.#engine,
          foreign.map(({ namespace }) => namespace),
        ),
      )
      this.#plan = undefined
    }
  }

  async #current(): Promise<Plan> {
    if (this.#plan !== undefined && this.#isDoubtful) {
      this.#isDoubtful = false
      if (!(await this.#epochs.isOpen(this.#plan.epoch))) this.#plan = undefined
    }
    if (this.#plan !== undefined) return this.#plan
    this.#loading ??= this.#load().finally(() => {
      this.#loading = undefined
    })
    this.#plan = await this.#loading
    return this.#plan
  }

  async #load(): Promise<Plan> {
    for (;;) {
      const epoch = await this.#epochs.opened()
      const own: WrittenCopy[] = []
      const foreign: { readonly namespace: string; readonly copy: ViewCopy }[] = []
      const prefix = registerKey(this.#app, '')
      for (const [key, { live }] of await registersOf(this.#engine, this.#app)) {
        const name = key.slice(prefix.length)
        const namespace = viewNamespace(this.#app, { name, ...live })
        const { done, forgets = false } = (await readNote(this.#engine, namespace)).note
        if (!live.inline || !done) continue
        const view = this.#views.find((one) => one.name === name && one.version === live.version)
        if (view === undefined) foreign.push({ namespace, copy: live })
        else own.push({ view, namespace, forgets })
      }
      // Which copies are written changes between epochs only.
      if (await this.#epochs.isOpen(epoch)) {
        return { epoch, views: new InlineViews(this.#engine.state, own), foreign }
      }
    }
  }
}

/** What lets go of copies that commits have written so far: what stands in the event store is in them. Within a cut only. */
async function releaseWrites(engine: Engine, namespaces: readonly string[]): Promise<readonly StateWrite[]> {
  const position = await engine.events.lastPosition()
  const writes: StateWrite[] = []
  for (const namespace of namespaces) {
    const { note, revision } = await readNote(engine, namespace)
    if (note.done) writes.push(noteWrite(namespace, movedNote(note, { position, done: false }), revision))
  }
  return writes
}

/** What notes on copies that they forget keys. Within a cut only. */
async function forgettingWrites(engine: Engine, namespaces: readonly string[]): Promise<readonly StateWrite[]> {
  const writes: StateWrite[] = []
  for (const namespace of namespaces) {
    const { note, revision } = await readNote(engine, namespace)
    if (note.dropped !== true) writes.push(noteWrite(namespace, { ...note, forgets: true }, revision))
  }
  return writes
}

/** Takes a copy to the end of the event store, and answers its note; `undefined`: that is for somebody else to do. */
export type TakeToEnd = (copy: ViewCopy) => Promise<InlineNoteEntry | undefined>

/**
 * Hands the commits of events over from one copy of a view to another, together with what else is to be written: the one lacks
 * nothing that stands in the event store, and the other has all of it, in one and the same moment.
 *
 * @param from The copy that is live; null: it stays as it is.
 * @param to The copy that is to be live. If nobody takes it to the end, it goes on being built by following.
 * @returns Whether it was done; else something has changed meanwhile.
 */
export function handOver(
  {
    engine,
    app,
    view,
    clock,
    signal,
  }: {
    readonly engine: Engine
    readonly app: string
    readonly view: string
    readonly clock: Clock
    /** Ends the waiting for somebody else who changes which copies commits write. */
    readonly signal?: AbortSignal | undefined
  },
  {
    from,
    to,
    writes,
  }: { readonly from: ViewCopy | null; readonly to: ViewCopy; readonly writes: readonly StateWrite[] },
  takeToEnd: TakeToEnd,
): Promise<boolean> {
  const namespaceOf = (copy: ViewCopy): string => viewNamespace(app, { name: view, ...copy })
  return new InlineEpochs(engine, app, clock, signal).cut(async () => {
    const released = from?.inline === true ? await releaseWrites(engine, [namespaceOf(from)]) : []
    const end = to.inline ? await takeToEnd(to) : undefined
    const taken =
      end === undefined
        ? []
        : [noteWrite(namespaceOf(to), movedNote(end.note, { position: end.note.position, done: true }), end.revision)]
    return [...writes, ...released, ...taken]
  })
}
