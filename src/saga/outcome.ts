import { ChildFailedError, StepFailedError, StepRejectedError } from './errors.ts'
import { errorNote, type JournalEntry } from './journal.ts'

/** Who waits for an outcome. */
export interface Ask {
  readonly resolve: (value: unknown) => void
  readonly reject: (error: unknown) => void
}

/** Tells a body the outcome of an entry, the same way each time. */
export function tellOutcome(entry: JournalEntry, ask: Ask): void {
  switch (entry.op) {
    case 'step':
      if (entry.state === 'failed') {
        ask.reject(new StepFailedError(entry.id, entry.attempts, entry.error ?? errorNote('unknown')))
      } else if (entry.state === 'rejected') {
        ask.reject(new StepRejectedError(entry.error?.message ?? '', entry.output ?? null))
      } else {
        ask.resolve(entry.output ?? null)
      }
      return
    case 'signal':
      ask.resolve(entry.data?.value)
      return
    case 'child':
      if (entry.outcome?.status === 'compensated') ask.reject(new ChildFailedError(entry.id, entry.outcome.failure))
      else ask.resolve(entry.outcome?.status === 'completed' ? entry.outcome.result : null)
      return
    default:
      ask.resolve(undefined)
  }
}
