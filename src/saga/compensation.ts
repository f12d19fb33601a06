import type { Effect } from '../runtime/index.ts'
import { channels } from '../telemetry/index.ts'
import { effectsOfCompensated } from './body-scope.ts'
import { inputEffect } from './inputs.ts'
import { type ChildEntry, errorNote, type JournalDraft, park, type StepEntry } from './journal.ts'
import type { SagaHost } from './saga-host.ts'
import { attemptUndo, undoAfterFailure } from './step-attempt.ts'

/** What becomes of one entry: it is done with, or the instance has to wait. */
type Undone = 'done' | 'waits'

/**
 * Undoes what the journal says was done or may have been done, the last first, one after the other. Each undo is durable
 * before the next begins, and is tried again until it succeeds.
 */
export async function compensate(host: SagaHost, draft: JournalDraft, effects: Effect[]): Promise<void> {
  const save = async (): Promise<void> => {
    draft.changedMs = host.clock.nowMs()
    await host.checkpoint({ ...draft, entries: [...draft.entries], inbox: [...draft.inbox] }, effects.splice(0))
  }
  // Whether the journal in the store is the one at hand.
  let isSaved = false
  for (let index = draft.entries.length - 1; index >= 0; index--) {
    const entry = draft.entries[index]
    if (entry?.op === 'child') {
      if (undoChild(host, draft, index, entry, effects) === 'waits') return
    } else if (entry?.op === 'step' && needsUndo(entry)) {
      const step = Object.hasOwn(host.definition.steps, entry.name) ? host.definition.steps[entry.name] : undefined
      if (step === undefined) {
        const problem = `Step ${entry.name}, which is to be undone, is not declared.`
        const remedy = 'Declare it again, or skip it. Then retry.'
        return park(draft, { reason: 'step-unknown', problem, remedy, from: 'compensating' })
      }
      if (step.undo === undefined) continue
      if (entry.undo?.state === 'retrying' && (entry.undo.dueMs ?? 0) > host.clock.nowMs()) return
      if (!isSaved) await save()
      isSaved = false
      const error = await attemptUndo(host, step, entry)
      if (error !== undefined) {
        const after = undoAfterFailure(host, step.undoRetry, entry.undo, error)
        draft.entries[index] = { ...entry, undo: after.undo }
        alert(host, entry.id, after.undo.attempts, after.error, after.delayMs)
        return
      }
      draft.entries[index] = {
        ...entry,
        undo: { state: 'done', attempts: entry.undo?.attempts ?? 0, atMs: host.clock.nowMs() },
      }
    }
  }
  try {
    effects.push(...effectsOfCompensated(host, draft))
    draft.status = 'compensated'
  } catch (error) {
    const problem = `Everything is undone, but \`compensated\` threw: ${errorNote(error).message}`
    park(draft, { reason: 'compensated-threw', problem, remedy: 'Correct it. Then retry.', from: 'compensating' })
  }
}

function needsUndo({ state, isUnsure, undo }: StepEntry): boolean {
  if (undo?.state === 'done' || undo?.state === 'skipped') return false
  return state !== 'rejected' || isUnsure === true
}

function undoChild(host: SagaHost, draft: JournalDraft, index: number, entry: ChildEntry, effects: Effect[]): Undone {
  const { undo, outcome } = entry
  if (undo?.state === 'skipped' || undo?.state === 'done') return 'done'
  // It has undone everything itself, never began, or is none of the parent's business any more.
  if (outcome?.status === 'compensated' || outcome?.status === 'refused' || outcome?.status === 'skipped') return 'done'
  if (outcome?.status === 'gone') {
    const problem = `Child saga ${entry.saga} under key ${JSON.stringify(entry.key)} is not kept any more.`
    const remedy = `Undo by hand what it did, then skip ${entry.id}.`
    park(draft, { reason: 'child-gone', problem, remedy, from: 'compensating' })
    return 'waits'
  }
  if (undo?.state === 'asked') return 'waits'
  draft.entries[index] = { ...entry, undo: { state: 'asked', attempts: 0 } }
  const reason = `its parent ${host.definition.name} under key ${JSON.stringify(host.key)} is compensated`
  const parent = { saga: host.definition.name, key: host.key, entry: entry.id, id: draft.id }
  effects.push(inputEffect(host.app, entry.saga, entry.key, { kind: 'compensate', reason, parent }))
  return 'waits'
}

function alert(host: SagaHost, step: string, attempt: number, error: unknown, delayMs: number): void {
  if (!channels.undoFailed.hasSubscribers) return
  channels.undoFailed.publish({ handler: host.group, key: host.key, step, attempt, error, delayMs })
}
