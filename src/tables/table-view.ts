import { definitionListProblems, functionProblems } from '../domain/index.ts'
import { ArgumentInvalidError } from '../engine/index.ts'
import {
  type Duration,
  nameProblems,
  type OptionProblem,
  OptionsInvalidError,
  optionMs,
  unknownOptions,
} from '../kernel/index.ts'
import type { AnyEventDefinition, Message, MessageOf } from '../message/index.ts'
import {
  byError,
  type DeadLetterMode,
  exponential,
  type Handler,
  HandlerTimeoutError,
  on,
  type RetryPolicy,
  rateOf,
  topicsOf,
} from '../runtime/index.ts'
import { Changes } from './changes.ts'
import { handlerName, TableCopies, type TableGround } from './table-copies.ts'
import type { TableChange, TableChangeContext, TableDatabase } from './table-database.ts'
import { clashOf, isTableName, namesOf, type TableVersion } from './table-versions.ts'

/** How a view in tables of the user's own is declared. */
export interface TableViewOptions<Events extends readonly AnyEventDefinition[], Client> {
  /** Where the tables are: {@link postgresTables} or {@link sqliteTables}. */
  readonly database: TableDatabase<Client>
  /** The events that build it. */
  readonly events: Events
  /**
   * For each event, by its type: its statements, on the connection that it is given. They are one transaction with those of
   * other messages and with the note that the message was applied. On SQLite they are synchronous.
   */
  readonly on: {
    readonly [Type in Events[number]['type']]: (
      client: Client,
      event: Extract<MessageOf<Events[number]>, { readonly type: Type }>,
      ctx: TableChangeContext,
    ) => unknown
  }
  /**
   * Statements that are run before the first message after each start, such as `CREATE TABLE IF NOT EXISTS …`. Default: none;
   * your migrations make the tables.
   */
  readonly setup?: readonly string[]
  /**
   * What readers name, and the table of this version that they shall see: `{ revenue: 'revenue_v2' }`. Each name is that of an SQL view, which
   * is made when the first version runs, and shows the table of another version from a swap on. Names are of `a` to `z`, digits and `_`,
   * with their schema if need be. Each table is of one version only, and none has a name that readers use. A name that a version leaves out
   * is gone for readers once that version is swapped in. Default: none, and readers name tables themselves.
   */
  readonly tables?: Readonly<Record<string, string>>
  /** A whole number from 1. Raise it to build the view anew, from the earliest events; give it new tables then. Default 1. */
  readonly version?: number
  /** Events with the same key are applied one after the other, in order. Default: the partition key. */
  readonly key?: (event: MessageOf<Events[number]>) => string
  /**
   * When an event is tried again whose statements fail. Default `exponential()`: 5 attempts. Where the database is at fault, it
   * is tried until it can.
   */
  readonly retry?: RetryPolicy
  /**
   * Longest time that the function of one event may take; then its transaction is rolled back, and it has failed. Events that
   * shared the transaction are applied without it. On SQLite, where functions are synchronous, nothing can end them. Default
   * `'30s'`.
   */
  readonly timeout?: Duration
  /** What happens to later events of a key when one cannot be applied. Default `'park-key'`: they wait behind it. */
  readonly onDeadLetter?: DeadLetterMode
  /**
   * How long it is noted in the database that a message was applied, from 1 h. A message that comes again later counts as new, so
   * keep it longer than the app may stand still after a crash. Default `'7d'`.
   */
  readonly keep?: Duration
  /**
   * At most this many events a second, above 0, of all processes that run the view: so that building a version anew leaves the
   * database to others. Default: as fast as it can.
   */
  readonly eventsPerSecond?: number
}

/** A view in tables of the user's own. Made by {@link tableView}. */
export interface TableView extends Handler {
  /** The view, and the version of it that this handler is. */
  readonly versionOf: {
    readonly view: string
    readonly version: number
    /** The option `tables`. */
    readonly tables: TableVersion['tables'] | undefined
  }
  /** Its versions, where it runs: what `running.view()` answers, and what the command line works with. */
  readonly copiesOn: (ground: TableGround) => TableCopies
  /** Makes its database ready for it, and has the database know it. */
  readonly prepare: () => Promise<void>
  /**
   * What runs beside it from now on: lower versions are made known before it, so the lowest is what readers see first.
   *
   * @throws ArgumentInvalidError `ARGUMENT_INVALID`: a lower one is without the option `tables`, and this one has it; two have a table
   *   in common, or one has a table of the name that readers of the other use
   */
  readonly runBeside: (versions: readonly TableView[]) => void
  /**
   * What a query answers after these events, in a transaction that is rolled back: what `specification()` compares. It does without the
   * note that an event was applied, so each event counts.
   */
  readonly rehearse: (
    events: readonly Message[],
    query: string,
  ) => Promise<readonly Readonly<Record<string, unknown>>[]>
}

