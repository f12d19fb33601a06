import { ChildFailedError, StepFailedError, StepRejectedError } from './errors.ts'
import { type ChildEntry, errorNote, type JournalEntry } from './journal.ts'

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
        ask.resolve(entry.output)
      }
      return
    case 'signal':
      ask.resolve(entry.data?.value)
      return
    case 'child':
      tellChild(entry, ask)
      return
    default:
      ask.resolve(undefined)
  }
}

function tellChild({ id, outcome }: ChildEntry, ask: Ask): void {
  switch (outcome?.status) {
    case 'compensated':
    case 'refused':
      ask.reject(new ChildFailedError(id, outcome.failure))
      return
    case 'completed':
    case 'skipped':
      ask.resolve(outcome.result)
      return
    default:
      ask.resolve(null)
  }
}
