import pg from 'pg'
import { type PostgresConnection, type RunningServer, startServer, stopServer } from '../../scripts/servers/index.ts'
import { quoted } from '../sql/index.ts'

/** Whether tests may use real servers, which are started if they do not run. */
export const serversWanted: boolean = process.env['MILLRACE_REAL_SERVERS'] === '1'

/** A server of somebody's own choice, for those who want to see what a change does without the other ones. */
const chosenUrl = process.env['MILLRACE_POSTGRES_URL']

/** URL of the server that tests share. */
export async function serverUrl(): Promise<string> {
  return chosenUrl ?? (await startServer('postgres')).connection.url
}

/** Servers of a test's own stand as far above the shared one, which may be another one than usual. */
export function placeAbove(distance: number): { readonly portBase: number } {
  return { portBase: Number(process.env['MILLRACE_SERVERS_PORT_BASE'] ?? 19_000) + distance }
}

// Two runs of the tests at the same time do not kill each other's.
const placeToKill = placeAbove(3000 + (process.pid % 900))

/** A server that a test may kill and start, which is no other test's. */
export function serverToKill(): Promise<RunningServer<PostgresConnection>> {
  return startServer('postgres', placeToKill)
}

/** Stops that server and removes its data. */
export async function removeServerToKill(): Promise<void> {
  await stopServer('postgres', { ...placeToKill, deleteData: true })
}

/** Runs one statement on a connection of its own. */
export async function runSql(url: string, text: string, values: unknown[] = []): Promise<Record<string, unknown>[]> {
  const client = new pg.Client({ connectionString: url })
  client.on('error', () => undefined)
  await client.connect()
  try {
    return (await client.query(text, values)).rows as Record<string, unknown>[]
  } finally {
    await client.end()
  }
}

/** Removes what a test has left behind. */
export async function dropSchema(url: string, schema: string): Promise<void> {
  await runSql(url, `DROP SCHEMA IF EXISTS ${quoted(schema)} CASCADE`)
}
