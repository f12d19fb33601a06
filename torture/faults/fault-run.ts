import { readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { InvariantError } from '../../src/kernel/index.ts'
import { TracedProcess } from '../traced-process.ts'

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
  const tracing = { paths, calls: [...Object.keys(faultyCalls), 'write'], logPath }
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

/**
 * After a sync of the log failed nobody knows what the disk holds, so what is tried from then on must not be acknowledged. (A
 * failed sync of the database itself spoils a checkpoint only: the log still holds everything.)
 */
function lateAcknowledgement(lines: readonly string[]): string | null {
  let log: string | undefined
  let isFailed = false
  const late = new Set<string>()
  for (const line of lines) {
    const opened = /openat\(AT_FDCWD, "[^"]*-wal", .* = (\d+)$/.exec(line)
    if (opened !== null) log = opened[1]
    const synced = /f(?:data)?sync\((\d+)\) += -1 .*\(INJECTED\)/.exec(line)
    if (synced !== null && synced[1] === log) isFailed = true
    const note = /write\(\d+, "\{\\"kind\\":\\"(attempt|ack)\\",\\"id\\":\\"([^\\]+)\\"/.exec(line)
    if (note === null || !isFailed) continue
    const [, kind, id = ''] = note
    if (kind === 'attempt') late.add(id)
    else if (late.has(id)) return `${id} was tried after a sync failed, and acknowledged`
  }
  return null
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
