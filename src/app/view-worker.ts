import {
  type CopyProgress,
  copiesIn,
  copyName,
  copyOf,
  firstRegister,
  firstWrite,
  type Handover,
  hasReached,
  isSameCopy,
  type RebuildOptions,
  type RegisterEntry,
  readPlace,
  registerWrites,
  type View,
  type ViewBuild,
  type ViewCopy,
  ViewEventFailedError,
  ViewEventsChangedError,
  type ViewRegister,
  ViewVersionDownError,
  viewGroup,
  viewNamespace,
  withBuild,
} from '../domain/index.ts'
import { sleep } from '../kernel/index.ts'
import { type Haste, Pace, SharedPace } from '../runtime/index.ts'
import { InlineWorker, type InlineWorkerOptions } from './inline-worker.ts'
import type { Part } from './parts.ts'

/** What a worker needs, beyond what inline copies need. */
export interface WorkerOptions extends InlineWorkerOptions {
  /** Subscribes what a copy is built by. */
  readonly run: (part: Part, haste: Haste) => Promise<void>
  /** Ends a subscription. */
  readonly halt: (group: string) => Promise<void>
}

const lookMinMs = 20
const lookMaxMs = 500

/**
 * Keeps the copies of a view up to date that this program has the functions for: those of the version that it declares. Others
 * are left to the processes that run the programs of their versions.
 */
export class ViewWorker {
  readonly #options: WorkerOptions
  /** Copies that this process works on, by their group. */
  readonly #running = new Map<string, ViewCopy>()
  /** Groups of builds that have not caught up yet. */
  readonly #bulk = new Set<string>()
  #turn: Promise<void> = Promise.resolve()
  /** Turns that are not over. */
  #turnCount = 0
  /** The build that is being watched. */
  #watched: ViewBuild | undefined
  #watching: Promise<void> = Promise.resolve()
  /** Whether the build has caught up and is not swapped in, for the sake of others. */
  #isHeldBack = false
  readonly #inline: InlineWorker