const viewOptions = [
  'database',
  'events',
  'on',
  'setup',
  'tables',
  'version',
  'key',
  'retry',
  'timeout',
  'onDeadLetter',
  'keep',
  'eventsPerSecond',
]

const keepMsMin = 60 * 60 * 1000
/** Keys that are at work at once: their changes share a transaction. */
const concurrency = 500
/** How long an event waits at least before it is told that nothing happens. */
const patienceMs = 5 * 60 * 1000
/** Who waits too long waits for a database that says nothing, which may be so for as long as it likes. */
const untilItCan = exponential({ initial: '100ms', max: 1_000_000, maxDelay: '5s' })
/**
 * Declares a view in tables of your own: what a reader wants to know, in SQL, kept up to date by events. It is a handler, to be
 * put into a service.
 *
 * Each event is applied exactly once: its statements and the note that it was applied are one transaction, so an event that
 * comes again after a crash does nothing. Events of one key are applied in order. Many events share one transaction; one that
 * fails is then applied by itself, and fails alone.
 *
 * @param name 1 to 100 letters, digits, `_` and `-`; stable over deployments, and unique among all that write to the database.
 * @throws OptionsInvalidError `OPTIONS_INVALID`, naming all options that are wrong.
 *
 * @example
 * ```ts
 * const revenue = tableView('revenue', {
 *   database: postgresTables(pool),
 *   setup: ['CREATE TABLE IF NOT EXISTS revenue (day date PRIMARY KEY, total numeric NOT NULL)'],
 *   events: [OrderConfirmed],
 *   on: {
 *     OrderConfirmed: (client, { data }) =>
 *       client.query(
 *         'INSERT INTO revenue VALUES ($1, $2) ON CONFLICT (day) DO UPDATE SET total = revenue.total + excluded.total',
 *         [data.day, data.total],
 *       ),
 *   },
 * })
 * const shop = app('shop', { services: [service('reports', [revenue])] })
 * ```
 */
export function tableView<const Events extends readonly [AnyEventDefinition, ...AnyEventDefinition[]], Client>(
  name: string,
  options: TableViewOptions<Events, Client>,
): TableView {
  const { version, keepMs, timeoutMs } = checked(name, options)
  const handler = handlerName(name, version)
  const { database, setup = [], tables = {} } = options
  const declared: TableVersion | undefined =
    options.tables === undefined ? undefined : { view: name, version, tables, topics: topicsOf(options.events) }
  /** Versions that are made known to the database before this one. */
  let earlier: readonly TableView[] = []
  const prepare = (): Promise<void> => database.prepare(setup, declared)
  const prepareInTurn = async (): Promise<void> => {
    for (const one of earlier) await one.prepare()
    await prepare()
  }
  const changes = new Changes(database, handler, prepareInTurn, { keepMs, timeoutMs })
  const functions = options.on as unknown as Readonly<
    Record<string, (client: Client, event: Message, ctx: TableChangeContext) => unknown>
  >
  const made = on(
    options.events,
    {
      name: handler,
      ...(options.key !== undefined && { key: options.key as never }),
      // What the database cannot do for now passes, as the error says, and is waited for without counting attempts.
      retry: byError([{ on: [HandlerTimeoutError], use: untilItCan }], options.retry ?? exponential()),
      // Each function has a time-out of its own; who waits longer waits for others, or for a database that says nothing.
      timeout: Math.max(patienceMs, 2 * timeoutMs),
      onDeadLetter: options.onDeadLetter ?? 'park-key',
      concurrency,
      ...(options.eventsPerSecond !== undefined && { messagesPerSecond: options.eventsPerSecond }),
    },
    (event: Message, ctx) => changes.apply(event, (client, told) => functions[event.type]?.(client, event, told), ctx),
  )
  return Object.freeze({
    ...made,
    tables: { database: database.name, keepMs },
    versionOf: { view: name, version, tables: declared?.tables },
    copiesOn: (ground: TableGround) => {
      if (declared === undefined || database.versions === undefined) {
        throw new ArgumentInvalidError(`table view "${name}"`, 'has no option `tables`, which says what readers see')
      }
      return new TableCopies({ version: declared, versions: database.versions, prepare: prepareInTurn }, ground)
    },
    prepare,
    runBeside: (versions: readonly TableView[]) => {
      earlier = versions
        .filter(({ versionOf }) => versionOf.view === name && versionOf.version < version)
        .toSorted((a, b) => a.versionOf.version - b.versionOf.version)
      if (declared === undefined) return
      const lower = earlier.map(({ versionOf }) => namesOf({ ...versionOf, tables: versionOf.tables ?? {} }))
      const clash = clashOf(namesOf(declared), lower)
      if (clash !== undefined)
        throw new ArgumentInvalidError(`table view "${name}" in version ${version}`, `has a clash of names: ${clash}`)
      const bare = earlier.find(({ versionOf }) => versionOf.tables === undefined)
      if (bare === undefined) return
      const which = `without it in version ${bare.versionOf.version}`
      throw new ArgumentInvalidError(
        `table view "${name}"`,
        `has the option \`tables\` in version ${version}, ${which}: readers would see tables that are not filled yet`,
      )
    },
    rehearse: async (events: readonly Message[], query: string) => {
      if (database.rehearse === undefined) {
        throw new ArgumentInvalidError(`table view "${name}"`, `is in ${database.name}, which cannot be rehearsed`)
      }
      const { signal } = new AbortController()
      const run = (event: Message): TableChange<Client> => ({
        message: event,
        run: (client) => functions[event.type]?.(client, event, { signal }),
      })
      return database.rehearse({ setup, tables, changes: events.map(run), query })
    },
  })
}

