import { checkInteger, checkOptions } from '../committing/index.ts'
import { ArgumentInvalidError, type Engine, type StateOwner, type StateWrite } from '../engine/index.ts'
import { type Clock, OptionsInvalidError } from '../kernel/index.ts'
import {
  ViewBuildMissingError,
  ViewBuildUnderWayError,
  ViewDeadLettersError,
  ViewNeverRunError,
  ViewPreviousMissingError,
} from './errors.ts'
import { handOver } from './inline-copies.ts'
import { type CatchUp, caughtUp, checkSwapOptions, type SwapOptions } from './view-catch-up.ts'
import { copyName, isSameCopy, type ViewBuild, type ViewCopy, viewGroup, viewNamespace } from './view-copy.ts'
import { differenceOf, type ViewDifference } from './view-difference.ts'
import { type CopyProgress, progressOf, SpeedMeter } from './view-progress.ts'
import {
  type RegisterEntry,
  readRegister,
  registerWrites,
  type ViewRegister,
  withBuild,
  withRollBack,
  withSwap,
} from './view-register.ts'
import type { BuildStatus, CopyStatus, ViewStatus } from './view-status.ts'

/** What moves reads from one copy to another, beyond the register. An inline copy has to be written by commits from there on. */
export type Handover = (entry: RegisterEntry, to: ViewCopy, writes: readonly StateWrite[]) => Promise<boolean>

/** On what the copies of a view are. */
export interface CopiesOptions {
  readonly engine: Engine
  readonly app: string
  readonly view: string
  readonly clock: Clock
  /** Told of each change that was made here. */
  readonly onChange?: (entry: RegisterEntry) => void
  /** Commits a swap. Default: the register alone. */
  readonly handover?: Handover
}

/**
 * The copies of one view: how far they are, and which of them serves reads. Each change is one commit of one entry, held to the
 * revision that was read; all processes follow it.
 *
 * @example
 * ```ts
 * const { copies } = running.view(dailyRevenue)
 * const { next } = await copies.status()      // { copy: 'v2', eventsDone: 120_000, eventsTotal: 400_000, secondsLeft: 1.6, … }
 * await copies.setPace(50_000)                // events a second; null: as fast as it can
 * const found = await copies.difference()     // { sameCount, differingCount, …, first: [{ key, live, other }, …] }
 * await copies.swap()
 * await copies.rollBack()
 * ```
 */
export class ViewCopies {
  readonly #options: CopiesOptions
  readonly #meter = new SpeedMeter()
  #canaryCounts = { readCount: 0, differingCount: 0 }

  constructor(options: CopiesOptions) {
    this.#options = options
  }

