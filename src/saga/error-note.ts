/** An error as a journal keeps it. */
export interface ErrorNote {
  readonly name: string
  /** Its code, if it has one. */
  readonly code?: string
  /** What went wrong; of a StepRejectedError the reason alone. */
  readonly message: string
  /** What to do about it, for those who run the app; errors of Millrace have it. */
  readonly remedy?: string
}
