import type { DatabaseSync, StatementSync } from 'node:sqlite'
import type { Progress } from '../engine/index.ts'
import type { FileReads } from './file-reads.ts'
import { intactRow } from './store/damaged-row.ts'
import { decodeProgress, progressPlace, selectProgress } from './store/progress-writer.ts'

/** Reads how far groups are. */
export class ProgressTable {
  readonly #db: DatabaseSync
  readonly #reads: FileReads
  readonly #one: StatementSync
  readonly #all: StatementSync
  readonly #every: StatementSync

  constructor(db: DatabaseSync, reads: FileReads) {
    this.#db = db
    this.#reads = reads
    this.#one = db.prepare(`${selectProgress} WHERE group_name = ? AND partition_id = ?`)
    this.#all = db.prepare(`${selectProgress} WHERE group_name = ?`)
    this.#every = db.prepare(`${selectProgress} ORDER BY group_name`)
  }

  of(group: string, partitionId: number): Progress | undefined {
    const row = this.#reads.run(() => this.#one.get(group, partitionId))
    return row === undefined ? undefined : decodeProgress(this.#db, row)
  }

  ofGroup(group: string): readonly { readonly partitionId: number; readonly progress: Progress }[] {
    return this.#reads
      .run(() => this.#all.all(group))
      .map((row) => ({
        partitionId: Number(row['partition_id']),
        progress: decodeProgress(this.#db, row),
      }))
  }

  has(group: string): boolean {
    return this.#reads.run(() => this.#all.get(group)) !== undefined
  }

  groups(): readonly string[] {
    const names = this.#reads
      .run(() => this.#every.all())
      .map((row) => String(intactRow(this.#db, 'progress', row, progressPlace)['group_name']))
    return [...new Set(names)]
  }
}
