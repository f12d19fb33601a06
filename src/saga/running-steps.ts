import type { AnyStep } from './definition.ts'
import type { StepEntry } from './journal.ts'
import type { JournalBook } from './journal-book.ts'
import type { SagaHost } from './saga-host.ts'
import { afterFailure, attemptStep, type StepOutcome } from './step-attempt.ts'

/** The steps of one run of a body that are being attempted now, side by side. */
export class RunningSteps {
  readonly #host: SagaHost
  readonly #book: JournalBook
  readonly #changed: () => void
  readonly #running = new Set<string>()
  readonly #finished: { readonly id: string; readonly outcome: StepOutcome }[] = []
  #failure: { readonly error: unknown } | undefined

  /** @param changed Called when an attempt has ended. */
  constructor(host: SagaHost, book: JournalBook, changed: () => void) {
    this.#host = host
    this.#book = book
    this.#changed = changed
  }

  get size(): number {
    return this.#running.size
  }

  has(id: string): boolean {
    return this.#running.has(id)
  }

  /** The declaration of a step; `undefined`: there is none. */
  stepOf({ name }: StepEntry): AnyStep | undefined {
    const { steps } = this.#host.definition
    return Object.hasOwn(steps, name) ? steps[name] : undefined
  }

  begin(entry: StepEntry): void {
    this.#running.add(entry.id)
    attemptStep(this.#host, entry.id, this.stepOf(entry) as AnyStep, entry).then(
      (outcome) => {
        this.#finished.push({ id: entry.id, outcome })
        this.#changed()
      },
      (error: unknown) => {
        this.#failure ??= { error }
        this.#changed()
      },
    )
  }

  /**
   * What the attempts that have ended make of their entries: those whose outcome is known, and those that are tried again.
   *
   * @throws the reason of the host's signal
   */
  settle(): { readonly completed: readonly StepEntry[]; readonly retrying: readonly StepEntry[] } {
    if (this.#failure !== undefined) throw this.#failure.error
    const completed: StepEntry[] = []
    const retrying: StepEntry[] = []
    for (const { id, outcome } of this.#finished.splice(0)) {
      this.#running.delete(id)
      const entry = this.#book.entry(id) as StepEntry
      const { dueMs: _due, error: _error, ...rest } = entry
      if (outcome.kind === 'done') {
        const { output } = outcome
        completed.push(output === undefined ? { ...rest, state: 'done' } : { ...rest, state: 'done', output })
      } else if (outcome.kind === 'rejected') {
        const isUnsure = entry.attempts > 0 || !this.#book.isFresh(id)
        const refused = { ...rest, state: 'rejected', error: outcome.note, output: outcome.facts } as const
        completed.push(isUnsure ? { ...refused, isUnsure } : refused)
      } else {
        const after = afterFailure(this.#host, this.stepOf(entry) as AnyStep, entry, outcome)
        if (after.state === 'retrying') retrying.push(after)
        else completed.push(after)
      }
    }
    return { completed, retrying }
  }
}