/** Options after their types have done their work. */
interface ErasedOptions {
  readonly database?: Partial<TableDatabase<unknown>>
  readonly events?: unknown
  readonly on?: object
  readonly setup?: unknown
  readonly tables?: unknown
  readonly version?: unknown
  readonly keep?: Duration
  readonly timeout?: Duration
  readonly eventsPerSecond?: number
}

function checked(
  name: string,
  given: ErasedOptions | undefined,
): { readonly version: number; readonly keepMs: number; readonly timeoutMs: number } {
  const options = given ?? {}
  const problems: OptionProblem[] = nameProblems(name)
  problems.push(...unknownOptions(options, viewOptions))
  if (typeof options.database?.transact !== 'function') {
    problems.push({ option: 'database', problem: 'is not what postgresTables() or sqliteTables() makes' })
  }
  const { version = 1, setup = [] } = options
  if (!Number.isSafeInteger(version) || (version as number) < 1) {
    problems.push({ option: 'version', problem: `is ${String(version)}, not a whole number from 1` })
  }
  if (!Array.isArray(setup) || !setup.every((statement) => typeof statement === 'string')) {
    problems.push({ option: 'setup', problem: 'is no list of SQL statements' })
  }
  problems.push(...tableProblems(options))
  problems.push(
    ...definitionListProblems('events', 'event', options.events),
    ...functionProblems('on', options.events, options.on),
  )
  const keepMs = optionMs('keep', options.keep ?? '7d', keepMsMin, problems)
  const timeoutMs = optionMs('timeout', options.timeout ?? '30s', 1, problems)
  rateOf('eventsPerSecond', options.eventsPerSecond, problems)
  if (problems.length > 0) throw new OptionsInvalidError(`table view ${JSON.stringify(name)}`, problems)
  return { version: version as number, keepMs, timeoutMs }
}

function tableProblems({ tables, database }: ErasedOptions): OptionProblem[] {
  if (tables === undefined) return []
  const isObject = typeof tables === 'object' && tables !== null && !Array.isArray(tables)
  const names = isObject ? Object.entries(tables) : []
  if (names.length === 0) return [{ option: 'tables', problem: "is no object such as { revenue: 'revenue_v2' }" }]
  if (typeof database?.transact === 'function' && database.versions === undefined) {
    return [{ option: 'tables', problem: 'needs a database that knows versions, which this one does not' }]
  }
  return names
    .filter(([name, table]) => !isTableName(name) || !isTableName(table) || name === table)
    .map(([name]) => ({
      option: `tables.${name}`,
      problem: 'is not two different names of a to z, digits and _, with their schema if need be',
    }))
}
