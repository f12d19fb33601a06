import { quoted, sqlStateOf, type TransactionSnapshot } from '../sql/index.ts'
import type { CapturedTable, CapturedTables } from './captured-table.ts'
import { fullNameOf } from './captured-table.ts'
import { type PublishedTable, tableSql } from './catalog.ts'
import { type Lsn, lsnText } from './lsn.ts'
import { type Moment, readMoment } from './moment.ts'
import { literal, type PgClient, type TextRow } from './pg-client.ts'
import type { Place, SnapshotProgress } from './place.ts'
import { type FoundRow, foundRow } from './row-values.ts'

/** A chunk holds about so much at most. */
const chunkRowsMax = 5_000
const chunkBytesMax = 1024 * 1024
/** It is read in parts: one row first, then as many as are likely to have so many bytes, and not many times more than before. */
const fetchRowsMax = 1_000
const fetchBytes = 256 * 1024
const fetchGrowth = 8

/** How many rows to read next, after `lastRows` at once, when `rowCount` rows have had so many bytes. */
export function rowsToFetch(lastRows: number, rowCount: number, bytes: number): number {
  const likely = Math.floor((fetchBytes * rowCount) / Math.max(bytes, 1))
  return Math.max(1, Math.min(fetchRowsMax, chunkRowsMax - rowCount, likely, lastRows * fetchGrowth))
}

/** Rows of one table that were read at one moment, until the stream of changes has come to that moment. */
export interface SnapshotChunk {
  readonly table: CapturedTable
  /** By their keys. Those that a change overtakes are taken out. */
  readonly rows: Map<string, FoundRow>
  /** Which transactions the rows show. */
  readonly sees: TransactionSnapshot
  /** Where the stream has come to everything that the rows show. */
  readonly reachedAt: Lsn
  /** Names the snapshot of this table. */
  readonly startLsn: string
  /** RFC 3339, when the rows were read. */
  readonly time: string
  /** How far the snapshot is with this chunk. */
  readonly progress: SnapshotProgress
  /** The table was described anew meanwhile: the rows have an older form. */
  isStale: boolean
}

type OpenSnapshot = Extract<SnapshotProgress, { kind: 'open' }>

/** SQLSTATE of what goes well a little later: a lock that is held, a statement that took too long, columns that changed. */
const passingStates: ReadonlySet<string> = new Set(['55P03', '57014', '40001', '42703', '42P01', '42883', '42804'])

/** The transactions that must be over before the first chunk, and those of which changes were seen since. */
export class SeenTransactions {
  readonly #startedBelow: bigint
  readonly #xids = new Set<number>()

  private constructor(startedBelow: bigint) {
    this.#startedBelow = startedBelow
  }

  /** Call it before the stream starts. */
  static async load(client: PgClient): Promise<SeenTransactions> {
    return new SeenTransactions((await readMoment(client)).sees.xmax)
  }

  add(xid: number): void {
    this.#xids.add(xid)
  }

  /**
   * Whether a snapshot shows all whose changes have been published. A transaction comes through the stream a moment before
   * statements see it; and what ran when this process started may be such a one that another process has published.
   */
  areSeenBy(snapshot: TransactionSnapshot): boolean {
    for (const xid of this.#xids) if (snapshot.sees(xid)) this.#xids.delete(xid)
    return this.#xids.size === 0 && snapshot.xmin >= this.#startedBelow
  }
}

/**
 * Reads the rows that are there already, chunk by chunk in the order of the key, each at a moment of its own. So no transaction is
 * held open, the server keeps no log for it, and what has been read need not be read again.
 */
export class SnapshotReader {
  readonly #client: PgClient
  readonly #tables: CapturedTables
  readonly #place: Place
  readonly #seen: SeenTransactions
  readonly #isWanted: boolean
  readonly #resolved = new Map<number, { readonly form: string; readonly table: CapturedTable }>()

  constructor(client: PgClient, tables: CapturedTables, place: Place, seen: SeenTransactions, isWanted: boolean) {
    this.#client = client
    this.#tables = tables
    this.#place = place
    this.#seen = seen
    this.#isWanted = isWanted
    this.#decline()
  }

  /** Looks again which tables are published. */
  async reload(): Promise<void> {
    await this.#tables.reload()
    this.#decline()
  }

  /** Whether there are rows that were not read. */
  get isPending(): boolean {
    return this.#next() !== undefined
  }

