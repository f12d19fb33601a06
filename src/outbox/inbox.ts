import { type Duration, durationMs } from '../kernel/index.ts'
import { OutboxArgumentInvalidError } from './errors.ts'
import { usualInbox } from './inbox-table.ts'
import { checkClient, type SqlClient } from './sql-client.ts'
import { onlyTableName, type TableOptions } from './table-name.ts'

/** Names of handlers and ids are bounded by what an index takes. */
const textBytesMax = 1024
/** Rows that one statement removes at most, so that none holds anybody up for long. */
const pruneRowsMax = 10_000

/** What a message is known by: a CloudEvents event is one of its kind by its source and id (CloudEvents 1.0, section "id"). */
export interface ReceivedMessage {
  readonly id: string
  readonly source: string
}

/** Messages that consumers have handled, beside what they have made of them in their own tables. */
export interface Inbox {
  /**
   * Whether the handler sees the message for the first time. Notes it in the transaction of the client: `true` is taken back
   * with that transaction. Of two transactions that ask at the same time, the later one waits for the first to end.
   *
   * @throws OutboxArgumentInvalidError, and what the client throws: without the table, an error that it does not exist.
   */
  once(handler: string, message: ReceivedMessage): Promise<boolean>
  /**
   * {@link Inbox.once} for several messages with one statement: for each whether it is seen for the first time. One that stands
   * there twice counts the first time only.
   *
   * @throws OutboxArgumentInvalidError, and what the client throws
   */
  onceAll(handler: string, messages: readonly ReceivedMessage[]): Promise<readonly boolean[]>
  /**
   * Takes back that the handler has handled these messages: from then on each counts as new.
   *
   * @throws OutboxArgumentInvalidError, and what the client throws
   */
  forget(handler: string, messages: readonly ReceivedMessage[]): Promise<void>
  /**
   * Forgets messages that were handled so long ago, some thousands; returns how many. From then on one that comes again counts
   * as new: keep them for longer than any source may repeat itself.
   *
   * @param handler Only what this handler has handled. Default: all handlers.
   * @throws DurationInvalidError, OutboxArgumentInvalidError, and what the client throws
   */
  prune(olderThan: Duration, handler?: string): Promise<number>
}

/**
 * The inbox, inside a transaction that your own code has opened: what a consumer makes of a message and the note that it has
 * handled it are one, so the message counts once, however often it comes.
 *
 * @throws OptionsInvalidError, OutboxClientInvalidError
 * @example
 * ```ts
 * on(OrderPlaced, async (order) => {
 *   await transaction(pool, async (client) => {
 *     if (!(await inbox(client).once('revenue', order))) return
 *     await client.query('UPDATE revenue SET total = total + $1', [order.data.total])
 *   })
 * })
 * ```
 */
export function inbox(client: SqlClient, options: TableOptions = {}): Inbox {
  checkClient('inbox()', client)
  const { sql } = onlyTableName('inbox()', options, usualInbox)
  return {
    once: async (handler, message) => {
      const values = [text('the handler', handler), text('source', message?.source), text('id', message?.id)]
      const { rows } = await client.query(
        `INSERT INTO ${sql} (handler, source, id) VALUES ($1::text, $2::text, $3::text)
          ON CONFLICT DO NOTHING RETURNING 1 AS is_new`,
        values,
      )
      return rows.length > 0
    },
    onceAll: async (handler, messages) => {
      if (messages.length === 0) return []
      const list = listOf(messages)
      // In one order, so that two transactions do not wait for each other.
      const { rows } = await client.query(
        `INSERT INTO ${sql} (handler, source, id)
          SELECT $1::text, source, id FROM (
            SELECT DISTINCT source, id
            FROM jsonb_to_recordset($2::text::jsonb) AS given (source text COLLATE "C", id text COLLATE "C")
          ) AS each ORDER BY source, id
          ON CONFLICT DO NOTHING RETURNING source, id`,
        [text('the handler', handler), JSON.stringify(list)],
      )
      const noted = new Set((rows as readonly ReceivedMessage[]).map(nameOf))
      return list.map((message) => noted.delete(nameOf(message)))
    },
    forget: async (handler, messages) => {
      if (messages.length === 0) return
      await client.query(
        `DELETE FROM ${sql} AS noted
          USING jsonb_to_recordset($2::text::jsonb) AS given (source text COLLATE "C", id text COLLATE "C")
          WHERE noted.handler = $1::text AND noted.source = given.source AND noted.id = given.id`,
        [text('the handler', handler), JSON.stringify(listOf(messages))],
      )
    },
    prune: async (olderThan, handler) => {
      const seconds = durationMs(olderThan) / 1000
      const { rows } = await client.query(
        `DELETE FROM ${sql} WHERE ctid = ANY (ARRAY(
            SELECT ctid FROM ${sql} WHERE handled_at < now() - make_interval(secs => $1::double precision)
              AND ($2::text IS NULL OR handler = $2::text)
            LIMIT ${pruneRowsMax} FOR UPDATE SKIP LOCKED)) RETURNING 1 AS gone`,
        [seconds, handler === undefined ? null : text('the handler', handler)],
      )
      return rows.length
    },
  }
}

function listOf(messages: readonly ReceivedMessage[]): readonly ReceivedMessage[] {
  return messages.map((message, index) => ({
    source: text(`source of message ${index}`, message?.source),
    id: text(`id of message ${index}`, message?.id),
  }))
}

function nameOf({ source, id }: ReceivedMessage): string {
  return JSON.stringify([source, id])
}

function text(place: string, value: unknown): string {
  if (typeof value !== 'string' || value === '' || value.includes('\0') || !value.isWellFormed()) {
    throw new OutboxArgumentInvalidError(place, 'is no text that can be stored')
  }
  if (Buffer.byteLength(value) > textBytesMax) {
    throw new OutboxArgumentInvalidError(place, `has more than ${textBytesMax} bytes`)
  }
  return value
}
