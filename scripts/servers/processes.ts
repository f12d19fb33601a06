import { readdirSync, readFileSync } from 'node:fs'
import { setTimeout as wait } from 'node:timers/promises'

/**
 * A process that can be told from a later one with the same id: ids are used again, but not within one boot for a process
 * that began at the same clock tick.
 */
export interface ProcessRecord {
  readonly pid: number
  /** Id of the boot and clock tick at which the process began. */
  readonly identity: string
}

interface ProcessFacts {
  readonly parentPid: number
  /** One letter, as in proc_pid_stat(5): `T` is stopped, `Z` a zombie. */
  readonly state: string
  readonly threadCount: number
  readonly startTicks: string
}

const pollMs = 20

/** What proc_pid_stat(5) says of a process; `undefined` if there is none. */
export function parseProcessStat(text: string): ProcessFacts | undefined {
  // The second field is the program's name in parentheses; it may itself hold spaces and parentheses.
  const fields = text.slice(text.lastIndexOf(')') + 2).split(' ')
  const [state, parent] = fields
  const threads = fields[17]
  const startTicks = fields[19]
  if (state === undefined || parent === undefined || threads === undefined || startTicks === undefined) return undefined
  return { state, parentPid: Number(parent), threadCount: Number(threads), startTicks }
}

function factsOf(pid: number): ProcessFacts | undefined {
  try {
    return parseProcessStat(readFileSync(`/proc/${pid}/stat`, 'utf8'))
  } catch {
    return undefined
  }
}

/** A process whose first thread is a zombie still has its ports and files until the last of its threads is gone. */
export const isEnded = (facts: ProcessFacts | undefined): boolean =>
  facts === undefined || facts.state === 'X' || (facts.state === 'Z' && facts.threadCount <= 1)

/** What to keep of a process to find it again; `undefined` if it ended. */
export function recordOf(pid: number): ProcessRecord | undefined {
  const facts = factsOf(pid)
  if (facts === undefined || isEnded(facts)) return undefined
  const boot = readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim()
  return { pid, identity: `${boot}/${facts.startTicks}` }
}

/** State of the very process that was recorded, not of another one that got its id. */
export function stateOf(record: ProcessRecord | undefined): 'running' | 'paused' | 'stopped' {
  if (record === undefined || recordOf(record.pid)?.identity !== record.identity) return 'stopped'
  return factsOf(record.pid)?.state === 'T' ? 'paused' : 'running'
}

/** The processes below one, nearest first, itself not included. */
export function descendantsOf(pid: number): number[] {
  const childrenOf = new Map<number, number[]>()
  for (const name of readdirSync('/proc')) {
    if (!/^\d+$/.test(name)) continue
    const facts = factsOf(Number(name))
    if (facts === undefined) continue
    const siblings = childrenOf.get(facts.parentPid)
    if (siblings === undefined) childrenOf.set(facts.parentPid, [Number(name)])
    else siblings.push(Number(name))
  }
  const found = [pid]
  for (const parent of found) found.push(...(childrenOf.get(parent) ?? []))
  return found.slice(1)
}

/** Sends a signal; a process that has just ended is no fault. */
export function signalProcess(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error
  }
}

/**
 * Sends a signal to a process and all below it, the parent first: a server that is to be stopped or killed as a whole must
 * neither start new children nor notice that some are gone.
 */
export function signalTree(record: ProcessRecord, signal: 'SIGKILL' | 'SIGSTOP' | 'SIGCONT'): ProcessRecord[] {
  if (stateOf(record) === 'stopped') return []
  // Children of a killed parent get another one, so who they are is looked up before.
  const before = descendantsOf(record.pid)
  signalProcess(record.pid, signal)
  const pids = new Set([...before, ...descendantsOf(record.pid)])
  const signalled = [record]
  for (const pid of pids) {
    const child = recordOf(pid)
    if (child === undefined) continue
    signalProcess(pid, signal)
    signalled.push(child)
  }
  return signalled
}

/** Waits until all of them ended. Answers `false` if one is left after `timeoutMs`. */
export async function waitUntilEnded(records: readonly ProcessRecord[], timeoutMs: number): Promise<boolean> {
  const endMs = performance.now() + timeoutMs
  while (records.some((record) => stateOf(record) !== 'stopped')) {
    if (performance.now() > endMs) return false
    await wait(pollMs)
  }
  return true
}
