import { readFileSync } from 'node:fs'

/** Resident set of a process as the kernel states it now, in bytes; nothing where there is no such place to look. */
export function residentBytesOf(pid: number): number | undefined {
  return statedBytes(pid, 'VmRSS')
}

/**
 * Memory of some processes together, in bytes: the pages that each has alone, and the shared ones of the process that has most
 * of them. Of a single process, its resident set.
 */
export function residentBytesTogether(pids: readonly number[]): number {
  const found = pids.map((pid) => {
    const text = readFileSync(`/proc/${pid}/smaps_rollup`, 'utf8')
    const bytesOf = (name: string): number => Number(new RegExp(`^${name}: +(\\d+) kB`, 'm').exec(text)?.[1]) * 1024
    const own = bytesOf('Private_Clean') + bytesOf('Private_Dirty')
    return { own, shared: bytesOf('Rss') - own }
  })
  return found.reduce((sum, { own }) => sum + own, 0) + Math.max(...found.map(({ shared }) => shared))
}

/**
 * Largest resident set that this process ever had, in bytes. Where the kernel states none: what `getrusage` says, which on
 * some systems counts the process that started this one too.
 */
export function residentBytesMax(): number {
  return statedBytes(process.pid, 'VmHWM') ?? process.resourceUsage().maxRSS * 1024
}

function statedBytes(pid: number, name: 'VmRSS' | 'VmHWM'): number | undefined {
  try {
    const line = readFileSync(`/proc/${pid}/status`, 'utf8')
      .split('\n')
      .find((one) => one.startsWith(`${name}:`))
    const kibibytes = line === undefined ? Number.NaN : Number.parseInt(line.slice(name.length + 1), 10)
    return Number.isNaN(kibibytes) ? undefined : kibibytes * 1024
  } catch {
    return undefined
  }
}
