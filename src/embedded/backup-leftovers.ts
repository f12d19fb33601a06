import { createHash } from 'node:crypto'
import { existsSync, readdirSync, readFileSync, readlinkSync, rmSync, statSync } from 'node:fs'
import { hostname } from 'node:os'
import { basename, dirname, join } from 'node:path'
import { systemClock, systemRandom } from '../kernel/index.ts'

/** A backup that is under way writes all the time: one that has not for so long is over, whoever made it. One that was stopped for
 * longer and wakes up finds its file gone, which is an error and no copy that could be taken for a whole one. */
const quietMsMax = 24 * 60 * 60 * 1000

/**
 * Where a backup to this place is written until it is complete: of each backup by itself, since somebody else may make one of the
 * same name at the same time.
 *
 * @param processId Who makes it. Default: this process.
 * @param herd Which processes its number tells it from. Default: those of this machine or container.
 */
export function partialPathOf(target: string, processId: number = process.pid, herd: string = ownHerd()): string {
  return `${target}-partial-${herd}-${processId}-${systemRandom.nextUint32()}`
}

/**
 * Removes what backups to this place have left that are over: their process is gone, or they are not written any more. Only a process
 * of the same machine and container can be looked for by its number, and another one may have got that since.
 */
export function removeLeftovers(target: string): void {
  const begin = `${basename(target)}-partial-`
  const folder = dirname(target)
  if (!existsSync(folder)) return
  for (const name of readdirSync(folder)) {
    if (!name.startsWith(begin)) continue
    const found = /^(?:([0-9a-f]{16})-)?(\d+)-\d+$/.exec(name.slice(begin.length))
    if (found === null) continue
    const path = join(folder, name)
    const isGone = found[1] === ownHerd() && !isAlive(Number(found[2]))
    if (isGone || isQuiet(path)) rmSync(path, { force: true })
  }
}

function isAlive(processId: number): boolean {
  try {
    return process.kill(processId, 0)
  } catch (error) {
    // Somebody else's is alive too.
    return (error as { readonly code?: unknown }).code !== 'ESRCH'
  }
}

function isQuiet(path: string): boolean {
  const changedMs = statSync(path, { throwIfNoEntry: false })?.mtimeMs
  return changedMs !== undefined && systemClock.nowMs() - changedMs > quietMsMax
}

let herd: string | undefined

/** Names those processes that have one numbering with this one: of one start of one machine, and in it of one container. */
function ownHerd(): string {
  herd ??= createHash('sha256')
    .update([hostname(), ...linuxHerd()].join('\n'))
    .digest('hex')
    .slice(0, 16)
  return herd
}

/** Empty where the system has no such numberings, or does not show them. */
function linuxHerd(): readonly string[] {
  try {
    return [readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim(), readlinkSync('/proc/self/ns/pid')]
  } catch {
    return []
  }
}
