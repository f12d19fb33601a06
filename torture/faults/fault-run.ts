import { readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { InvariantError } from '../../src/kernel/index.ts'
import { TracedProcess } from '../traced-process.ts'
import { lateAcknowledgement } from './late-acknowledgement.ts'

/** Whatever fails, the engine must not keep anybody waiting for ever. */
const endMsMax = 60_000
const program = join(import.meta.dirname, 'fault-load-process.ts')

/** System calls on files that may fail, and what they may fail with. */
export const faultyCalls: Readonly<Record<string, readonly string[]>> = {
  pwrite64: ['error=EIO', 'error=ENOSPC', 'error=EINTR', 'retval=0'],
  pread64: ['error=EIO', 'error=EINTR', 'retval=0'],
  fsync: ['error=EIO', 'error=ENOSPC', 'error=EINTR'],
  fdatasync: ['error=EIO', 'error=ENOSPC', 'error=EINTR'],
  openat: ['error=EIO', 'error=EMFILE', 'error=ENOSPC', 'error=EINTR'],
  ftruncate: ['error=EIO', 'error=ENOSPC', 'error=EINTR'],
  fstat: ['error=EIO'],
  newfstatat: ['error=EIO'],
  // Asked for a lock without waiting, no kernel is interrupted.
  fcntl: ['error=EIO', 'error=ENOLCK'],
  mmap: ['error=ENOMEM'],
  unlink: ['error=EIO'],
  mkdir: ['error=EIO', 'error=ENOSPC'],
  lseek: ['error=EIO'],
  close: ['error=EIO', 'error=EINTR'],
}

/** What one run with or without faults came to. */
export interface FaultRun {
  readonly output: string
  /** What it did against the rules; null: nothing. */
  readonly problem: string | null
  /** How many calls were made to fail. */
  readonly injectedCount: number
  /** Of each call, how often the thread that made most of them made it. */
  readonly callCounts: ReadonlyMap<string, number>
}

/** Runs the load on a file, with one way to fail if any. */
export async function runWithFault(
  path: string,
  journalPath: string,
  logPath: string,
  run: number,
  rounds: number,
  inject?: string,
): Promise<FaultRun> {
  const files = ['', '-wal', '-shm', '-journal', '-lock', '-lock-journal'].map((suffix) => `${path}${suffix}`)
  const paths = [dirname(path), ...files, journalPath]
  const tracing = { paths, calls: [...Object.keys(faultyCalls), 'write'], logPath, data: 'text' } as const
  const args = [program, path, journalPath, String(run), String(rounds)]
  await using traced = new TracedProcess(args, inject === undefined ? tracing : { ...tracing, inject })
  const isInTime = await inTime(traced.exited)
  const lines = readFileSync(logPath, 'utf8').split('\n')
  return {
    output: traced.output,
    problem: isInTime ? problemOf(traced, lines) : `it did not end within ${endMsMax / 1000} seconds`,
    injectedCount: lines.filter((line) => line.includes('(INJECTED)')).length,
    callCounts: countCalls(lines),
  }
}

async function inTime(exited: Promise<unknown>): Promise<boolean> {
  const late = Promise.withResolvers<false>()
  const timer = setTimeout(() => late.resolve(false), endMsMax)
  const isInTime = await Promise.race([exited.then(() => true), late.promise])
  clearTimeout(timer)
  return isInTime
}

function problemOf({ output, complaint }: TracedProcess, lines: readonly string[]): string | null {
  const strange = /^strange (.*)$/m.exec(output)
  if (strange !== null) return `an error without a name: ${strange[1]}`
  if (!output.trimEnd().endsWith('ended')) return `it died: ${complaint.slice(0, 1000)}`
  return lateAcknowledgement(lines)
}

function countCalls(lines: readonly string[]): ReadonlyMap<string, number> {
  const byThread = new Map<string, number>()
  const most = new Map<string, number>()
  for (const line of lines) {
    const found = /^(\d+) +(\w+)\(/.exec(line)
    if (found === null) continue
    const [, thread, call = ''] = found
    const count = (byThread.get(`${thread} ${call}`) ?? 0) + 1
    byThread.set(`${thread} ${call}`, count)
    most.set(call, Math.max(most.get(call) ?? 0, count))
  }
  if (most.size === 0) throw new InvariantError('a run under strace leaves a log')
  return most
}
