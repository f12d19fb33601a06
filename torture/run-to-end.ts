import { execFile } from 'node:child_process'

const endMsMax = 120_000

/** What a program said that was to end by itself, and how it ended: a code, or the signal that killed it. */
export interface RunEnd {
  readonly end: number | string
  readonly output: string
  readonly complaint: string
}

/** Runs a program of Node until it ends. `forMs`: so long it works before it is to end. */
export function runToEnd(args: readonly string[], { forMs = 0 }: { readonly forMs?: number } = {}): Promise<RunEnd> {
  const limits = { timeout: forMs + endMsMax, killSignal: 'SIGKILL', maxBuffer: 256 * 1024 * 1024 } as const
  return new Promise((resolve) => {
    execFile(process.execPath, args as string[], limits, (error, output, complaint) => {
      resolve({ end: error === null ? 0 : (error.code ?? error.signal ?? -1), output, complaint })
    })
  })
}