  constructor(options: WorkerOptions) {
    this.#options = options
    this.#inline = new InlineWorker(options, {
      paceOf: (copy) => this.#paceOf(copy),
      settle: () => this.#settle(),
    })
  }

  /** Groups of the copies that this process works on. */
  get groups(): readonly string[] {
    return [...this.#running.keys()]
  }

  /** Enters the view in its register, begins what a new version asks for, and goes to work. */
  async start(): Promise<void> {
    const { directory, view, signal } = this.#options
    await this.#enter()
    const onChange = (): void => {
      this.#settle().catch((error: unknown) => {
        if (!signal.aborted) this.#options.onError(error)
      })
    }
    directory.listen(view.name, onChange, signal)
    await this.#settle()
    // Who asks as soon as the app runs reads their own writes.
    await this.#inline.promoted()
  }

  /** Resolves when the copies that the register names are at work here, and no others. */
  settled(): Promise<void> {
    return this.#turn
  }

  /** Resolves when nothing is begun or built here any more, after the signal has aborted. */
  async stopped(): Promise<void> {
    await Promise.allSettled([this.#turn, this.#watching, this.#inline.stopped()])
  }

  /**
   * Builds the version of this program beside the live copy.
   *
   * @throws ViewVersionDownError `VIEW_VERSION_DOWN`, ViewBuildUnderWayError `VIEW_BUILD_UNDER_WAY`
   */
  async rebuild(options: RebuildOptions = {}): Promise<void> {
    const { view, copies } = this.#options
    const { register } = await copies.read()
    if (view.version < register.live.version) {
      throw new ViewVersionDownError(view.name, register.live.version, view.version)
    }
    const { swap = view.rebuild, eventsPerSecond = null } = options
    await copies.begin(copyOf(view), { swap, eventsPerSecond })
    await this.settled()
  }

  /** Commits that another copy is live from here on. */
  handOver: Handover = async ({ register: { live } }, to, writes) => {
    if (live.inline || to.inline) return this.#inline.handOver(live, to, writes)
    return (await this.#options.engine.commit({ state: writes })).ok
  }

  /** Looks again whether everything is as it is to be. */
  look(): Promise<void> {
    return this.#settle()
  }

  /**
   * Whether copies are at work here as the register says, and none is on its way to being swapped in by this process. An inline one that is
   * swapped in by hand is waited for until it has caught up, as the lag of its group is for any other.
   */
  get isSettled(): boolean {
    return this.#turnCount === 0 && !this.#isBuildPending
  }

  get #isBuildPending(): boolean {
    const { directory, view } = this.#options
    const { next } = directory.registerOf(view.name)
    if (next === null || next.version !== view.version || next.paused || this.#isHeldBack) return false
    return (next.swap === 'when-caught-up' || next.inline) && this.#watched !== undefined
  }

  /**
   * Creates the register, or has the version of this program built, unless others were faster.
   *
   * @throws ViewEventsChangedError `VIEW_EVENTS_CHANGED`
   */
  async #enter(): Promise<void> {
    const { engine, app, view, directory, clock, signal } = this.#options
    for (;;) {
      signal.throwIfAborted()
      const before = await directory.look(view.name)
      if (before === undefined) {
        const place = await readPlace(engine, app, view.name)
        if (place.register !== undefined) continue
        const register = firstRegister(copyOf(view), place.used)
        const { ok } = await engine.commit({ state: [firstWrite(app, view.name, register, place)] })
        if (ok) directory.put(view.name, { register, revision: place.revision + 1 })
        continue
      }
      checkEvents(view, before.register)
      const nowMs = clock.nowMs()
      const after = registerWith(before.register, view, nowMs)
      if (after === undefined) return
      const { ok } = await engine.commit({ state: registerWrites(app, view.name, before, after, nowMs) })
      if (ok) directory.put(view.name, { register: after, revision: before.revision + 1 })
    }
  }

  /** One after the other: starts and ends what the register as it stands then asks for. */
  #settle(): Promise<void> {
    const { patience, signal } = this.#options
    this.#turnCount++
    this.#turn = this.#turn
      .catch(() => undefined)
      .then(() => patience.during(() => this.#apply(), signal))
      .finally(() => {
        this.#turnCount--
      })
    return this.#turn
  }

  async #apply(): Promise<void> {
    const { app, view, directory, signal, run, halt } = this.#options
    if (signal.aborted) return
    const { register } = directory.get(view.name) as RegisterEntry
    const isRetired = directory.isRetired(view.name)
    const next = isRetired ? null : register.next
    if (next === null) this.#watched = undefined
    const own = (isRetired ? [] : copiesIn(register))
      .filter((copy) => copy.version === view.version)
      .filter((copy) => !(isSameCopy(copy, next) && next?.paused === true))
    await this.#inline.apply(
      own.filter(({ inline }) => inline),
      register,
    )
    const wanted = new Map(
      own.filter(({ inline }) => !inline).map((copy) => [viewGroup(app, { name: view.name, ...copy }), copy]),
    )
    for (const group of this.#running.keys()) {
      if (wanted.has(group)) continue
      this.#running.delete(group)
      this.#bulk.delete(group)
      await halt(group)
    }
    for (const [group, copy] of wanted) {
      const isBuild = isSameCopy(copy, next)
      // Somebody waits for it from here on, even if it was swapped in before it was seen to have caught up.
      if (!isBuild) this.#bulk.delete(group)
      if (this.#running.has(group) || signal.aborted) continue
      const haste = this.#hasteOf(group, copy)
      this.#running.set(group, copy)
      if (isBuild) this.#bulk.add(group)
      try {
        await run(this.#partOf(copy), haste)
      } catch (error) {
        this.#running.delete(group)
        throw error
      }
    }
    if (next !== null && next.version === view.version && !next.paused) this.#watch(next)
  }

  #partOf(copy: ViewCopy): Part {
    const { app, view } = this.#options
    const place = { name: view.name, ...copy }
    return {
      group: viewGroup(app, place),
      handler: view.handler,
      source: `/${app}/view/${view.name}`,
      stateNamespace: viewNamespace(app, place),
    }
  }

  #hasteOf(group: string, copy: ViewCopy): Haste {
    const { engine, clock } = this.#options
    return {
      isBulk: () => this.#bulk.has(group),
      // Processes that build together share the rate by their partitions.
      pace: new SharedPace({ pace: this.#paceOf(copy), engine, clock, topics: copy.topics }),
    }
  }

  /** At the rate that stands in the register while the copy is being built. */
  #paceOf(copy: ViewCopy): Pace {
    const { clock, directory, view } = this.#options
    return new Pace(clock, () => {
      const { next } = directory.registerOf(view.name)
      return isSameCopy(next, copy) ? (next?.eventsPerSecond ?? null) : null
    })
  }

  /** Follows a build to its end. */
  #watch(build: ViewBuild): void {
    if (isSameCopy(this.#watched ?? null, build)) return
    this.#watched = build
    this.#isHeldBack = false
    const { background, signal } = this.#options
    this.#watching = background
      .during(() => this.#follow(build), signal)
      .catch((error: unknown) => {
        // Whoever builds the copy meets that event, too, and pauses the build.
        if (!this.#options.signal.aborted && !(error instanceof ViewEventFailedError)) this.#options.onError(error)
      })
      .finally(() => {
        if (this.#watched === build) this.#watched = undefined
      })
  }

  async #follow(build: ViewBuild): Promise<void> {
    const { app, view, directory, copies, clock, signal } = this.#options
    const group = viewGroup(app, { name: view.name, ...build })
    let ends: CopyProgress['ends'] | undefined
    let lookMs = lookMinMs
    for (;;) {
      await sleep(lookMs, clock, signal)
      lookMs = Math.min(lookMaxMs, lookMs * 1.5)
      const entry = directory.get(view.name)
      const next = entry?.register.next ?? null
      if (entry === undefined || next === null || !isSameCopy(next, build) || next.paused || this.#watched !== build)
        return
      const progress = await copies.progress(next)
      const isCaughtUp = progress.eventsBehind === 0 || (ends !== undefined && hasReached(progress, ends))
      ends = progress.ends
      if (!isCaughtUp) continue
      this.#bulk.delete(group)
      if (next.swap === 'manual') return
      // What its functions cannot take, and what it lacks, is looked at by somebody before anybody reads it.
      const isIncomplete = progress.deadLetterCount > 0 || progress.lacks !== null
      this.#isHeldBack = isIncomplete || (await this.#isOldRun(entry.register))
      if (this.#isHeldBack) continue
      if (await copies.swapNow(entry, next)) return
      await directory.look(view.name)
    }
  }

  /** Whether somebody runs the program of another version that is live: he would read what he does not understand. */
  async #isOldRun({ live }: ViewRegister): Promise<boolean> {
    const { view, copies } = this.#options
    return live.version !== view.version && (await copies.progress(live)).memberCount > 0
  }
}

/** What a program that declares a view makes of its register; `undefined`: it is right as it is. */
function registerWith(register: ViewRegister, view: View, nowMs: number): ViewRegister | undefined {
  const { live, previous, next } = register
  const copy = copyOf(view)
  const isOther = live.version === view.version && live.inline !== view.inline
  if (view.version < live.version || (live.version === view.version && !isOther)) return undefined
  // It was rolled back from; but what is written the other way nobody here could write.
  if (previous?.version === view.version && !isOther) return undefined
  // It is being built, or something newer is.
  if (next !== null && (next.version > view.version || isSameKind(next, view))) return undefined
  return withBuild(register, copy, {
    swap: view.rebuild,
    eventsPerSecond: null,
    paused: false,
    problem: null,
    sinceMs: nowMs,
  })
}

function isSameKind(copy: ViewCopy, view: View): boolean {
  return copy.version === view.version && copy.inline === view.inline
}

/**
 * A copy whose program takes other events than it was built from would be neither what the one nor what the other makes of them.
 *
 * @throws ViewEventsChangedError `VIEW_EVENTS_CHANGED`
 */
function checkEvents(view: View, register: ViewRegister): void {
  const declared = sourcesOf(copyOf(view))
  for (const copy of copiesIn(register)) {
    if (!isSameKind(copy, view)) continue
    const built = sourcesOf(copy)
    const added = declared.filter((one) => !built.includes(one))
    const removed = built.filter((one) => !declared.includes(one))
    if (added.length === 0 && removed.length === 0) continue
    const nextVersion = register.highestVersion + 1
    throw new ViewEventsChangedError(view.name, copyName(copy), { added, removed, nextVersion })
  }
}

/** What a copy is built from, as a reader calls it. */
function sourcesOf({ types, topics }: ViewCopy): readonly string[] {
  return [...types, ...topics.map((topic) => `topic ${topic}`)]
}
