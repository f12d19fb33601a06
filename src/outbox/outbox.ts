import { checkMessages, type OutboxMessage, rowOf } from './outbox-row.ts'
import { usualOutbox } from './outbox-table.ts'
import { checkClient, type SqlClient } from './sql-client.ts'
import { onlyTableName, type TableOptions } from './table-name.ts'

/** Where messages wait, in the user's own database, to be published. */
export interface Outbox {
  /**
   * Puts messages into the outbox: real with the transaction of the client, or gone with it. One statement.
   *
   * Messages of one topic and key are published in the order of the calls, across transactions too if these take turns, as
   * they do when each changes the row that the key stands for.
   *
   * @throws OutboxArgumentInvalidError, TopicAmbiguousError, and what the client throws: without the table, an error that it
   *   does not exist.
   */
  publish(messages: OutboxMessage | readonly OutboxMessage[], options?: { readonly topic?: string }): Promise<void>
}

/**
 * The outbox, inside a transaction that your own code has opened. Costs nothing to make: take one for each transaction.
 *
 * A message goes to the topic of its definition, else to `events`, or to the one that `publish` is told.
 *
 * @throws OptionsInvalidError, OutboxClientInvalidError
 * @example
 * ```ts
 * await client.query('BEGIN')
 * await client.query('INSERT INTO orders (id, total) VALUES ($1, $2)', [id, total])
 * await outbox(client).publish(OrderPlaced({ orderId: id, total }))
 * await client.query('COMMIT')
 * ```
 */
export function outbox(client: SqlClient, options: TableOptions = {}): Outbox {
  checkClient('outbox()', client)
  const { sql } = onlyTableName('outbox()', options, usualOutbox)
  // One value, whatever the number of messages, and no array: what every client can pass on.
  const text = `INSERT INTO ${sql} (topic, key, message)
    SELECT row->>0, row->>1, row->>2 FROM json_array_elements($1::text::json) WITH ORDINALITY AS rows (row, place)
    ORDER BY place`
  return {
    publish: async (messages, { topic } = {}) => {
      const list = checkMessages(messages)
      if (list.length === 0) return
      await client.query(text, [JSON.stringify(list.map((message) => rowOf(message, topic)))])
    },
  }
}
