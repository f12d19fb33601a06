import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { CommandFailedError } from './errors.ts'
import type { Report } from './server-kind.ts'

const patienceMs = 500

/**
 * Does something while no other process does the like in the same folder. The kernel holds the lock for a child process that
 * ends with this one, however this one ends, so there is no stale lock to recognise.
 */
export async function withFolderLock<Result>(
  folder: string,
  report: Report,
  work: () => Promise<Result>,
): Promise<Result> {
  const path = join(folder, 'lock')
  const holder = spawn('flock', [path, 'sh', '-c', 'echo held; exec cat'], { stdio: ['pipe', 'pipe', 'pipe'] })
  let complaint = ''
  holder.stderr.setEncoding('utf8').on('data', (chunk: string) => {
    complaint += chunk
  })
  const closed = once(holder, 'close')
  const waiting = setTimeout(() => report(`waiting for another command that works in ${folder}`), patienceMs)
  try {
    // Either it says that it holds the lock, or it ends without a word.
    const held = await Promise.race([once(holder.stdout, 'data').then(() => true), closed.then(() => false)])
    if (!held) throw new CommandFailedError('flock', 'did not get the lock', complaint)
    clearTimeout(waiting)
    return await work()
  } finally {
    clearTimeout(waiting)
    holder.stdin.end()
    await closed
  }
}
