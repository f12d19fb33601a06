import { anyRevision, type StateCommand, type UnitResult } from '../committing/index.ts'
import type { Claim, Conflict } from '../engine/index.ts'
import { type BatchBufferPool, RecordBatchBuilder } from '../record/index.ts'
import type { Changelog } from './changelog.ts'
import { recordOf, type StateRecord } from './changelog-format.ts'
import type { OutgoingBatch } from './merged-batches.ts'
import type { OpenUnit } from './open-unit.ts'
import type { Partition } from './topic-catalog.ts'

const recordBytesMost = 64 * 1024 * 1024

/** Revisions by namespace and key, as they are once what is planned is made; 0: the key is gone. */
type Revisions = Map<string, Map<string, number>>

/** A change, and where it is written. */
interface PlacedChange {
  readonly changelog: Changelog
  readonly change: StateRecord
}

/** What goes to one changelog. */
interface ChangelogShare {
  readonly changes: StateRecord[]
  readonly batches: OutgoingBatch[]
}

/** What the state commands of some units come to, one after the other, on top of what the changelogs hold. */
export class ChangelogPlan {
  /** Units that expect what is not so, or whose claim is lost; the others are planned as if they were not there. */
  readonly refused: ReadonlyMap<number, UnitResult>
  readonly #perUnit: readonly { readonly index: number; readonly changes: readonly PlacedChange[] }[]
  readonly #shares = new Map<Changelog, ChangelogShare>()

  constructor(changelogsOf: (command: StateCommand) => readonly Changelog[], open: readonly OpenUnit[]) {
    const refused = new Map<number, UnitResult>()
    const layers = new Layers(changelogsOf)
    this.#perUnit = open.flatMap(({ index, unit }) => {
      if (unit.state.length === 0) return []
      const outcome = layers.add(unit.state)
      if (!('conflict' in outcome)) return [{ index, changes: outcome.changes }]
      refused.set(index, { kind: 'conflict', conflict: outcome.conflict })
      return []
    })
    this.refused = refused
  }

  get isEmpty(): boolean {
    return this.#perUnit.every(({ changes }) => changes.length === 0)
  }

  /**
   * The changes as batches, in rounds: within a round each partition stands once, and the rounds keep the order.
   *
   * @param isMerging False puts no two units into one batch, so that one that is refused concerns one unit only.
   * @throws RecordTooLargeError
   */
  seal(options: {
    readonly pool: BatchBufferPool
    readonly batchBytesMaxOf: (partition: Partition) => number
    readonly isMerging: boolean
    readonly nowMs: number
  }): readonly (readonly OutgoingBatch[])[] {
    const drafts = new Map<Changelog, ChangelogDraft>()
    const { isMerging, nowMs } = options
    for (const { index, changes } of this.#perUnit) {
      for (const { changelog, change } of changes) {
        let draft = drafts.get(changelog)
        if (draft === undefined) {
          draft = new ChangelogDraft(changelog.partition, options.pool, options.batchBytesMaxOf(changelog.partition))
          drafts.set(changelog, draft)
          this.#shares.set(changelog, { changes: [], batches: draft.batches })
        }
        draft.add(index, change, nowMs)
        this.#shares.get(changelog)?.changes.push(change)
      }
      if (!isMerging) for (const draft of drafts.values()) draft.close()
    }
    const rounds: OutgoingBatch[][] = []
    for (const draft of drafts.values()) {
      draft.close()
      for (const [round, batch] of draft.batches.entries()) rounds[round] = [...(rounds[round] ?? []), batch]
    }
    return rounds
  }

  /** It is committed: the changelogs take it over. */
  async apply(): Promise<void> {
    for (const [changelog, { changes, batches }] of this.#shares) {
      const [first, last] = [batches[0], batches.at(-1)]
      if (first === undefined || last === undefined) continue
      await changelog.applied(changes, first.baseOffset, last.baseOffset + last.recordCount)
    }
  }
}

/** Batches of one changelog, in the making. */
class ChangelogDraft {
  readonly batches: OutgoingBatch[] = []
  readonly #partition: Partition
  readonly #builder: RecordBatchBuilder
  readonly #batchBytesMax: number
  readonly #units = new Set<number>()

