import type { StateRange } from '../engine/index.ts'
import { knownOptions } from './known-options.ts'
import { checkInteger, checkName, checkOptions, checkText } from './write-checks.ts'

const rangeLimitDefault = 100
const rangeLimitMax = 10_000

interface CheckedRange extends Pick<StateRange, 'prefix' | 'from' | 'to' | 'after'> {
  readonly reverse: boolean
  readonly limit: number
}

/** A checked {@link StateRange} as conditions of SQLite's SQL on a column `key` that is compared by its bytes. */
export interface RangeConditions {
  readonly conditions: readonly string[]
  /** One for each `?` in the conditions. */
  readonly values: readonly string[]
  readonly order: 'ASC' | 'DESC'
  readonly limit: number
}

/** A {@link StateRange} with what was left out. @throws ArgumentInvalidError `ARGUMENT_INVALID` */
export function checkedRange(namespace: string, range: StateRange): CheckedRange {
  checkOptions('range', range, knownOptions.range)
  const { reverse = false, limit = rangeLimitDefault, ...bounds } = range
  checkName('namespace', namespace)
  checkInteger('limit', limit, 0)
  for (const [name, bound] of Object.entries(bounds)) if (bound !== undefined) checkText(name, bound)
  return { ...bounds, reverse, limit: Math.min(limit, rangeLimitMax) }
}

/** @throws ArgumentInvalidError `ARGUMENT_INVALID` */
export function rangeConditions(namespace: string, range: StateRange): RangeConditions {
  const { prefix, from, to, after, reverse, limit } = checkedRange(namespace, range)
  const conditions: string[] = []
  const values: string[] = []
  const add = (condition: string, ...given: string[]): void => {
    conditions.push(condition)
    values.push(...given)
  }
  if (prefix !== undefined && prefix !== '') add('key >= ? AND substr(key, 1, length(?)) = ?', prefix, prefix, prefix)
  const end = prefix === undefined ? undefined : afterPrefix(prefix)
  if (end !== undefined) add('key < ?', end)
  if (from !== undefined) add('key >= ?', from)
  if (to !== undefined) add('key < ?', to)
  if (after !== undefined) add(reverse ? 'key < ?' : 'key > ?', after)
  return { conditions, values, order: reverse ? 'DESC' : 'ASC', limit }
}

/** A key that sorts right after everything with the prefix, where one is easily named: for ASCII, the vast majority. */
function afterPrefix(prefix: string): string | undefined {
  const last = prefix.charCodeAt(prefix.length - 1)
  if (Number.isNaN(last) || last >= 0x7f) return undefined
  return prefix.slice(0, -1) + String.fromCharCode(last + 1)
}
