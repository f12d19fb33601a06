import type { OptionProblem } from '../kernel/index.ts'
import { quoted } from '../sql/index.ts'
import { objectProblems, refuseOptions } from './errors.ts'

/** Which table. */
export interface TableOptions {
  /** Schema that holds the table. It must be there. Default `'public'`. */
  readonly schema?: string
  /** Default `'millrace_outbox'` or `'millrace_inbox'`. */
  readonly table?: string
}

/** A table with its names in the forms that are needed. */
export interface TableName {
  readonly schema: string
  readonly table: string
  /** As people read it. */
  readonly shown: string
  /** As SQL takes it. */
  readonly sql: string
}

/** PostgreSQL cuts longer names off; a few bytes are for the names of indexes. */
const nameBytesMax = 55

/** @throws OptionsInvalidError */
export function tableName(subject: string, options: TableOptions, usualTable: string): TableName {
  const { schema = 'public', table = usualTable } = options
  const problems: OptionProblem[] = []
  for (const [option, name] of [
    ['schema', schema],
    ['table', table],
  ] as const) {
    const isText = typeof name === 'string' && name.isWellFormed() && !name.includes('\0')
    if (isText && name !== '' && Buffer.byteLength(name) <= nameBytesMax) continue
    problems.push({ option, problem: `is no name of 1 to ${nameBytesMax} bytes` })
  }
  refuseOptions(subject, problems)
  return { schema, table, shown: `${schema}.${table}`, sql: `${quoted(schema)}.${quoted(table)}` }
}

/** The same for options that hold nothing else. @throws OptionsInvalidError */
export function onlyTableName(subject: string, options: TableOptions, usualTable: string): TableName {
  refuseOptions(subject, objectProblems(options))
  const unknown = Object.keys(options).filter((option) => option !== 'schema' && option !== 'table')
  refuseOptions(
    subject,
    unknown.map((option) => ({ option, problem: 'is no option' })),
  )
  return tableName(subject, options, usualTable)
}
