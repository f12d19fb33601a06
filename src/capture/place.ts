import type { Engine, WriteBatch } from '../engine/index.ts'
import type { Json } from '../kernel/index.ts'
import { CaptureProtocolError } from './errors.ts'
import { type Lsn, lsnText, parseLsn } from './lsn.ts'
import type { TableDescription } from './table-description.ts'

const namespace = 'capture'

/** How far a capture is. */
export interface Position {
  /** All transactions whose commit stands before are done. */
  readonly lsn: Lsn
  /** Of the transaction that comes next, named by its commit, the first `done` changes are done as well. */
  readonly partly: { readonly commitLsn: Lsn; readonly done: number } | undefined
}

/** How far the snapshot of one table is. */
export type SnapshotProgress =
  | { readonly kind: 'none' | 'done' }
  | {
      readonly kind: 'open'
      /** Where the log was when it began: a name for it. */
      readonly startLsn: string
      /** Key of the last row that was published, by columns in the order of the index. */
      readonly after: readonly (readonly [column: string, value: string])[]
    }

/** What is remembered of a table. */
export interface TableNote {
  /** As it was told last; `null`: never. */
  readonly description: TableDescription | null
  readonly snapshot: SnapshotProgress
}

/**
 * The place of a capture, kept in the engine that the changes go to, in the same commits. Two capturers that both believe to be
 * the active one expect the same revision, and one of them is refused.
 */
export class Place {
  readonly #engine: Engine
  readonly #slot: string
  #revision = 0
  #system: string | undefined
  #position: Position | undefined
  readonly #tables = new Map<string, TableNote>()
  readonly #changed = new Set<string>()

  private constructor(engine: Engine, slot: string) {
    this.#engine = engine
    this.#slot = slot
  }

  /** Whether an engine commits the place together with the changes. */
  static isKeptBy(engine: Engine): boolean {
    return engine.capabilities.atomic.some((domain) => domain.includes('topics') && domain.includes('state'))
  }

  /** @throws CaptureProtocolError and what the engine throws */
  static async load(engine: Engine, slot: string): Promise<Place> {
    const place = new Place(engine, slot)
    if (!Place.isKeptBy(engine)) return place
    const entry = await engine.state.get(namespace, slot)
    if (entry !== undefined) place.#take(entry.value, entry.revision)
    for (let after: string | undefined; ; ) {
      const prefix = tablePrefix(slot)
      const found = await engine.state.range(namespace, { prefix, limit: 1000, ...(after !== undefined && { after }) })
      for (const { key, value } of found) {
        place.#tables.set(key.slice(prefix.length), value as unknown as TableNote)
        after = key
      }
      if (found.length < 1000) return place
    }
  }

  /** Whether who commits a place finds out that somebody else has. */
  get isFenced(): boolean {
    return Place.isKeptBy(this.#engine)
  }

  /** Identifies the server in whose log the position is; `undefined`: there is no position. */
  get system(): string | undefined {
    return this.#system
  }

  /** As it was when the place was loaded. */
  get position(): Position | undefined {
    return this.#position
  }

  table(name: string): TableNote | undefined {
    return this.#tables.get(name)
  }

  get tableNames(): readonly string[] {
    return [...this.#tables.keys()]
  }

  /** Whether something is remembered that no commit holds. */
  get isChanged(): boolean {
    return this.#changed.size > 0
  }

  /** Remembers something of a table, with the next commit. */
  remember(table: string, note: TableNote): void {
    this.#tables.set(table, note)
    this.#changed.add(table)
  }

  /** The part of a commit that moves the place. Commits are made in the order in which this is called. */
  write(system: string, position: Position): WriteBatch {
    const changed = [...this.#changed]
    this.#changed.clear()
    if (!this.isFenced) return {}
    const value = {
      system,
      lsn: lsnText(position.lsn),
      ...(position.partly !== undefined && partlyOf(position.partly)),
    }
    return {
      state: [
        { kind: 'set', namespace, key: this.#slot, value, expectedRevision: this.#revision++ },
        ...changed.map((table) => ({
          kind: 'set' as const,
          namespace,
          key: tablePrefix(this.#slot) + table,
          value: this.#tables.get(table) as unknown as Json,
        })),
      ],
    }
  }

  #take(value: Json, revision: number): void {
    const { system, lsn, transaction } = value as {
      readonly system: string
      readonly lsn: string
      readonly transaction?: { readonly lsn: string; readonly done: number }
    }
    this.#revision = revision
    this.#system = system
    this.#position = {
      lsn: lsnOfPlace(this.#slot, lsn),
      partly: transaction && { commitLsn: lsnOfPlace(this.#slot, transaction.lsn), done: transaction.done },
    }
  }
}

/**
 * Forgets how far the capture of a slot was: the next one begins anew, with a snapshot. Call it while nobody captures.
 *
 * @throws what the engine throws
 * @example
 * ```ts
 * await forgetCapture(engine, 'shop')
 * ```
 */
export async function forgetCapture(engine: Engine, slot: string): Promise<void> {
  if (!Place.isKeptBy(engine)) return
  for (;;) {
    const found = await engine.state.range(namespace, { prefix: tablePrefix(slot), limit: 1000 })
    const keys = [...found.map(({ key }) => key), slot]
    await engine.commit({ state: keys.map((key) => ({ kind: 'delete' as const, namespace, key })) })
    if (found.length < 1000) return
  }
}

function tablePrefix(slot: string): string {
  return `${slot}/`
}

function partlyOf({ commitLsn, done }: { readonly commitLsn: Lsn; readonly done: number }): {
  readonly transaction: { readonly lsn: string; readonly done: number }
} {
  return { transaction: { lsn: lsnText(commitLsn), done } }
}

function lsnOfPlace(slot: string, text: string): Lsn {
  const lsn = typeof text === 'string' ? parseLsn(text) : undefined
  if (lsn === undefined) throw new CaptureProtocolError(`the place of slot ${slot} is no place in the log`)
  return lsn
}
