import { type Lsn, parseLsn } from './lsn.ts'
import type { PgClient } from './pg-client.ts'

/** In which log places are. */
export interface ServerLog {
  /** Id that the server was given when its data were made. */
  readonly system: string
  /** Grows by one when a server is restored, or takes over from another one. */
  readonly timeline: number
  /** Where the timelines before were left: what comes after in one of them is not in this log. */
  readonly leftAt: ReadonlyMap<number, Lsn>
}

/** Call it before the stream starts. */
export async function readServerLog(replication: PgClient): Promise<ServerLog> {
  const [row] = (await replication.query('IDENTIFY_SYSTEM')).rows
  const timeline = Number(row?.['timeline'])
  const leftAt = new Map<number, Lsn>()
  // The first one has no history.
  const history = timeline > 1 ? (await replication.query(`TIMELINE_HISTORY ${timeline}`)).rows[0]?.['content'] : ''
  for (const [, before, lsn = ''] of (history ?? '').matchAll(/^(\d+)\s+([0-9A-F]+\/[0-9A-F]+)/gm)) {
    leftAt.set(Number(before), parseLsn(lsn) ?? 0n)
  }
  return { system: row?.['systemid'] ?? '', timeline, leftAt }
}
