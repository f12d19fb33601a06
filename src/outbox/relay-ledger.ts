import { createHash } from 'node:crypto'
import { commitsStateWithTopics, type Engine, type StateWrite } from '../engine/index.ts'
import { InvariantError } from '../kernel/index.ts'
import type { OutboxRow } from './outbox-row.ts'

/** Namespace in which relays keep their place, under the id of their table. */
const namespace = 'outbox-relay'

/** The rows of one batch: their ids, and what tells whether rows with these ids are the same ones. */
export interface BatchMark {
  /** Ids from and to, both included, in their order. */
  readonly rows: readonly (readonly [from: string, to: string])[]
  readonly digest: string
}

/**
 * Notes in the target engine, in the commit that brings a batch, which rows it is made of, and which ones of the batches before were
 * not cleared from the outbox yet: whoever takes over clears them. Two relays that believe to be the active one, of whatever kind, expect
 * the same revision, and one of them is refused.
 */
export class RelayLedger {
  readonly #engine: Engine
  readonly #key: string
  #revision = 0

  private constructor(engine: Engine, key: string) {
    this.#engine = engine
    this.#key = key
  }

  /** `undefined`: the engine does not commit messages and state together. */
  static of(engine: Engine, tableId: string): RelayLedger | undefined {
    return commitsStateWithTopics(engine.capabilities) ? new RelayLedger(engine, tableId) : undefined
  }

  /** The batches that were brought last, by whatever relay. */
  async load(): Promise<readonly BatchMark[]> {
    const entry = await this.#engine.state.get(namespace, this.#key)
    this.#revision = entry?.revision ?? 0
    if (entry === undefined) return []
    const { batches } = entry.value as unknown as { readonly batches: readonly BatchMark[] }
    const list: unknown = batches
    if (!Array.isArray(list)) throw new InvariantError(`the place of outbox ${this.#key} is a list of batches`)
    return batches
  }

  /** What to commit along with a batch: its mark, after those of batches that may not be cleared. */
  write(batches: readonly BatchMark[]): StateWrite {
    const value = { batches: batches.map(({ rows, digest }) => ({ rows, digest })) }
    return { kind: 'set', namespace, key: this.#key, value, expectedRevision: this.#revision }
  }

  /** The commit was made, or is under way before the next one. */
  advance(): void {
    this.#revision++
  }
}

/** Marks a batch. Ids that follow on each other take no more room than one. */
export function markOf(rows: readonly OutboxRow[]): BatchMark {
  const ranges: [from: string, to: string][] = []
  const hash = createHash('sha256')
  let next = -1n
  for (const { id, message } of rows) {
    const last = ranges.at(-1)
    if (last !== undefined && BigInt(id) === next) last[1] = id
    else ranges.push([id, id])
    next = BigInt(id) + 1n
    hash.update(`${id} ${message.length} `).update(message)
  }
  return { rows: ranges, digest: hash.digest('base64url') }
}
