import type { Claim } from '../engine/index.ts'
import type { UnitResult } from './commands.ts'
import type { PartitionPlace } from './places.ts'
import type { BatchDraft, Slot, UnitDraft } from './unit-draft.ts'

/** Whom an engine in which one can read early has to tell of what. */
export interface EarlyListener {
  /** More can be read early of a partition. */
  staged?(partition: PartitionPlace): void
  /** What was read early of a partition will never stand there. */
  rolledBack?(partition: PartitionPlace): void
  /** The writer refused a commit for the sake of a claim, which is over thereby. */
  fenced?(claim: Claim): void
}

/**
 * Whether a commit that can be refused is expected not to be: one of a handler, which nothing stands in the way of but the loss of its
 * claim. What it publishes can be read early, and is taken back should it be refused. Appends are another matter: where
 * commands compete, they are refused every day.
 */
export function isExpected(
  progress: readonly unknown[],
  appends: readonly unknown[],
  batches: readonly { readonly producer?: unknown }[],
): boolean {
  return progress.length > 0 && appends.length === 0 && batches.every(({ producer }) => producer === undefined)
}

/** Keeps the {@link UnsyncedTail} of each partition in step with what is staged and answered. */
export class UnsyncedTails {
  readonly #listener: EarlyListener

  constructor(listener: EarlyListener) {
    this.#listener = listener
  }

  /** A commit was added to a unit. */
  staged({ shared, progress, appends, drafts }: UnitDraft, slots: readonly Slot[]): void {
    if (slots.length === 0) return
    const isReadable = shared || isExpected(progress, appends, drafts)
    let last: BatchDraft | undefined
    for (const { draft } of slots) {
      const { unsynced } = draft.partition
      if (draft === last || unsynced === undefined) continue
      last = draft
      unsynced.staged(draft, isReadable)
      if (isReadable) this.#listener.staged?.(draft.partition)
    }
  }

  /** A unit was answered by itself. */
  answered({ progress, appends, drafts }: UnitDraft, result: UnitResult): void {
    for (const draft of drafts) draft.partition.unsynced?.settled(draft)
    if (result.kind === 'refused' && result.refusal.kind === 'partition-gone') this.#rolledBack(drafts)
    if (result.kind !== 'conflict') return
    if (isExpected(progress, appends, drafts)) this.#rolledBack(drafts)
    if (result.conflict.kind === 'fenced') this.#listener.fenced?.(result.conflict.claim)
  }

  /** A whole group failed, and the engine goes on. */
  failed(units: readonly UnitDraft[]): void {
    this.#rolledBack(units.flatMap(({ drafts }) => drafts))
  }

  /** Counted once for each partition of what was taken back together, as the writer does. */
  #rolledBack(drafts: readonly BatchDraft[]): void {
    for (const draft of drafts) draft.partition.unsynced?.settled(draft)
    for (const partition of new Set(drafts.map((draft) => draft.partition))) {
      const { unsynced, latest } = partition
      if (unsynced === undefined) continue
      const wasSeen = unsynced.seenBeyond(latest) !== undefined
      unsynced.rolledBack()
      if (wasSeen) this.#listener.rolledBack?.(partition)
    }
  }
}
