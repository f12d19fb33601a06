import { DatabaseSync } from 'node:sqlite'
import { z } from 'zod'
import { type EventDefinition, event } from '../message/index.ts'
import type { Handler } from '../runtime/index.ts'
import { type TableConnection, type TableDatabase, tableView } from '../tables/index.ts'

/** Data of the events of these tests. */
export interface CountedData {
  readonly key: string
  readonly id: string
}

export const Counted: EventDefinition<'Counted', CountedData, CountedData> = event('Counted', {
  topic: 'counted',
  data: z.object({ key: z.string(), id: z.string() }),
  key: (d) => d.key,
})

const counts = 'CREATE TABLE IF NOT EXISTS counts (key TEXT PRIMARY KEY, n INTEGER NOT NULL)'
const seen = 'CREATE TABLE IF NOT EXISTS seen (id TEXT PRIMARY KEY)'

/** The statement that no event may survive: a second time it fails. */
const seenSql = 'INSERT INTO seen VALUES ($1)'
const countSql = 'INSERT INTO counts VALUES ($1, 1) ON CONFLICT (key) DO UPDATE SET n = counts.n + 1'

/** Counts events by key, and notes each: what comes twice fails. */
export function countedView(
  database: TableDatabase<DatabaseSync> | TableDatabase<TableConnection>,
  options: { readonly eventsPerSecond?: number } = {},
): Handler {
  return tableView<readonly [typeof Counted], DatabaseSync | TableConnection>('counted', {
    ...options,
    database,
    setup: [counts, seen],
    events: [Counted],
    on: {
      Counted: (client, { data: { key, id } }) => {
        if (id.includes('poison')) throw new RangeError(`${id} cannot be applied`)
        if (client instanceof DatabaseSync) {
          client.prepare(seenSql.replace('$', '?')).run(id)
          client.prepare(countSql.replace('$', '?')).run(key)
          return undefined
        }
        return (async () => {
          await client.query(seenSql, [id])
          await client.query(countSql, [key])
        })()
      },
    },
  })
}
