import { checkInteger, checkList, checkOptions, checkText } from '../committing/index.ts'
import {
  type BuildStatus,
  type CopyProgress,
  type CopyStatus,
  caughtUp,
  checkSwapOptions,
  copyName,
  followedProgress,
  SpeedMeter,
  type SwapOptions,
  swapTimeout,
  ViewBuildMissingError,
  ViewDeadLettersError,
  ViewNeverRunError,
  ViewPreviousMissingError,
} from '../domain/index.ts'
import { ArgumentInvalidError, type Engine } from '../engine/index.ts'
import { type Clock, durationMs, sleep } from '../kernel/index.ts'
import { TablesUnavailableError } from './errors.ts'
import type { RowDifference, TableRegister, TableVersion, TableVersions } from './table-versions.ts'

/** A version of a table view as it stands. */
export interface TableCopyStatus
  extends Pick<
    CopyStatus,
    'copy' | 'version' | 'eventsTotal' | 'eventsDone' | 'eventsBehind' | 'memberCount' | 'deadLetterCount'
  > {
  /** Its tables, by the names that readers use. */
  readonly tables: Readonly<Record<string, string>>
}

/** A version that is built, as it stands. */
export interface TableBuildStatus extends TableCopyStatus, Pick<BuildStatus, 'speedEventsPerSecond' | 'secondsLeft'> {}

/** The versions of a table view as they stand. */
export interface TableViewStatus {
  /** The one whose tables readers see. */
  readonly live: TableCopyStatus
  /** What `rollBack()` goes back to. */
  readonly previous: TableCopyStatus | null
  readonly next: TableBuildStatus | null
}

/** How the tables of two versions differ. */
export interface TableDifference extends RowDifference {
  /** The versions, such as `v1` and `v2`. */
  readonly copies: { readonly live: string; readonly other: string }
  /** The table, by the name that readers use. */
  readonly table: string
}

/** What is compared of two versions. */
export interface TableDifferenceOptions {
  /** Default `'next'`. */
  readonly to?: 'next' | 'previous'
  /** By the name that readers use. Default: the only one. */
  readonly table?: string
  /** Columns that are compared. Default: those that both tables have. */
  readonly columns?: readonly string[]
  /** Columns that tell which row is which. Default: the primary key; without one, rows are counted only. */
  readonly key?: readonly string[]
  /** How many rows that differ are given, up to 10,000. Default 20. */
  readonly limit?: number
}

/** Where a table view runs. */
export interface TableGround {
  readonly engine: Engine
  readonly app: string
  /** Consumer group of a handler of the service that holds the view. */
  readonly groupOf: (handler: string) => string
  readonly clock: Clock
  /** Somebody looks in who runs nothing: what the database does not know yet is not made known to it. Default `false`. */
  readonly isVisit?: boolean
}

/** What a table view says of itself. */
export interface DeclaredVersion {
  readonly version: TableVersion
  readonly versions: TableVersions
  /** Has the database know of it. */
  readonly prepare: () => Promise<void>
}

const differenceOptions = ['to', 'table', 'columns', 'key', 'limit']
/** All of them are held in memory. */
const limitMax = 10_000
/** Between two tries at a database that cannot, in milliseconds. */
const retryPauseMs = 200

/**
 * The versions of a table view: how far they are, and which one readers see. What readers see and the note of it change in one
 * transaction of their database.
 *
 * @example
 * ```ts
 * const { copies } = running.view(revenue)
 * const { next } = await copies.status()     // { copy: 'v2', eventsDone: 120_000, eventsTotal: 400_000, secondsLeft: 1.6, … }
 * const found = await copies.difference()    // { sameCount, differingCount, …, first: [{ key, live, other }, …] }
 * await copies.swap()
 * await copies.rollBack()
 * ```
 */
export class TableCopies {
  readonly #declared: DeclaredVersion
  readonly #ground: TableGround
  readonly #meter = new SpeedMeter()

  constructor(declared: DeclaredVersion, ground: TableGround) {
    this.#declared = declared
    this.#ground = ground
  }

  /**
   * @throws ViewNeverRunError `VIEW_NEVER_RUN`, TablesUnavailableError `TABLES_UNAVAILABLE`; TableSwapRefusedError `TABLE_SWAP_REFUSED`: a
   *   version that the program declares cannot be made known, since a table of it is missing or is not its own
   */
  async status(): Promise<TableViewStatus> {
    const { live, previous, next } = await this.#read()
    return {
      live: await this.#statusOf(live),
      previous: previous === null ? null : await this.#statusOf(previous),
      next: next === null ? null : await this.#buildStatus(next),
    }
  }

