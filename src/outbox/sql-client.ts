import { OutboxClientInvalidError } from './errors.ts'

/**
 * What an outbox or inbox uses of the user's own database client, inside the user's own transaction. A `Client` and a
 * `PoolClient` of `pg` are one as they stand.
 */
export interface SqlClient {
  /** Runs one statement; `$1`, `$2` … in it stand for `values`. */
  query(text: string, values: unknown[]): Promise<{ readonly rows: readonly unknown[] }>
}

/**
 * The transactions of query builders are no clients, though some have a `query` of another kind.
 *
 * @throws OutboxClientInvalidError `OUTBOX_CLIENT_INVALID`
 */
export function checkClient(subject: string, client: SqlClient): void {
  if (typeof (client as Partial<SqlClient> | null | undefined)?.query !== 'function') {
    throw new OutboxClientInvalidError(subject)
  }
}

/** Runs one statement on a client of any make; answers its rows, or an object that holds them as `rows`. */
export type RunStatement = (text: string, values: readonly unknown[]) => Promise<unknown>

/**
 * Makes a client of a function, for query builders and ORMs. All values are text, numbers, dates or `null`.
 *
 * @example
 * ```ts
 * // Kysely
 * fromStatements((text, values) => trx.executeQuery(CompiledQuery.raw(text, [...values])))
 * // Prisma
 * fromStatements((text, values) => tx.$queryRawUnsafe(text, ...values))
 * // Drizzle
 * fromStatements((text, values) => tx.execute(sql(templateOf(text), ...values)))
 * ```
 */
export function fromStatements(run: RunStatement): SqlClient {
  return {
    query: async (text, values) => ({ rows: rowsOf(await run(text, values)) }),
  }
}

function rowsOf(answer: unknown): readonly unknown[] {
  if (Array.isArray(answer)) return answer
  const rows = (answer as { readonly rows?: unknown } | null | undefined)?.rows
  return Array.isArray(rows) ? rows : []
}

/**
 * A statement as the strings of a template literal, for clients that take statements through a tag function only. Works
 * for statements in which each `$n` stands once, in their order, as in all that Millrace gives to a {@link SqlClient}.
 *
 * @example
 * ```ts
 * templateOf('SELECT $1::text, $2::text') // ['SELECT ', '::text, ', '::text']
 * ```
 */
export function templateOf(text: string): TemplateStringsArray {
  const parts = text.split(/\$\d+/)
  return Object.assign([...parts], { raw: parts })
}

/** A text as SQL takes it (PostgreSQL manual, section 4.1.2.2), whatever `standard_conforming_strings` says. */
export function literal(text: string): string {
  return `E'${text.replaceAll('\\', '\\\\').replaceAll("'", "''")}'`
}
