import { type OptionProblem, sleep, systemClock } from '../kernel/index.ts'
import { quoted, sqlStateOf } from '../sql/index.ts'
import { checkTables, fullNameOf } from './captured-table.ts'
import { readPublishedTables, readSlot, tableSql } from './catalog.ts'
import { CaptureSlotActiveError, refuseOptions } from './errors.ts'
import { errorOf, isSlotBusy } from './faults.ts'
import { lsnText } from './lsn.ts'
import { type CapturePlace, isName, resolvePlace } from './options.ts'
import { abandon, connectClient, literal, type PgClient } from './pg-client.ts'
import { checkServer } from './server-check.ts'

/** Options of {@link createCapture}. */
export interface CreateCaptureOptions extends CapturePlace {
  /** Tables to capture: `'orders'` is `public.orders`; names with a dot in them as `{ schema, name }`. */
  readonly tables: readonly (string | { readonly schema: string; readonly name: string })[]
}

/** What a capture is in its database. */
export interface CaptureDescription {
  /** Names as `schema.table`. */
  readonly tables: readonly string[]
  /** `null`: there is no slot. */
  readonly slot: {
    readonly isActive: boolean
    /**
     * What was committed before is known to have arrived. `null`: the slot is being made, which takes until all transactions that
     * run have ended, and nothing that is committed before then is captured.
     */
    readonly confirmedLsn: string | null
    /** Bytes of log that the server keeps for the slot. A capture that nobody runs fills the disk. */
    readonly retainedBytes: number
    /** As in `pg_replication_slots`: `reserved`, `extended`, `unreserved` or `lost`. */
    readonly walStatus: string | null
  } | null
}

/** How long a slot is waited for that is to be dropped: a server may take a moment to notice that its reader is gone. */
const releaseMs = 5_000
/** How often a slot that somebody else makes or reads is looked at. */
const lookEveryMs = 100

/** So many things get a name of which the other half is taken at the same moment. */
const duplicateStates: ReadonlySet<string> = new Set(['42710', '23505'])

/**
 * Creates what a capture needs in the database: a publication of the tables, and a replication slot. What is there already stays;
 * a publication gets the tables that are named here, and only these.
 *
 * A slot is made at a moment without transactions that run: this waits for those that do.
 *
 * From then on the server keeps its log until the capture has read it, so start it soon, and call {@link dropCapture} when it is
 * no longer needed. Set `max_slot_wal_keep_size` on the server as a last resort.
 *
 * @throws OptionsInvalidError, CaptureClientMissingError, CaptureWalLevelError, CaptureAccessRefusedError, CaptureRefusedError,
 *   CaptureTableKeylessError, CaptureTablesAlikeError, and what the client throws
 * @example
 * ```ts
 * await createCapture({ connection: url, slot: 'shop', tables: ['orders', 'billing.invoices'] })
 * ```
 */
export async function createCapture(options: CreateCaptureOptions): Promise<void> {
  const { slot, publication, connection } = resolvePlace('createCapture()', options, ['tables'])
  const tables = tablesOf(options.tables)
  const client = await connectOr(connection, slot)
  try {
    await checkServer(client)
    await createPublication(client, publication, tables)
    await createSlot(client, slot)
  } catch (error) {
    throw errorOf(error, slot)
  } finally {
    abandon(client)
  }
}

/**
 * Drops slot and publication of a capture; what is not there does not matter. A slot from which somebody reads is waited for up to 5 s,
 * as a server may take a moment to notice that a capture was closed. The engine keeps the place of the capture:
 * call {@link forgetCapture} too, if it is to begin anew later.
 *
 * @throws CaptureSlotActiveError, OptionsInvalidError, CaptureClientMissingError, CaptureAccessRefusedError, and what the client throws
 * @example
 * ```ts
 * await dropCapture({ connection: url, slot: 'shop' })
 * ```
 */
export async function dropCapture(options: CapturePlace): Promise<void> {
  const { slot, publication, connection } = resolvePlace('dropCapture()', options)
  const client = await connectOr(connection, slot)
  try {
    await dropSlot(client, slot)
    await client.query(`DROP PUBLICATION IF EXISTS ${quoted(publication)}`)
  } catch (error) {
    if (isSlotBusy(error)) throw new CaptureSlotActiveError(slot, { cause: error })
    throw errorOf(error, slot)
  } finally {
    abandon(client)
  }
}

