import { isoTime } from '../kernel/index.ts'
import { TransactionSnapshot } from '../sql/index.ts'
import { lsnOf } from './catalog.ts'
import { type Lsn, writtenUpTo } from './lsn.ts'
import type { PgClient } from './pg-client.ts'

/** A moment at which the database was looked at. */
export interface Moment {
  /** Which transactions statements show, in the transaction that asked. */
  readonly sees: TransactionSnapshot
  /** Everything that they show was committed before. */
  readonly lsn: Lsn
  /** RFC 3339. */
  readonly time: string
}

export async function readMoment(client: PgClient): Promise<Moment> {
  const text = `SELECT pg_current_snapshot()::text AS snapshot, pg_current_wal_insert_lsn()::text AS lsn,
    floor(extract(epoch FROM now()) * 1000)::text AS ms`
  const [row] = (await client.query(text)).rows
  return {
    sees: TransactionSnapshot.parse(row?.['snapshot'] ?? ''),
    lsn: writtenUpTo(lsnOf(row, 'lsn')),
    time: isoTime(Number(row?.['ms'])),
  }
}
