/** A statement with a name of its own, under which each connection has it prepared once. */
export interface NamedStatement {
  readonly name: string
  readonly text: string
}

/** A row as the client gives it: 64-bit numbers are text. */
export type Row = Readonly<Record<string, unknown>>

/**
 * Runs single statements, each of them a transaction of its own, on whatever connection is free. A statement whose connection
 * was cut, or that the server took back because it and another one waited for each other, is run again: it must be one whose
 * second run changes nothing.
 */
export interface StatementRunner {
  query(statement: NamedStatement, values: readonly unknown[]): Promise<readonly Row[]>
}

/** A 64-bit number of a row; offsets, ids and times stay below 2^53. */
export function numberOf(row: Row, column: string): number {
  return Number(row[column])
}
