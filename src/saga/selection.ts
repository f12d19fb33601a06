import { inspect } from 'node:util'
import type { Engine } from '../engine/index.ts'
import { type OptionProblem, OptionsInvalidError } from '../kernel/index.ts'

/** Which of what is kept by key is meant. All that is given has to hold. */
export interface Selection<Status extends string> {
  readonly status?: Status | readonly Status[]
  /** How their keys begin. */
  readonly prefix?: string
  /** Started at or after this time, in milliseconds since 1970. */
  readonly startedFromMs?: number
  /** Started before this time, in milliseconds since 1970. */
  readonly startedToMs?: number
  /** Only those with a key after this one: for paging. */
  readonly after?: string
  /** At most this many, from 1 on. Default 100. */
  readonly limit?: number
}

function shown(value: unknown): string {
  return typeof value === 'string' ? value : inspect(value)
}

const known = ['status', 'prefix', 'startedFromMs', 'startedToMs', 'after', 'limit']

/** @throws OptionsInvalidError `OPTIONS_INVALID`, naming all that is wrong */
function checkSelection(selection: Selection<string>, statuses: readonly string[], subject: string): void {
  const problems: OptionProblem[] = []
  const given = selection as Readonly<Record<string, unknown>>
  for (const option of Object.keys(given)) {
    if (!known.includes(option)) problems.push({ option, problem: `is not one of ${known.join(', ')}` })
  }
  for (const status of given['status'] === undefined ? [] : [given['status']].flat()) {
    if (!statuses.includes(status as string)) {
      problems.push({ option: 'status', problem: `is ${shown(status)}, not one of ${statuses.join(', ')}` })
    }
  }
  for (const option of ['prefix', 'after']) {
    const value = given[option]
    if (value !== undefined && typeof value !== 'string') problems.push({ option, problem: 'is no text' })
  }
  for (const option of ['startedFromMs', 'startedToMs']) {
    const value = given[option]
    if (value !== undefined && (typeof value !== 'number' || Number.isNaN(value))) {
      problems.push({ option, problem: `is ${shown(value)}, not milliseconds since 1970` })
    }
  }
  const { limit = 100 } = given
  if (!Number.isSafeInteger(limit) || (limit as number) < 1) {
    problems.push({ option: 'limit', problem: `is ${shown(limit)}, not a whole number from 1` })
  }
  if (problems.length > 0) throw new OptionsInvalidError(subject, problems)
}

/** Whether something is meant, as far as its status and its start tell. */
function isMeant<Status extends string>(
  one: { readonly status: Status; readonly startedMs: number },
  { status, startedFromMs, startedToMs }: Selection<Status>,
): boolean {
  return (
    (status === undefined || [status].flat().includes(one.status)) &&
    (startedFromMs === undefined || one.startedMs >= startedFromMs) &&
    (startedToMs === undefined || one.startedMs < startedToMs)
  )
}

const pageSize = 1000

/**
 * What is meant of a namespace, in the order of its keys. Looks through all keys with the prefix until there are enough.
 *
 * @throws OptionsInvalidError `OPTIONS_INVALID`
 */
export async function select<Kept extends { readonly status: string; readonly startedMs: number }>(
  engine: Engine,
  namespace: string,
  selection: Selection<Kept['status']>,
  statuses: readonly Kept['status'][],
): Promise<readonly { readonly key: string; readonly kept: Kept }[]> {
  checkSelection(selection, statuses, 'list()')
  const { prefix, limit = 100 } = selection
  const found: { readonly key: string; readonly kept: Kept }[] = []
  let { after } = selection
  for (;;) {
    const page = await engine.state.range(namespace, {
      limit: pageSize,
      ...(prefix !== undefined && { prefix }),
      ...(after !== undefined && { after }),
    })
    for (const { key, value } of page) {
      const kept = value as unknown as Kept
      if (!isMeant<Kept['status']>(kept, selection)) continue
      found.push({ key, kept })
      if (found.length >= limit) return found
    }
    if (page.length < pageSize) return found
    after = page.at(-1)?.key
  }
}
