import { checkEngine } from '../committing/index.ts'
import type { Engine } from '../engine/index.ts'
import { type Clock, isoTime, type Json } from '../kernel/index.ts'
import { fullNameOf } from './captured-table.ts'
import type { TableName } from './change-data.ts'
import { CaptureProtocolError } from './errors.ts'
import { type Lsn, lsnText, parseLsn } from './lsn.ts'
import { type KeptPlace, type PlaceStore, type PlaceWrites, placeStoreOf } from './place-store.ts'
import type { ServerLog } from './server-log.ts'
import type { TableDescription } from './table-description.ts'

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
  readonly schema: string
  readonly name: string
  /** As it was told last; `null`: never. */
  readonly description: TableDescription | null
  readonly snapshot: SnapshotProgress
}

/** A place in a log, as it is stored (docs/formats/change-events.md). */
interface StoredPlace {
  readonly system: string
  readonly timeline: number
  readonly lsn: string
  readonly transaction?: { readonly lsn: string; readonly done: number }
}

/** The place of a capture, and what it remembers of tables: kept where the events go, in the same commits. */
export class Place {
  readonly #store: PlaceStore
  readonly #clock: Clock
  readonly #tables = new Map<string, TableNote>()
  readonly #changed = new Set<string>()
  /** In whose log the position is; `undefined`: there is no position. */
  readonly log: { readonly system: string; readonly timeline: number } | undefined
  /** As it was when the place was loaded. */
  readonly position: Position | undefined

  private constructor(store: PlaceStore, clock: Clock, slot: string, { place, notes }: KeptPlace) {
    this.#store = store
    this.#clock = clock
    for (const [name, note] of notes) this.#tables.set(name, note as unknown as TableNote)
    if (place === undefined) return
    const { system, timeline, lsn, transaction } = place as unknown as StoredPlace
    this.log = { system, timeline }
    this.position = {
      lsn: lsnOfPlace(slot, lsn),
      partly: transaction && { commitLsn: lsnOfPlace(slot, transaction.lsn), done: transaction.done },
    }
  }

  /** @throws CaptureProtocolError and what the engine throws */
  static async load(engine: Engine, slot: string, clock: Clock): Promise<Place> {
    const store = placeStoreOf(engine, slot)
    return new Place(store, clock, slot, await store.load())
  }

  /** Whether who commits a place finds out that somebody else has. */
  get isFenced(): boolean {
    return this.#store.isFenced
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
  remember({ schema, name }: TableName, { description, snapshot }: Omit<TableNote, keyof TableName>): void {
    const fullName = fullNameOf({ schema, name })
    this.#tables.set(fullName, { schema, name, description, snapshot })
    this.#changed.add(fullName)
  }

  /** The part of a commit that moves the place. Commits are made in the order in which this is called. */
  write({ system, timeline }: ServerLog, { lsn, partly }: Position): PlaceWrites {
    const notes = new Map([...this.#changed].map((name) => [name, this.#tables.get(name) as unknown as Json]))
    this.#changed.clear()
    const place = { system, timeline, lsn: lsnText(lsn), ...(partly !== undefined && partlyOf(partly)) }
    return this.#store.write(Object.freeze(place), notes, isoTime(this.#clock.nowMs()))
  }
}

/**
 * Forgets how far the capture of a slot was: the next one begins anew, with a snapshot. Call it while nobody captures.
 *
 * @throws ArgumentInvalidError `ARGUMENT_INVALID`, and what the engine throws
 * @example
 * ```ts
 * await forgetCapture(engine, 'shop')
 * ```
 */
export async function forgetCapture(engine: Engine, slot: string): Promise<void> {
  checkEngine(engine)
  await placeStoreOf(engine, slot).forget()
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