  /**
   * Compares a table of the live version with that of the one that is being built, or of the previous one, in the database,
   * as both are at one moment. While events come, one may be some of them ahead. On SQLite nothing else happens on the connection meanwhile.
   *
   * @throws ViewBuildMissingError `VIEW_BUILD_MISSING`, ViewPreviousMissingError `VIEW_PREVIOUS_MISSING`, ArgumentInvalidError
   *   `ARGUMENT_INVALID`: a column or table that is not there
   */
  async difference(options: TableDifferenceOptions = {}): Promise<TableDifference> {
    checkDifferenceOptions(options)
    const { to = 'next', limit = 20, columns, key } = options
    const register = await this.#read()
    const other = this.#of(register, to)
    const table = comparedTable(register.live, other, options.table)
    const tables = [register.live.tables[table], other.tables[table]] as [string, string]
    const found = await this.#declared.versions.compare(...tables, { columns, key, limit })
    return { copies: { live: nameOf(register.live), other: nameOf(other) }, table, ...found }
  }

  /**
   * Has readers see the tables of the version that was built, once it has taken in all that was published before the call. The one
   * that they saw is kept as the previous one. A name that only that one has in its `tables` is gone for readers until a roll-back.
   *
   * @param options Its `timeout` is also for queries of others to end, which hold the SQL view.
   * @throws ViewBuildMissingError `VIEW_BUILD_MISSING`, ViewBehindError `VIEW_BEHIND`: it did not catch up in time; ViewDeadLettersError
   *   `VIEW_DEAD_LETTERS`: its functions could not take all events, and `deadLetters` does not say that this is accepted;
   *   TableSwapRefusedError `TABLE_SWAP_REFUSED`, TablesUnavailableError `TABLES_UNAVAILABLE`. Readers go on to see what they saw.
   */
  async swap(options: SwapOptions & { readonly deadLetters?: 'accept' | 'refuse' } = {}): Promise<void> {
    checkSwapOptions(options, 'deadLetters')
    await this.#show('next', options, async (version) => {
      await this.#caughtUp(version, 'swap', options)
      const { deadLetterCount } = await this.#progress(version)
      if (deadLetterCount > 0 && options.deadLetters !== 'accept') {
        throw new ViewDeadLettersError(version.view, nameOf(version), deadLetterCount)
      }
    })
  }

  /**
   * Has readers see the tables of the previous version again. It is kept up to date as long as a program declares it. The two change places, so
   * that a second call goes forward again.
   *
   * @throws ViewPreviousMissingError `VIEW_PREVIOUS_MISSING`, ViewBehindError `VIEW_BEHIND`: it lacks events, and `behind` does not say
   *   that this is accepted; TableSwapRefusedError `TABLE_SWAP_REFUSED`, TablesUnavailableError `TABLES_UNAVAILABLE`
   */
  async rollBack(options: SwapOptions & { readonly behind?: 'accept' | 'refuse' } = {}): Promise<void> {
    checkSwapOptions(options, 'behind')
    await this.#show('previous', options, async (version) => {
      if (options.behind !== 'accept') await this.#caughtUp(version, 'roll-back', options)
    })
  }

  /** Has readers see another version; another one that has taken its place meanwhile is looked at, too. */
  async #show(
    which: 'next' | 'previous',
    { timeout = swapTimeout, signal }: SwapOptions,
    check: (version: TableVersion) => Promise<void>,
  ): Promise<void> {
    const { clock } = this.#ground
    const endMs = clock.monotonicMs() + durationMs(timeout)
    /** As long as there is time, what the database cannot do is tried again. */
    const patiently = async <Result>(work: () => Promise<Result>): Promise<Result> => {
      for (;;) {
        signal?.throwIfAborted()
        try {
          return await work()
        } catch (error) {
          if (!(error instanceof TablesUnavailableError) || clock.monotonicMs() >= endMs) throw error
          await sleep(retryPauseMs, clock, signal)
        }
      }
    }
    for (;;) {
      const register = await patiently(() => this.#read())
      const version = this.#of(register, which)
      await check(version)
      const { view, version: to } = version
      // It is the same two versions each time: where nobody could tell whether it was done, the next try finds out.
      if (await patiently(() => this.#declared.versions.makeLive(view, register.live.version, to))) return
    }
  }

  #of(register: TableRegister, which: 'next' | 'previous'): TableVersion {
    const found = register[which]
    if (found !== null) return found
    const { view } = this.#declared.version
    if (which === 'previous') throw new ViewPreviousMissingError(view)
    const { previous } = register
    const back = previous === null ? '' : `, or call rollBack() to show readers ${nameOf(previous)} again`
    throw new ViewBuildMissingError(view, `Raise the version of the view and start the app${back}.`)
  }

  async #read(): Promise<TableRegister> {
    const { version, versions, prepare } = this.#declared
    const found = await versions.read(version.view)
    const isKnown = [found?.live, found?.previous, found?.next].some((one) => one?.version === version.version)
    const { app, isVisit = false } = this.#ground
    if (found !== undefined && (isKnown || isVisit)) return found
    // Nothing was handled yet: a view of which no event has come is one, too.
    if (!isVisit) await prepare()
    const made = await versions.read(version.view)
    if (made === undefined) throw new ViewNeverRunError(version.view, app)
    return made
  }

  async #caughtUp(version: TableVersion, operation: 'swap' | 'roll-back', options: SwapOptions): Promise<void> {
    const stand = { view: version.view, copy: nameOf(version), inline: false, paused: false }
    const { clock } = this.#ground
    await caughtUp(stand, () => this.#progress(version), { ...options, operation, clock })
  }

  #progress({ view, version, topics }: TableVersion): Promise<CopyProgress> {
    const { engine, app, groupOf } = this.#ground
    return followedProgress(engine, app, { group: groupOf(handlerName(view, version)), topics })
  }

  async #statusOf(version: TableVersion): Promise<TableCopyStatus> {
    const { eventsTotal, eventsDone, eventsBehind, memberCount, deadLetterCount } = await this.#progress(version)
    const { tables } = version
    const progress = { eventsTotal, eventsDone, eventsBehind, memberCount, deadLetterCount }
    return { copy: nameOf(version), version: version.version, tables, ...progress }
  }

  async #buildStatus(version: TableVersion): Promise<TableBuildStatus> {
    const status = await this.#statusOf(version)
    this.#meter.look(status.copy, this.#ground.clock.monotonicMs(), status.eventsDone)
    const speed = this.#meter.eventsPerSecond
    const secondsLeft = speed === undefined || speed === 0 ? undefined : status.eventsBehind / speed
    return { ...status, speedEventsPerSecond: speed, secondsLeft }
  }
}

