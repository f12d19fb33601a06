import pg from 'pg'
import { startServer } from '../../scripts/servers/index.ts'
import type { Engine } from '../engine/index.ts'
import { sleep, systemClock } from '../kernel/index.ts'
import type { Message } from '../message/index.ts'
import { createCapture, dropCapture, type RowChange, type TableDeparture, type TableTruncation } from './index.ts'

/** Whether tests may use real servers, which are started if they do not run. */
export const serversWanted: boolean = process.env['MILLRACE_REAL_SERVERS'] === '1'

/** A schema of a test with a slot of its own, which go with the test. */
export class CapturedDatabase implements AsyncDisposable {
  readonly url: string
  /** Of the schema, the slot and the publication. */
  readonly name: string
  readonly pool: pg.Pool

  private constructor(url: string, name: string) {
    this.url = url
    this.name = name
    this.pool = new pg.Pool({ connectionString: url, max: 10, options: `-c search_path=${name}` })
    // Connections that a test cuts are found out by their next statement.
    this.pool.on('error', () => undefined)
  }

  static async open(name: string, url?: string): Promise<CapturedDatabase> {
    const database = new CapturedDatabase(url ?? (await startServer('postgres')).connection.url, name)
    await database.pool.query(`CREATE SCHEMA "${name}"`)
    return database
  }

  get place(): { readonly connection: string; readonly slot: string } {
    return { connection: this.url, slot: this.name }
  }

  /** Runs statements in a transaction of their own. */
  async run(text: string, values?: unknown[]): Promise<readonly Record<string, unknown>[]> {
    return (await this.pool.query(text, values)).rows as Record<string, unknown>[]
  }

  /** Rows of a table by their keys, as JSON that the server makes. */
  async contents(table: string): Promise<Map<string, unknown>> {
    const rows = await this.run(`SELECT id, to_jsonb(t) AS row FROM ${table} AS t`)
    return new Map(rows.map(({ id, row }) => [JSON.stringify({ id }), row]))
  }

  async setUp(...tables: readonly string[]): Promise<void> {
    await createCapture({ ...this.place, tables: tables.map((table) => `${this.name}.${table}`) })
  }

  /** Ends the connection that streams from the slot; `false`: there is none. */
  async cut(): Promise<boolean> {
    const cut = await this.run(
      `SELECT pg_terminate_backend(active_pid) FROM pg_replication_slots WHERE slot_name = $1 AND active`,
      [this.name],
    )
    return cut.length > 0
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await until(async () => !(await this.cut()))
    await dropCapture(this.place)
    await this.pool.query(`DROP SCHEMA "${this.name}" CASCADE`)
    await this.pool.end()
  }
}

export async function until(holds: () => boolean | Promise<boolean>): Promise<void> {
  while (!(await holds())) await sleep(10, systemClock)
}

/** All messages of a topic, by partitions. */
export async function messagesOf(engine: Engine, topic: string): Promise<readonly (readonly Message[])[]> {
  const description = await engine.topics.describe(topic)
  const found: Message[][] = []
  for (const { partition, earliest, latest } of description?.partitions ?? []) {
    const messages: Message[] = []
    for (let offset = earliest; offset < latest; ) {
      const { records, nextOffset } = await engine.topics.read({ topic, partition, offset })
      for (const record of records) if (record.kind === 'message') messages.push(record.message)
      offset = nextOffset
    }
    found.push(messages)
  }
  return found
}

/** The same, one partition after the other. */
export async function flatMessages(engine: Engine, topic: string): Promise<readonly Message[]> {
  return (await messagesOf(engine, topic)).flat()
}

/** Those of them that tell of a transaction. */
export async function changeMessages(engine: Engine, topic: string): Promise<readonly Message[]> {
  const messages = await flatMessages(engine, topic)
  return messages.filter((message) => !['described', 'found', 'left'].includes(happening(message)))
}

/** The part of a type that says what happened. */
export function happening(message: Message): string {
  return message.type.slice(message.type.lastIndexOf('.') + 1)
}

/**
 * The rows that the events of a topic add up to, by their keys. Throws where an event does not fit what came before it: a change of
 * a row that is not there, or an event that came twice.
 */
export async function folded(engine: Engine, topic: string): Promise<Map<string, RowChange['after']>> {
  const rows = new Map<string, RowChange['after']>()
  for (const messages of await messagesOf(engine, topic)) {
    const ids = new Set<string>()
    const ofPartition = new Map<string, RowChange['after']>()
    for (const message of messages) {
      if (ids.has(message.id)) throw new TypeError(`event ${message.id} came twice`)
      ids.add(message.id)
      fold(ofPartition, message)
    }
    for (const [key, row] of ofPartition) rows.set(key, row)
  }
  return rows
}

function fold(rows: Map<string, RowChange['after']>, message: Message): void {
  const what = happening(message)
  if (what === 'described') return
  if (what === 'left') {
    const { reason } = message.data as TableDeparture
    if (reason === 'dropped' || reason === 'replaced') rows.clear()
    return
  }
  if (what === 'truncated') {
    if ((message.data as TableTruncation).partitionCount < 1) throw new TypeError('a topic without partitions')
    rows.clear()
    return
  }
  const change = message.data as RowChange
  const key = JSON.stringify(change.key)
  if (what === 'deleted') rows.delete(key)
  else rows.set(key, change.after)
}
