import {
  checkedRange,
  checkList,
  checkName,
  checkOptions,
  checkSignal,
  checkText,
  knownOptions,
} from '../committing/index.ts'
import type { StateChange, StateEntry, StateRange, StateStore } from '../engine/index.ts'
import type { Json } from '../kernel/index.ts'
import { isChangedSince } from './changed-since.ts'
import type { EngineCore } from './engine-core.ts'
import { type NamedStatement, numberOf, type Row } from './statements.ts'
import { boundOf, boundsAfter, endOfPrefix, greater, lesser } from './text-bounds.ts'
import { wakeUp } from './wake-up.ts'

/** What one watcher watches. */
interface Watched {
  readonly namespace: string
  readonly key: string | undefined
  readonly prefix: string
  readonly signal: AbortSignal
}

/** Keyed state of the PostgreSQL engine, as readers see it. */
export class StateReader implements StateStore {
  readonly #core: EngineCore
  readonly #sql: ReturnType<typeof stateStatements>
  /** First looks of those who watch a namespace, until they are taken. */
  readonly #looks = new Map<string, Set<Promise<unknown>>>()

  constructor(core: EngineCore) {
    this.#core = core
    this.#sql = stateStatements(core.schema)
  }

  async get(namespace: string, key: string): Promise<StateEntry | undefined> {
    return (await this.getMany(namespace, [key]))[0]
  }

  /** One statement, so one moment: a commit that sets two keys is never seen by half. */
  async getMany(namespace: string, keys: readonly string[]): Promise<readonly (StateEntry | undefined)[]> {
    this.#core.refuseIfDone()
    checkList('keys', keys)
    checkName('namespace', namespace)
    for (const key of keys) checkName('key', key)
    if (keys.length === 0) return []
    await this.#looked(namespace)
    const rows = await this.#core.pool.query(this.#sql.get, [namespace, keys])
    const found = new Map(rows.map((row) => [String(row['key']), entryOf(row)]))
    return keys.map((key) => found.get(key))
  }

