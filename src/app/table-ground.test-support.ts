import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync, type SQLInputValue } from 'node:sqlite'
import { z } from 'zod'
import { embedded } from '../embedded/index.ts'
import { type EventDefinition, event } from '../message/index.ts'
import type { Handler } from '../runtime/index.ts'
import { sqliteTables, type TableConnection, type TableDatabase } from '../tables/index.ts'
import { app, type RunningApp, service } from './index.ts'

/** Data of the sales of these tests. */
export interface SoldData {
  readonly day: string
  readonly pence: number
}

export const Sold: EventDefinition<'Sold', SoldData, SoldData> = event('Sold', {
  topic: 'sold',
  data: z.object({ day: z.string(), pence: z.number() }),
  key: ({ day }) => day,
})

/** A row as a driver gives it. */
export type Row = Readonly<Record<string, unknown>>

/** A client of either database. */
export type AnyClient = DatabaseSync | TableConnection

/** A database of its own, in which a view keeps tables. */
export interface TestTables extends AsyncDisposable {
  readonly database: TableDatabase<AnyClient>
  /** Asks as a reader does, by another connection. */
  readonly read: (text: string) => Promise<readonly Row[]>
  /** Changes something, as migrations do. */
  readonly change: (text: string) => Promise<void>
}

/** Where the cases of table views run. */
export interface TableTestGround {
  readonly open: () => Promise<TestTables>
}

/** Runs statements one after the other on a client of either database; `$1` stands for the first value. */
export function run(
  client: AnyClient,
  ...statements: readonly (readonly [text: string, ...values: readonly (string | number | null)[]])[]
): void | Promise<void> {
  if (client instanceof DatabaseSync) {
    for (const [text, ...values] of statements) {
      client.prepare(text.replaceAll('$', '?')).run(...(values satisfies readonly SQLInputValue[]))
    }
    return undefined
  }
  return (async () => {
    for (const [text, ...values] of statements) await client.query(text, values)
  })()
}

/** Runs handlers in an app on an engine in memory. */
export function startTables(handlers: readonly Handler[]): Promise<RunningApp> {
  return app('shop', { services: [service('reports', handlers)] }).start({ engine: embedded({ path: ':memory:' }) })
}

/** SQLite, in a file: readers have a connection of their own. */
export const sqliteGround: TableTestGround = {
  open: async () => {
    const folder = mkdtempSync(join(tmpdir(), 'millrace-tables-'))
    const path = join(folder, 'tables.db')
    const [own, readers] = [new DatabaseSync(path), new DatabaseSync(path)]
    return {
      database: sqliteTables(own),
      read: async (text) => {
        // A moment later, as a server would: what happens meanwhile may come before.
        await new Promise((resolve) => setImmediate(resolve))
        return readers
          .prepare(text)
          .all()
          .map((row) => ({ ...row }))
      },
      change: async (text) => readers.exec(text),
      [Symbol.asyncDispose]: async () => {
        own.close()
        readers.close()
        rmSync(folder, { recursive: true, force: true })
      },
    }
  },
}
