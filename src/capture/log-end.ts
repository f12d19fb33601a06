import { sqlStateOf } from '../sql/index.ts'
import { lsnOf } from './catalog.ts'
import { type Lsn, writtenUpTo } from './lsn.ts'
import type { PgClient } from './pg-client.ts'

/**
 * Lets the server write its log out, where it would take its time: what reading tidies up in a table, or what was committed with
 * `synchronous_commit = off`, stays in memory for seconds on an idle server, and nothing in the log behind it is streamed.
 *
 * It does so with an empty message in the log, which no subscriber is sent. Where the user may not, time does it.
 */
export async function flushLog(client: PgClient): Promise<void> {
  try {
    await client.query(`SELECT pg_logical_emit_message(true, 'millrace', '')`)
  } catch (error) {
    if (sqlStateOf(error) === undefined) throw error
  }
}

/** Where the server's log ends: everything that is committed stands before. */
export async function readLogEnd(client: PgClient): Promise<Lsn> {
  const [row] = (await client.query('SELECT pg_current_wal_insert_lsn()::text AS lsn')).rows
  const end = writtenUpTo(lsnOf(row, 'lsn'))
  await flushLog(client)
  return end
}

/** Up to where the log is durable: nothing that stands behind was ever sent. */
export async function readFlushedLsn(client: PgClient): Promise<Lsn> {
  return lsnOf((await client.query('SELECT pg_current_wal_flush_lsn()::text AS lsn')).rows[0], 'lsn')
}
