import { anyRevision, type StateCommand, type UnitCommand, type UnitResult } from '../committing/index.ts'
import { type BatchBufferPool, RecordBatchBuilder } from '../record/index.ts'
import type { ChangelogFile } from './changelog-file.ts'
import { recordOf, type StateRecord } from './changelog-format.ts'
import type { OutgoingBatch } from './merged-batches.ts'
import type { Partition } from './topic-catalog.ts'

const recordBytesMost = 64 * 1024 * 1024

interface PlannedUnit {
  readonly index: number
  readonly unit: UnitCommand
}

/** Revisions by namespace and key, as they are once what is planned is made; 0: the key is gone. */
type Revisions = Map<string, Map<string, number>>

/** What the state commands of some units come to, one after the other, on top of what a file holds. */
export class ChangelogPlan {
  /** Units that expect what is not so; the others are planned as if they were not there. */
  readonly refused: ReadonlyMap<number, UnitResult>
  readonly #perUnit: readonly { readonly index: number; readonly changes: readonly StateRecord[] }[]
  #batches: OutgoingBatch[] = []

  constructor(file: ChangelogFile, open: readonly PlannedUnit[]) {
    const refused = new Map<number, UnitResult>()
    const layers = new Layers(file)
    this.#perUnit = open.flatMap(({ index, unit }) => {
      if (unit.state.length === 0) return []
      const outcome = layers.add(unit.state)
      if (!('conflict' in outcome)) return [{ index, changes: outcome.changes }]
      refused.set(index, { kind: 'conflict', conflict: outcome.conflict })
      return []
    })
    this.refused = refused
  }

  get changes(): readonly StateRecord[] {
    return this.#perUnit.flatMap(({ changes }) => changes)
  }

  /** Where its first record landed, and where the changelog goes on behind the last; `undefined`: it changes nothing. */
  get extent(): readonly [first: number, next: number] | undefined {
    const [first, last] = [this.#batches[0], this.#batches.at(-1)]
    return first === undefined || last === undefined
      ? undefined
      : [first.baseOffset, last.baseOffset + last.recordCount]
  }

  /**
   * The changes as batches, to be sent one after the other.
   *
   * @param isMerging False puts no two units into one batch, so that one that is refused concerns one unit only.
   * @throws RecordTooLargeError
   */
  seal(
    partition: Partition,
    options: {
      readonly pool: BatchBufferPool
      readonly batchBytesMax: number
      readonly isMerging: boolean
      readonly nowMs: number
    },
  ): readonly OutgoingBatch[] {
    const builder = new RecordBatchBuilder({ pool: options.pool, recordBytesMax: recordBytesMost })
    const units = new Set<number>()
    const batches: OutgoingBatch[] = []
    const close = (): void => {
      if (builder.recordCount === 0) return
      const { recordCount } = builder
      const bytes = builder.seal({ crc: false })
      const parts = [...units].map((unit) => ({ unit, batch: -1, bytes, recordCount: 0 }))
      batches.push({ partition, parts, bytes, recordCount, baseOffset: -1 })
      units.clear()
    }
    for (const { index, changes } of this.#perUnit) {
      for (const change of changes) {
        if (builder.batchBytes >= options.batchBytesMax) close()
        builder.appendRaw(recordOf(change, options.nowMs))
        units.add(index)
      }
      if (!options.isMerging) close()
    }
    close()
    this.#batches = batches
    return batches
  }

  release(pool: BatchBufferPool): void {
    for (const { bytes } of this.#batches) pool.release(bytes)
  }
}

type UnitOutcome =
  | { readonly changes: readonly StateRecord[] }
  | { readonly conflict: Extract<UnitResult, { kind: 'conflict' }>['conflict'] }

/** What units that are not made yet would leave, on top of a file. */
class Layers {
  readonly #file: ChangelogFile
  readonly #below: Revisions = new Map()

  constructor(file: ChangelogFile) {
    this.#file = file
  }

  add(commands: readonly StateCommand[]): UnitOutcome {
    const own: Revisions = new Map()
    const changes: StateRecord[] = []
    const put = (namespace: string, key: string, revision: number, value: string | null): void => {
      putIn(own, namespace, key, revision)
      changes.push({ namespace, key, revision, value })
    }
    for (const command of commands) {
      const { namespace } = command
      if (command.kind === 'clear') {
        for (const key of this.#keys(namespace, own)) put(namespace, key, 0, null)
        continue
      }
      const { key, expected } = command
      const actual = this.#revision(namespace, key, own)
      if (expected !== anyRevision && expected !== actual) {
        return { conflict: { kind: 'revision', namespace, key, expected, actual } }
      }
      if (command.kind === 'set') put(namespace, key, actual + 1, command.value)
      else if (actual > 0) put(namespace, key, 0, null)
    }
    for (const [namespace, keys] of own)
      for (const [key, revision] of keys) putIn(this.#below, namespace, key, revision)
    return { changes }
  }

  #revision(namespace: string, key: string, own: Revisions): number {
    const planned = own.get(namespace)?.get(key) ?? this.#below.get(namespace)?.get(key)
    return planned ?? this.#file.read(namespace, key)?.revision ?? 0
  }

  #keys(namespace: string, own: Revisions): readonly string[] {
    const keys = new Set(this.#file.list(namespace, undefined, '').map(({ key }) => key))
    for (const layer of [this.#below, own]) {
      for (const [key, revision] of layer.get(namespace) ?? []) {
        if (revision > 0) keys.add(key)
        else keys.delete(key)
      }
    }
    return [...keys]
  }
}

function putIn(revisions: Revisions, namespace: string, key: string, revision: number): void {
  const keys = revisions.get(namespace)
  if (keys === undefined) revisions.set(namespace, new Map([[key, revision]]))
  else keys.set(key, revision)
}
