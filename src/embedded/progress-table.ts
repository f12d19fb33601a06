import type { DatabaseSync, StatementSync } from 'node:sqlite'
import type { Progress } from '../engine/index.ts'
import { FileDamagedError } from './errors.ts'
import type { FileReads } from './file-reads.ts'
import { decodeProgress } from './store/progress-writer.ts'

/** Reads how far groups are. */
export class ProgressTable {
  readonly #reads: FileReads
  readonly #one: StatementSync
  readonly #all: StatementSync
  readonly #names: StatementSync

  constructor(db: DatabaseSync, reads: FileReads) {
    this.#reads = reads
    this.#one = db.prepare('SELECT next_offset, done FROM progress WHERE group_name = ? AND partition_id = ?')
    this.#all = db.prepare('SELECT partition_id, next_offset, done FROM progress WHERE group_name = ?')
    this.#names = db.prepare('SELECT DISTINCT group_name FROM progress ORDER BY group_name')
  }

  of(group: string, partitionId: number): Progress | undefined {
    const row = this.#reads.run(() => this.#one.get(group, partitionId))
    return row === undefined ? undefined : this.#decode(group, row)
  }

  ofGroup(group: string): readonly { readonly partitionId: number; readonly progress: Progress }[] {
    return this.#reads
      .run(() => this.#all.all(group))
      .map((row) => ({
        partitionId: Number(row['partition_id']),
        progress: this.#decode(group, row),
      }))
  }

  has(group: string): boolean {
    return this.#reads.run(() => this.#all.get(group)) !== undefined
  }

  groups(): readonly string[] {
    return this.#reads.run(() => this.#names.all()).map((row) => String(row['group_name']))
  }

  #decode(group: string, row: Record<string, unknown>): Progress {
    try {
      return decodeProgress(row)
    } catch (cause) {
      throw new FileDamagedError(this.#reads.path, `the progress of group ${group}`, { cause })
    }
  }
}
