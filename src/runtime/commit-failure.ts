/** What a commit that threw means. */
export type CommitFailure =
  /** The engine will not take commits any more. */
  | 'engine'
  /** Nothing is wrong with what was committed: it works once there is room on the disk. */
  | 'disk-full'
  /** The engine refuses what was to be written: too large, to an unknown place, not JSON. */
  | 'content'

/** Codes of errors after which an engine has to be opened anew, in a program that may have changed. */
const engineCodes: ReadonlySet<unknown> = new Set(['CLOSED', 'ENGINE_FAILED', 'ENGINE_READ_ONLY', 'INVARIANT_BROKEN'])

/** Sorts out why a commit threw. */
export function commitFailureOf(error: unknown): CommitFailure {
  const code = (error as { readonly code?: unknown } | null | undefined)?.code
  if (code === 'DISK_FULL') return 'disk-full'
  return engineCodes.has(code) ? 'engine' : 'content'
}