  /** @throws ViewNeverRunError `VIEW_NEVER_RUN` */
  async status(): Promise<ViewStatus> {
    const { register } = await this.read()
    const statusOf = async (copy: ViewCopy): Promise<CopyStatus> => {
      const { next: _next, ends: _ends, lacks: _lacks, ...progress } = await this.progress(copy)
      return { ...copy, copy: copyName(copy), ...progress }
    }
    const { live, previous, next, canary } = register
    return {
      live: await statusOf(live),
      previous: previous === null ? null : await statusOf(previous),
      next: next === null ? null : this.#buildStatus(next, await statusOf(next)),
      canary: { share: canary, ...this.#canaryCounts },
    }
  }

  /** Stops building; a process that starts does not go on with it. What is built stays. @throws ViewBuildMissingError `VIEW_BUILD_MISSING` */
  async pause(): Promise<void> {
    await this.#changeBuild((next) => ({ ...next, paused: true, problem: null }))
  }

  /** Pauses a build that cannot go on, and keeps why; not another one that has taken its place. */
  async pauseFailed(copy: ViewCopy, problem: string): Promise<void> {
    await this.change((register) =>
      isSameCopy(register.next, copy)
        ? { ...register, next: { ...this.#nextOf(register), paused: true, problem } }
        : register,
    )
  }

  /** Goes on where the build was. @throws ViewBuildMissingError `VIEW_BUILD_MISSING` */
  async resume(): Promise<void> {
    await this.#changeBuild((next) => ({ ...next, paused: false, problem: null }))
  }

  /**
   * Limits how fast a copy is built, all processes together, also while it is being built; null: as fast as it can. It is
   * measured over some hundred events.
   *
   * @throws ViewBuildMissingError `VIEW_BUILD_MISSING`, OptionsInvalidError `OPTIONS_INVALID`: not above 0.
   */
  async setPace(eventsPerSecond: number | null): Promise<void> {
    checkPace(eventsPerSecond)
    await this.#changeBuild((next) => ({ ...next, eventsPerSecond }))
  }

  /**
   * Lets a share of the keys be read from the copy that is being built, by `get` in all processes: always the same keys for
   * the same share. Whole ranges are read from the live copy.
   *
   * @param share 0 to 1; 0 ends it. A swap does, too.
   * @throws ViewBuildMissingError `VIEW_BUILD_MISSING`, ViewBehindError `VIEW_BEHIND`: it has not caught up within 10 seconds,
   *   OptionsInvalidError `OPTIONS_INVALID`
   */
  async setCanary(share: number, options: SwapOptions = {}): Promise<void> {
    if (!(share >= 0 && share <= 1)) {
      throw new OptionsInvalidError('a canary', [{ option: 'share', problem: `is ${share}, not from 0 to 1` }])
    }
    await this.#changeFor(
      (register) => this.#nextOf(register),
      share > 0 ? { ...options, operation: 'canary' } : undefined,
      (before) => this.#commit(before, { ...before.register, canary: share }),
    )
    this.#canaryCounts = { readCount: 0, differingCount: 0 }
  }

  /** A key was read from the copy that is being built. */
  countCanary(differs: boolean): void {
    this.#canaryCounts.readCount++
    if (differs) this.#canaryCounts.differingCount++
  }

  /**
   * Compares the live copy with the one that is being built, or with the previous one, row by row; in bounded memory, however
   * many keys there are. Not a snapshot: what changes meanwhile may show as a difference.
   *
   * @throws ViewBuildMissingError `VIEW_BUILD_MISSING`, ViewPreviousMissingError `VIEW_PREVIOUS_MISSING`
   */
  async difference(
    options: {
      /** Default `'next'`. */
      readonly to?: 'next' | 'previous'
      /** How many keys that differ are given with both values. Default 20. */
      readonly limit?: number
      readonly signal?: AbortSignal
    } = {},
  ): Promise<ViewDifference> {
    checkOptions('options', options, ['to', 'limit', 'signal'])
    const { to = 'next', limit = 20, signal } = options
    checkWhich('to', to)
    checkInteger('limit', limit, 0)
    const { register } = await this.read()
    const other = to === 'previous' ? this.#previousOf(register) : this.#nextOf(register)
    const found = await differenceOf(this.#options.engine, this.standOf(register.live), this.standOf(other), {
      limit,
      signal,
    })
    return { copies: { live: copyName(register.live), other: copyName(other) }, ...found }
  }

  /**
   * Makes the copy that was built live, once it has taken in all that was published before the call. The copy that was live
   * is kept as the previous one; what was that before is dropped.
   *
   * @throws ViewBuildMissingError `VIEW_BUILD_MISSING`, ViewBehindError `VIEW_BEHIND`: it did not catch up in time, or lacks what was
   *   removed when books were closed, and `behind` does not say that this is accepted; ViewDeadLettersError `VIEW_DEAD_LETTERS`: its
   *   functions could not take all events, and `deadLetters` does not say that this is accepted. The live copy stays.
   */
  async swap(
    options: SwapOptions & { readonly deadLetters?: 'accept' | 'refuse'; readonly behind?: 'accept' | 'refuse' } = {},
  ): Promise<void> {
    checkSwapOptions(options, 'deadLetters', 'behind')
    await this.#changeFor(
      (register) => this.#nextOf(register),
      { ...options, operation: 'swap', mayLack: options.behind === 'accept' },
      async (before, next) => {
        const { deadLetterCount } = await this.progress(next)
        if (deadLetterCount > 0 && options.deadLetters !== 'accept') {
          throw new ViewDeadLettersError(this.#options.view, copyName(next), deadLetterCount)
        }
        return this.swapNow(before, next)
      },
    )
  }

  /**
   * Makes the previous copy live again. It is kept up to date by every process whose program declares its version. The two change places, so
   * that a second call goes forward again.
   *
   * @throws ViewPreviousMissingError `VIEW_PREVIOUS_MISSING`, ViewBehindError `VIEW_BEHIND`: it lacks events, and `behind` does not say
   *   that this is accepted.
   */
  async rollBack(options: SwapOptions & { readonly behind?: 'accept' | 'refuse' } = {}): Promise<void> {
    checkSwapOptions(options, 'behind')
    await this.#changeFor(
      (register) => this.#previousOf(register),
      options.behind === 'accept' ? undefined : { ...options, operation: 'roll-back' },
      (before, previous) => this.#commit(before, withRollBack(before.register, previous), previous),
    )
  }