async function dropSlot(client: PgClient, slot: string): Promise<void> {
  const endMs = systemClock.monotonicMs() + releaseMs
  for (;;) {
    try {
      if ((await readSlot(client, slot)) === undefined) return
      await client.query('SELECT pg_drop_replication_slot($1)', [slot])
      return
    } catch (error) {
      if (!isSlotBusy(error) || systemClock.monotonicMs() >= endMs) throw error
      await sleep(lookEveryMs, systemClock)
    }
  }
}

/**
 * Tells what there is of a capture in the database: for a look at what the server keeps for it, now and then.
 *
 * @throws OptionsInvalidError, CaptureClientMissingError, CaptureAccessRefusedError, and what the client throws
 * @example
 * ```ts
 * const { slot } = await describeCapture({ connection: url, slot: 'shop' })
 * if (slot !== null && slot.retainedBytes > 10e9) alarm('nobody reads the slot of the shop')
 * ```
 */
export async function describeCapture(options: CapturePlace): Promise<CaptureDescription> {
  const { slot, publication, connection } = resolvePlace('describeCapture()', options)
  const client = await connectOr(connection, slot)
  try {
    const tables = await readPublishedTables(client, publication)
    const state = await readSlot(client, slot)
    return {
      tables: tables.map(({ relation }) => fullNameOf(relation)),
      slot:
        state === undefined
          ? null
          : {
              isActive: state.isActive,
              confirmedLsn: state.confirmedLsn === undefined ? null : lsnText(state.confirmedLsn),
              retainedBytes: state.retainedBytes,
              walStatus: state.walStatus,
            },
    }
  } catch (error) {
    throw errorOf(error, slot)
  } finally {
    abandon(client)
  }
}

async function connectOr(connection: CapturePlace['connection'], slot: string): Promise<PgClient> {
  try {
    return await connectClient(connection, 'set-up')
  } catch (error) {
    throw errorOf(error, slot)
  }
}

interface TableName {
  readonly schema: string
  readonly name: string
}

/** @throws OptionsInvalidError */
function tablesOf(tables: CreateCaptureOptions['tables']): readonly TableName[] {
  const problems: OptionProblem[] = []
  if (!Array.isArray(tables) || tables.length === 0) {
    refuseOptions('createCapture()', [{ option: 'tables', problem: 'is no list of tables' }])
  }
  const names = tables.map((table, index) => {
    const [first = '', second] = typeof table === 'string' ? table.split('.') : []
    const plain = second === undefined ? { schema: 'public', name: first } : { schema: first, name: second }
    const name = typeof table === 'string' ? plain : table
    const hasDots = typeof table === 'string' && table.split('.').length > 2
    if (hasDots || !isName(name?.schema) || !isName(name.name)) {
      problems.push({ option: `tables[${index}]`, problem: 'is neither "table", "schema.table" nor { schema, name }' })
    }
    return name
  })
  refuseOptions('createCapture()', problems)
  return names
}

async function createPublication(client: PgClient, publication: string, tables: readonly TableName[]): Promise<void> {
  const list = tables.map((table) => tableSql(table)).join(', ')
  const found = await client.query('SELECT 1 AS one FROM pg_publication WHERE pubname = $1', [publication])
  // A partitioned table is published as the one table that it is to those who use it.
  const options = 'publish_via_partition_root = true'
  if (found.rows.length === 0) {
    try {
      await client.query(`CREATE PUBLICATION ${quoted(publication)} FOR TABLE ${list} WITH (${options})`)
    } catch (error) {
      if (!duplicateStates.has(sqlStateOf(error) ?? '')) throw error
      return createPublication(client, publication, tables)
    }
  } else if (!(await hasTables(client, publication, tables))) {
    await client.query(`ALTER PUBLICATION ${quoted(publication)} SET TABLE ${list}`)
  }
  const published = await readPublishedTables(client, publication)
  checkTables(published)
}

async function hasTables(client: PgClient, publication: string, tables: readonly TableName[]): Promise<boolean> {
  const published = await readPublishedTables(client, publication)
  const wanted = new Set(tables.map((table) => tableSql(table)))
  return published.length === wanted.size && published.every(({ relation }) => wanted.has(tableSql(relation)))
}

/** Creates the slot unless it is there; waits until it is whole, whoever makes it. */
async function createSlot(client: PgClient, slot: string): Promise<void> {
  for (;;) {
    const state = await readSlot(client, slot)
    if (state?.confirmedLsn !== undefined || state?.isLogical === false) return
    try {
      if (state === undefined) {
        await client.query(`SELECT pg_create_logical_replication_slot(${literal(slot)}, 'pgoutput')`)
        return
      }
    } catch (error) {
      if (sqlStateOf(error) !== '42710') throw error
    }
    await sleep(lookEveryMs, systemClock)
  }
}
