/** An error as a journal keeps it. */
export interface ErrorNote {
  readonly name: string
  /** Its code, if it has one. */
  readonly code?: string
  /** Its message; of a StepRejectedError the reason alone. */
  readonly message: string
}