  constructor(partition: Partition, pool: BatchBufferPool, batchBytesMax: number) {
    this.#partition = partition
    this.#builder = new RecordBatchBuilder({ pool, recordBytesMax: recordBytesMost })
    this.#batchBytesMax = batchBytesMax
  }

  add(unit: number, change: StateRecord, nowMs: number): void {
    if (this.#builder.batchBytes >= this.#batchBytesMax) this.close()
    this.#builder.appendRaw(recordOf(change, nowMs))
    this.#units.add(unit)
  }

  close(): void {
    const { recordCount } = this.#builder
    if (recordCount === 0) return
    const bytes = this.#builder.seal({ crc: false })
    const parts = [...this.#units].map((unit) => ({ unit, batch: -1, bytes, recordCount: 0 }))
    this.batches.push({ partition: this.#partition, parts, bytes, recordCount, baseOffset: -1 })
    this.#units.clear()
  }
}

type UnitOutcome = { readonly changes: readonly PlacedChange[] } | { readonly conflict: Conflict }

/** What units that are not made yet would leave, on top of what the changelogs hold. */
class Layers {
  readonly #changelogsOf: (command: StateCommand) => readonly Changelog[]
  readonly #below = new Map<Changelog, Revisions>()

  constructor(changelogsOf: (command: StateCommand) => readonly Changelog[]) {
    this.#changelogsOf = changelogsOf
  }

  add(commands: readonly StateCommand[]): UnitOutcome {
    const own = new Map<Changelog, Revisions>()
    const changes: PlacedChange[] = []
    const put = (changelog: Changelog, change: StateRecord): void => {
      putIn(own, changelog, change)
      changes.push({ changelog, change })
    }
    for (const command of commands) {
      const { namespace, owner } = command
      const changelogs = this.#changelogsOf(command)
      if (command.kind === 'clear') {
        for (const changelog of changelogs) {
          for (const key of this.#keys(changelog, namespace, own)) {
            put(changelog, { namespace, key, revision: 0, value: null })
          }
        }
        continue
      }
      const [changelog] = changelogs
      if (changelog === undefined) return { conflict: { kind: 'fenced', claim: owner as Claim } }
      const { key, expected } = command
      const actual = this.#revision(changelog, namespace, key, own)
      if (expected !== anyRevision && expected !== actual) {
        return { conflict: { kind: 'revision', namespace, key, expected, actual } }
      }
      if (command.kind === 'set') put(changelog, { namespace, key, revision: actual + 1, value: command.value })
      else if (actual > 0) put(changelog, { namespace, key, revision: 0, value: null })
    }
    for (const { changelog, change } of changes) putIn(this.#below, changelog, change)
    return { changes }
  }

  #revision(changelog: Changelog, namespace: string, key: string, own: ReadonlyMap<Changelog, Revisions>): number {
    for (const layer of [own, this.#below]) {
      const planned = layer.get(changelog)?.get(namespace)?.get(key)
      if (planned !== undefined) return planned
    }
    return changelog.file.read(namespace, key, changelog.number)?.revision ?? 0
  }

  #keys(changelog: Changelog, namespace: string, own: ReadonlyMap<Changelog, Revisions>): readonly string[] {
    const keys = new Set(changelog.file.list(namespace, undefined, '', changelog.number).map(({ key }) => key))
    for (const layer of [this.#below, own]) {
      for (const [key, revision] of layer.get(changelog)?.get(namespace) ?? []) {
        if (revision > 0) keys.add(key)
        else keys.delete(key)
      }
    }
    return [...keys]
  }
}

function putIn(
  layer: Map<Changelog, Revisions>,
  changelog: Changelog,
  { namespace, key, revision }: StateRecord,
): void {
  const revisions = layer.get(changelog) ?? new Map<string, Map<string, number>>()
  layer.set(changelog, revisions)
  const keys = revisions.get(namespace)
  if (keys === undefined) revisions.set(namespace, new Map([[key, revision]]))
  else keys.set(key, revision)
}