/** Name of the handler that a version of a table view is. */
export function handlerName(view: string, version: number): string {
  return `${view}.v${version}`
}

function nameOf({ version }: TableVersion): string {
  return copyName({ version, build: 1 })
}

/** @throws ArgumentInvalidError `ARGUMENT_INVALID` */
function checkDifferenceOptions(options: TableDifferenceOptions): void {
  checkOptions('options', options, differenceOptions)
  const { to, table, columns, key, limit } = options
  if (to !== undefined && to !== 'next' && to !== 'previous') {
    throw new ArgumentInvalidError('to', `is ${String(to)}, not 'next' or 'previous'`)
  }
  if (table !== undefined) checkText('table', table)
  for (const [place, list] of Object.entries({ columns, key })) {
    if (list === undefined) continue
    checkList(place, list)
    for (const [index, name] of list.entries()) checkText(`${place}[${index}]`, name)
  }
  if (limit === undefined) return
  checkInteger('limit', limit, 0)
  if (limit > limitMax) throw new ArgumentInvalidError('limit', `is ${limit}, above ${limitMax}`)
}

/** @throws ArgumentInvalidError `ARGUMENT_INVALID` */
function comparedTable(live: TableVersion, other: TableVersion, given: string | undefined): string {
  const common = Object.keys(live.tables).filter((name) => name in other.tables)
  const list = common.length === 0 ? 'none' : common.join(', ')
  const table = given ?? (common.length === 1 ? common[0] : undefined)
  if (table === undefined) throw new ArgumentInvalidError('table', `has to say which one is compared: ${list}`)
  if (!common.includes(table)) throw new ArgumentInvalidError('table', `is ${table}; both versions have ${list}`)
  return table
}