  /** A transaction of which changes were published. */
  see(xid: number): void {
    if (this.#isWanted) this.#seen.add(xid)
  }

  /**
   * Reads the next chunk. Call it where no transaction is under way in the stream, and take nothing from the stream meanwhile.
   * `undefined`: it has to wait a little.
   */
  async read(): Promise<SnapshotChunk | undefined> {
    const next = this.#next()
    if (next === undefined) return undefined
    try {
      await this.#client.query('BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY')
      try {
        // The stream stands still meanwhile: what others do to the table is not waited for.
        await this.#client.query(`SET LOCAL lock_timeout = '1s'; SET LOCAL statement_timeout = '60s'`)
        // Before the snapshot is taken: one from before a change of the table's form might show it as empty.
        await this.#client.query(`LOCK TABLE ${fromSql(next)} IN ACCESS SHARE MODE`)
        const moment = await readMoment(this.#client)
        return this.#seen.areSeenBy(moment.sees) ? await this.#readChunk(next.relation.id, moment) : undefined
      } finally {
        await this.#client.query('ROLLBACK')
      }
    } catch (error) {
      if (!passingStates.has(sqlStateOf(error) ?? '')) throw error
      await this.#tables.reload()
      return undefined
    }
  }

  /** Where no snapshot is wanted, tables that are published now get none later either. */
  #decline(): void {
    if (this.#isWanted) return
    for (const { relation } of this.#tables.published) {
      const { description = null, snapshot } = this.#place.table(fullNameOf(relation)) ?? {}
      if (snapshot?.kind !== 'done') this.#place.remember(relation, { description, snapshot: { kind: 'done' } })
    }
  }

  #next(): PublishedTable | undefined {
    if (!this.#isWanted) return undefined
    return this.#tables.published.find(({ relation }) => {
      const note = this.#place.table(fullNameOf(relation))
      return note?.snapshot.kind !== 'done' || (note.description?.tableOid ?? relation.id) !== relation.id
    })
  }

  async #readChunk(tableOid: number, { sees, lsn, time }: Moment): Promise<SnapshotChunk | undefined> {
    await this.#tables.reload()
    const published = this.#next()
    if (published?.relation.id !== tableOid) return undefined
    const table = await this.#resolve(published)
    const before = this.#begun(table, published)
    const path = published.operatorSchemas.map(quoted).join(', ')
    await this.#client.query(`SET LOCAL search_path = ${path}`)
    await this.#client.query(`DECLARE millrace_chunk NO SCROLL CURSOR FOR ${chunkSql(published, before?.after)}`)
    const rows = new Map<string, FoundRow>()
    let last: TextRow | undefined
    let isLast = false
    let fetchRows = 1
    for (let bytes = 0; !isLast && rows.size < chunkRowsMax && bytes < chunkBytesMax; ) {
      const { rows: found } = await this.#client.query(`FETCH ${fetchRows} FROM millrace_chunk`)
      for (const row of found) {
        const read = foundRow(
          table,
          published.relation.columns.map(({ name }) => row[name] ?? null),
        )
        rows.set(read.key, read)
        bytes += read.bytes
      }
      last = found.at(-1) ?? last
      isLast = found.length < fetchRows
      fetchRows = rowsToFetch(fetchRows, rows.size, bytes)
    }
    const startLsn = before?.startLsn ?? lsnText(lsn)
    const after = published.orderedBy.map((name) => [name, last?.[name] ?? ''] as const)
    const progress: SnapshotProgress = isLast ? { kind: 'done' } : { kind: 'open', startLsn, after }
    return { table, rows, sees, reachedAt: lsn, startLsn, time, progress, isStale: false }
  }

  /** How far the snapshot of a table is. One whose key has other columns now is read again from its beginning. */
  #begun({ fullName }: CapturedTable, { orderedBy, relation }: PublishedTable): OpenSnapshot | undefined {
    const { snapshot, description } = this.#place.table(fullName) ?? {}
    if (snapshot?.kind !== 'open' || description?.tableOid !== relation.id) return undefined
    const hasSameKey = snapshot.after.map(([column]) => column).join('\0') === orderedBy.join('\0')
    return hasSameKey ? snapshot : undefined
  }

  async #resolve({ relation, primaryKey }: PublishedTable): Promise<CapturedTable> {
    const form = JSON.stringify([relation, primaryKey])
    const known = this.#resolved.get(relation.id)
    if (known?.form === form) return known.table
    const table = await this.#tables.resolve(relation, null)
    this.#resolved.set(relation.id, { form, table })
    return table
  }
}

/** The rows after a key, in the order of the index. */
function chunkSql(published: PublishedTable, after: OpenSnapshot['after'] | undefined): string {
  const { relation, orderedBy, orderedByTypes, filter } = published
  const key = orderedBy.map(quoted).join(', ')
  const conditions: string[] = filter === null ? [] : [`(${filter})`]
  if (after !== undefined) {
    // With their types: a composite value is not read without.
    const values = after.map(([, value], index) => `${literal(value)}::${orderedByTypes[index]}`)
    conditions.push(`(${key}) > (${values.join(', ')})`)
  }
  const where = conditions.length === 0 ? '' : `WHERE ${conditions.join(' AND ')}`
  const columns = relation.columns.map(({ name }) => quoted(name)).join(', ')
  return `SELECT ${columns} FROM ${fromSql(published)} ${where} ORDER BY ${key}`
}

/** Tables that inherit from another one are published by themselves. */
function fromSql({ relation, isPartitioned }: PublishedTable): string {
  return `${isPartitioned ? '' : 'ONLY '}${tableSql(relation)}`
}
