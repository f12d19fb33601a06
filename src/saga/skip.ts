import type { Json } from '../kernel/index.ts'
import { draftOf, isEnded, isThere, type Journal, type JournalDraft, putEntry } from './journal.ts'

/** Why to skip a step, or a child that is waited for, would change nothing; `undefined`: it would. */
export function skipProblem(journal: Journal, id: string): string | undefined {
  const { status, parked, entries } = journal
  if (!isThere(journal)) return 'nothing has started it'
  if (isEnded(status)) return `it has ended: ${status}`
  const entry = entries.find((one) => one.id === id)
  if (entry?.op !== 'step' && entry?.op !== 'child') return 'its body has asked for no step or child of this name'
  if (status === 'compensating' || parked?.from === 'compensating') {
    return entry.undo?.state === 'done' || entry.undo?.state === 'skipped' ? 'that is undone already' : undefined
  }
  return entry.order === undefined ? undefined : 'its body has been told the outcome already'
}

/** Takes what was asked for as done, or as undone when the instance is being compensated; `undefined`: that changes nothing. */
export function skipped(journal: Journal, id: string, output: Json, nowMs: number): JournalDraft | undefined {
  const entry = journal.entries.find((one) => one.id === id)
  if (skipProblem(journal, id) !== undefined || (entry?.op !== 'step' && entry?.op !== 'child')) return undefined
  const draft = draftOf(journal)
  resume(draft)
  if (draft.status === 'compensating') {
    putEntry(draft, { ...entry, undo: { state: 'skipped', attempts: entry.undo?.attempts ?? 0, atMs: nowMs } })
    return draft
  }
  const told = { order: ++draft.orderCount, atMs: nowMs }
  if (entry.op === 'child') putEntry(draft, { ...entry, ...told, outcome: { status: 'skipped', result: output } })
  else {
    const { dueMs: _due, ...rest } = entry
    putEntry(draft, { ...rest, ...told, state: 'skipped', output })
  }
  return draft
}

/** One that was parked goes on with what it did before. */
export function resume(draft: JournalDraft): void {
  if (draft.parked === undefined) return
  draft.status = draft.parked.from
  delete draft.parked
}