  /**
   * Gives up the copy that is being built, or the previous one, with all that is kept of it.
   *
   * @throws ViewBuildMissingError `VIEW_BUILD_MISSING`, ViewPreviousMissingError `VIEW_PREVIOUS_MISSING`
   */
  async drop(which: 'next' | 'previous'): Promise<void> {
    checkWhich('which', which)
    await this.change((register) => {
      if (which === 'next') {
        this.#nextOf(register)
        return { ...register, next: null, canary: 0 }
      }
      this.#previousOf(register)
      return { ...register, previous: null }
    })
  }

  /**
   * Begins to build a copy beside the live one.
   *
   * @throws ViewBuildUnderWayError `VIEW_BUILD_UNDER_WAY`
   */
  async begin(copy: ViewCopy, how: Pick<ViewBuild, 'swap' | 'eventsPerSecond'>): Promise<void> {
    checkPace(how.eventsPerSecond)
    checkSwap(how.swap)
    await this.change((register) => {
      if (register.next !== null) throw new ViewBuildUnderWayError(this.#options.view, copyName(register.next))
      return withBuild(register, copy, { ...how, paused: false, problem: null, sinceMs: this.#options.clock.nowMs() })
    })
  }

  /** The register as it stands. @throws ViewNeverRunError `VIEW_NEVER_RUN` */
  async read(): Promise<RegisterEntry> {
    const { engine, app, view } = this.#options
    const entry = await readRegister(engine, app, view)
    if (entry === undefined) throw new ViewNeverRunError(view, app)
    return entry
  }

  /** Changes the register, again if somebody else did meanwhile. */
  async change(next: (register: ViewRegister) => ViewRegister): Promise<void> {
    for (;;) {
      const before = await this.read()
      if (await this.#commit(before, next(before.register))) return
    }
  }

  async progress(copy: ViewCopy): Promise<CopyProgress> {
    const { engine, app, view, clock } = this.#options
    const found = await progressOf(engine, app, view, copy)
    if ('sinceMs' in copy) this.#meter.look(copyName(copy), clock.monotonicMs(), found.eventsDone)
    return found
  }

  /** Makes a build live that has caught up. `false`: the register has changed meanwhile. */
  async swapNow(entry: RegisterEntry, next: ViewBuild): Promise<boolean> {
    return this.#commit(entry, withSwap(entry.register, next), next)
  }

  /** Where a copy stands. */
  standOf(copy: ViewCopy): { readonly namespace: string; readonly owner: StateOwner | undefined } {
    const { app, view } = this.#options
    const place = { name: view, ...copy }
    return {
      namespace: viewNamespace(app, place),
      owner: copy.inline ? undefined : { group: viewGroup(app, place) },
    }
  }

  /**
   * Changes the register for the sake of one copy, once that one has caught up; another one that has taken its place
   * meanwhile has to catch up, too.
   *
   * @param catchUp `undefined`: it need not.
   */
  async #changeFor<Copy extends ViewCopy>(
    pick: (register: ViewRegister) => Copy,
    catchUp: CatchUp | undefined,
    commit: (before: RegisterEntry, copy: Copy) => Promise<boolean>,
  ): Promise<void> {
    let checked: Copy | null = null
    for (;;) {
      const before = await this.read()
      const copy = pick(before.register)
      if (catchUp !== undefined && !isSameCopy(copy, checked)) {
        const { view, clock } = this.#options
        const paused = 'paused' in copy && copy.paused === true
        const stand = { view, copy: copyName(copy), inline: copy.inline, paused }
        await caughtUp(stand, () => this.progress(copy), { ...catchUp, clock })
        checked = copy
      } else if (await commit(before, copy)) return
    }
  }

  async #commit(before: RegisterEntry, after: ViewRegister, to?: ViewCopy): Promise<boolean> {
    const { engine, app, view, clock, onChange } = this.#options
    const writes = registerWrites(app, view, before, after, clock.nowMs())
    const isMade =
      to === undefined ? (await engine.commit({ state: writes })).ok : await this.#handOver(before, to, writes)
    if (isMade) onChange?.({ register: after, revision: before.revision + 1 })
    return isMade
  }

  /** Where nobody can take a copy to the end, an inline one goes on to be built by following when the app starts. */
  async #handOver(before: RegisterEntry, to: ViewCopy, writes: readonly StateWrite[]): Promise<boolean> {
    const { engine, handover } = this.#options
    if (handover !== undefined) return handover(before, to, writes)
    const from = before.register.live
    if (from.inline || to.inline) return handOver(this.#options, { from, to, writes }, async () => undefined)
    return (await engine.commit({ state: writes })).ok
  }

  async #changeBuild(next: (build: ViewBuild) => ViewBuild): Promise<void> {
    await this.change((register) => ({ ...register, next: next(this.#nextOf(register)) }))
  }

  #buildStatus(build: ViewBuild, status: CopyStatus): BuildStatus {
    const speed = this.#meter.eventsPerSecond
    const secondsLeft = speed === undefined || speed === 0 ? undefined : status.eventsBehind / speed
    const problem = build.problem ?? status.problem
    return { ...build, ...status, problem, speedEventsPerSecond: speed, secondsLeft }
  }

  #nextOf({ next }: ViewRegister): ViewBuild {
    if (next === null) throw new ViewBuildMissingError(this.#options.view)
    return next
  }

  #previousOf({ previous }: ViewRegister): ViewCopy {
    if (previous === null) throw new ViewPreviousMissingError(this.#options.view)
    return previous
  }
}

function checkPace(eventsPerSecond: number | null): void {
  if (eventsPerSecond === null || (Number.isFinite(eventsPerSecond) && eventsPerSecond > 0)) return
  throw new OptionsInvalidError('the pace of a build', [
    { option: 'eventsPerSecond', problem: `is ${eventsPerSecond}, neither a number above 0 nor null` },
  ])
}

function checkSwap(swap: unknown): void {
  if (swap === 'when-caught-up' || swap === 'manual') return
  const problem = `is ${JSON.stringify(swap)}, neither 'when-caught-up' nor 'manual'`
  throw new OptionsInvalidError('the rebuild of a view', [{ option: 'swap', problem }])
}

function checkWhich(place: string, which: unknown): void {
  if (which === 'next' || which === 'previous') return
  throw new ArgumentInvalidError(place, `is ${String(which)}, not 'next' or 'previous'`)
}