  async range(namespace: string, range: StateRange = {}): Promise<readonly StateEntry[]> {
    this.#core.refuseIfDone()
    const { prefix = '', from = '', to, after, reverse, limit } = checkedRange(namespace, range)
    // No key holds a NUL character.
    if (prefix.includes('\0')) return []
    const behind = boundsAfter(reverse ? '' : (after ?? ''))
    const least = greater(greater(prefix, boundOf(from)), behind.from)
    const end = [endOfPrefix(prefix), to, reverse ? after : undefined].map((text) => text && boundOf(text))
    // An end that is the empty text is before every key.
    if (to === '' || (reverse && after === '')) return []
    const most = end.reduce(lesser)
    const values = [namespace, least, behind.after, prefix, limit]
    const bounded = reverse ? this.#sql.backwardTo : this.#sql.forwardTo
    const unbounded = reverse ? this.#sql.backward : this.#sql.forward
    await this.#looked(namespace)
    const rows = await (most === undefined
      ? this.#core.pool.query(unbounded, values)
      : this.#core.pool.query(bounded, [...values, most]))
    return rows.map(entryOf)
  }

  async count(namespace: string): Promise<number> {
    this.#core.refuseIfDone()
    checkName('namespace', namespace)
    await this.#looked(namespace)
    const [row] = await this.#core.pool.query(this.#sql.count, [namespace])
    return numberOf(row as Row, 'count')
  }

  async namespaces(prefix = ''): Promise<readonly string[]> {
    this.#core.refuseIfDone()
    checkText('prefix', prefix)
    if (prefix.includes('\0')) return []
    const rows = await this.#core.pool.query(this.#sql.namespaces, [prefix])
    return rows.map((row) => String(row['name']))
  }

  watch(
    namespace: string,
    options: { readonly key?: string; readonly prefix?: string; readonly signal: AbortSignal },
  ): AsyncGenerator<StateChange> {
    this.#core.refuseIfDone()
    checkName('namespace', namespace)
    checkSignal(options?.signal)
    checkOptions('options', options, knownOptions.watch)
    const { key, prefix = '', signal } = options
    if (key !== undefined) checkName('key', key)
    checkText('prefix', prefix)
    if (signal.aborted) return nothing()
    // Changes count from the call on: nothing more is committed here before this look was taken.
    const first = this.#core.pool
      .queryUntilItCan(this.#sql.snapshot, [], signal)
      .then(([row]) => String(row?.['snapshot']))
    first.catch(() => undefined)
    this.#core.channel.holdFor(first)
    this.#holdFor(namespace, first)
    return this.#follow({ namespace, key, prefix, signal }, first)
  }

  /** What is read after the call that began to watch is no older than what is watched: else a change between the two is told by neither. */
  async #looked(namespace: string): Promise<void> {
    const looks = this.#looks.get(namespace)
    if (looks !== undefined) await Promise.allSettled(looks)
  }

  #holdFor(namespace: string, look: Promise<unknown>): void {
    const looks = this.#looks.get(namespace) ?? new Set()
    this.#looks.set(namespace, looks.add(look))
    const taken = (): void => {
      looks.delete(look)
      if (looks.size === 0 && this.#looks.get(namespace) === looks) this.#looks.delete(namespace)
    }
    look.then(taken, taken)
  }

  /**
   * Tells what each snapshot shows that the one before did not: of each key the latest value, in whatever order the
   * transactions that wrote them began.
   */
  async *#follow({ namespace, key, prefix, signal }: Watched, first: Promise<string>): AsyncGenerator<StateChange> {
    let snapshot = await first
    while (!signal.aborted) {
      const changed = wakeUp((waiter) => this.#core.changes.onState(namespace, waiter), signal)
      try {
        this.#core.refuseIfDone()
        const values = [namespace, snapshot, key ?? null, prefix.includes('\0') ? null : prefix]
        const rows = await this.#core.pool.queryUntilItCan(this.#sql.changes, values, signal)
        for (const row of rows) {
          snapshot = String(row['snapshot'])
          if (row['key'] === null) continue
          if (signal.aborted) return
          yield changeOf(row)
        }
        if (rows.length > 1 || rows[0]?.['key'] !== null) continue
        await changed.promise
      } finally {
        changed.cancel()
      }
    }
  }
}

async function* nothing(): AsyncGenerator<StateChange> {}

function entryOf(row: Row): StateEntry {
  return {
    key: String(row['key']),
    value: JSON.parse(String(row['value'])) as Json,
    revision: numberOf(row, 'revision'),
  }
}

function changeOf(row: Row): StateChange {
  if (row['value'] === null) return { key: String(row['key']), value: undefined, revision: 0 }
  return entryOf(row)
}

function stateStatements(schema: string) {
  const inNamespace = `namespace_id = (SELECT id FROM ${schema}.namespace WHERE name = $1)`
  const range = (order: string, end: string): string => `
    SELECT key, revision, value FROM ${schema}.state
    WHERE ${inNamespace} AND key >= $2 AND key > $3 AND starts_with(key, $4) AND value IS NOT NULL ${end}
    ORDER BY key ${order} LIMIT $5`
  return {
    get: {
      name: 'millrace_state_get',
      text: `SELECT key, revision, value FROM ${schema}.state
        WHERE ${inNamespace} AND key = ANY ($2::text[]) AND value IS NOT NULL`,
    },
    forward: { name: 'millrace_state_forward', text: range('ASC', '') },
    forwardTo: { name: 'millrace_state_forward_to', text: range('ASC', 'AND key < $6') },
    backward: { name: 'millrace_state_backward', text: range('DESC', '') },
    backwardTo: { name: 'millrace_state_backward_to', text: range('DESC', 'AND key < $6') },
    count: {
      name: 'millrace_state_count',
      text: `SELECT count(*) AS count FROM ${schema}.state WHERE ${inNamespace} AND value IS NOT NULL`,
    },
    namespaces: {
      name: 'millrace_namespaces',
      text: `SELECT name FROM ${schema}.namespace AS n WHERE starts_with(name, $1)
        AND EXISTS (SELECT FROM ${schema}.state WHERE namespace_id = n.id AND value IS NOT NULL) ORDER BY name`,
    },
    snapshot: { name: 'millrace_snapshot', text: 'SELECT pg_current_snapshot()::text AS snapshot' },
    /** One row without a key where nothing has changed. */
    changes: {
      name: 'millrace_state_changes',
      text: `SELECT pg_current_snapshot()::text AS snapshot, s.key, s.revision, s.value
        FROM (SELECT) AS one LEFT JOIN ${schema}.state AS s
          ON ${isChangedSince('s.changed', '$2')}
          AND s.${inNamespace} AND ($3::text IS NULL OR s.key = $3) AND starts_with(s.key, $4::text)`,
    },
  } as const satisfies Record<string, NamedStatement>
}
