import { createReadStream } from 'node:fs'
import { createInterface } from 'node:readline'
import { InvariantError } from '../../src/kernel/index.ts'

/** What one system call did to the disk. */
export type DiskCall =
  | { readonly kind: 'open'; readonly path: string; readonly creates: boolean; readonly truncates: boolean }
  | { readonly kind: 'close'; readonly descriptor: number }
  /** `offset` null: where the file's last such write ended, which is its end in a file of lines. */
  | { readonly kind: 'write'; readonly descriptor: number; readonly offset: number | null; readonly bytes: Buffer }
  | { readonly kind: 'truncate'; readonly descriptor: number; readonly byteCount: number }
  | { readonly kind: 'sync'; readonly descriptor: number }
  | { readonly kind: 'make-folder'; readonly path: string }
  | { readonly kind: 'unlink'; readonly path: string }
  | { readonly kind: 'rename'; readonly from: string; readonly to: string }

/** A system call with the lines of the log at which it began and came back: the order in which things happened. */
export interface TracedCall {
  readonly call: DiskCall
  readonly enter: number
  /** Infinity: it never came back. */
  readonly exit: number
  /** What it answered; negative: an error. For `open` the descriptor, for `write` the bytes taken. */
  readonly result: number
}

/** Calls that are modelled, and those that are not but must not go unnoticed. */
export const tracedCalls: readonly string[] = [
  ...['openat', 'close', 'write', 'pwrite64', 'ftruncate', 'fsync', 'fdatasync', 'mkdir', 'unlink', 'rename'],
  ...['open', 'creat', 'writev', 'pwritev', 'pwritev2', 'truncate', 'fallocate', 'copy_file_range', 'sendfile'],
  ...['sync_file_range', 'link', 'linkat', 'symlink', 'symlinkat', 'unlinkat', 'renameat', 'renameat2', 'mkdirat'],
  ...['mmap', 'ioctl'],
]

/** Asked of files too, but changes none. */
const harmless = new Set(['ioctl'])

function bytesOf(text: string): Buffer {
  return Buffer.from(text.replaceAll('\\x', ''), 'hex')
}

function match(pattern: RegExp, line: string): RegExpExecArray {
  const found = pattern.exec(line)
  if (found === null) throw new InvariantError(`the log of system calls has the expected form (${line.slice(0, 200)})`)
  return found
}

/** Undefined: the call changes nothing. @throws InvariantError for a call that is not modelled, or with data cut short */
function parseCall(name: string, args: string): DiskCall | undefined {
  switch (name) {
    case 'openat': {
      const [, path = '', flags = ''] = match(/^AT_FDCWD, "([^"]*)", ([A-Z_|]+)/, args)
      const words = flags.split('|')
      const [creates, truncates] = [words.includes('O_CREAT'), words.includes('O_TRUNC')]
      return { kind: 'open', path: bytesOf(path).toString(), creates, truncates }
    }
    case 'close':
      return { kind: 'close', descriptor: Number.parseInt(args, 10) }
    case 'write':
    case 'pwrite64': {
      const [, descriptor, data = '', count, offset] = match(/^(\d+), "([^"]*)"(?:\.\.\.)?, (\d+)(?:, (\d+))?/, args)
      const bytes = bytesOf(data)
      if (bytes.length !== Number(count)) throw new InvariantError('the log of system calls has all data')
      return {
        kind: 'write',
        descriptor: Number(descriptor),
        offset: offset === undefined ? null : Number(offset),
        bytes,
      }
    }
    case 'ftruncate': {
      const [, descriptor, byteCount] = match(/^(\d+), (\d+)/, args)
      return { kind: 'truncate', descriptor: Number(descriptor), byteCount: Number(byteCount) }
    }
    case 'fsync':
    case 'fdatasync':
      return { kind: 'sync', descriptor: Number.parseInt(args, 10) }
    case 'mkdir':
      return { kind: 'make-folder', path: bytesOf(match(/^"([^"]*)"/, args)[1] ?? '').toString() }
    case 'unlink':
      return { kind: 'unlink', path: bytesOf(match(/^"([^"]*)"/, args)[1] ?? '').toString() }
    case 'rename': {
      const [, from = '', to = ''] = match(/^"([^"]*)", "([^"]*)"/, args)
      return { kind: 'rename', from: bytesOf(from).toString(), to: bytesOf(to).toString() }
    }
    default:
      if (harmless.has(name)) return undefined
      throw new InvariantError(`${name} is a system call that the model of the disk knows`)
  }
}

interface Begun {
  readonly call: DiskCall | undefined
  readonly enter: number
}

/** Reads what strace wrote, in the order in which the calls began. */
export async function readTrace(path: string): Promise<TracedCall[]> {
  const calls: TracedCall[] = []
  const begun = new Map<string, Begun>()
  let line = 0
  const add = ({ call, enter }: Begun, exit: number, result: number): void => {
    if (call !== undefined) calls.push({ call, enter, exit, result })
  }
  for await (const text of createInterface({ input: createReadStream(path) })) {
    const at = line++
    const thread = text.slice(0, text.indexOf(' '))
    const rest = text.slice(thread.length).trimStart()
    // Ends of threads, signals, and calls that strace could not ask after: the thread was killed before it made them.
    if (['+++', '---', '???'].some((mark) => rest.startsWith(mark))) continue
    const result = Number(/ = (-?\d+)(?: |$)[^"]*$/.exec(rest.slice(-200))?.[1] ?? Number.NaN)
    const resumed = /^<\.\.\. \S+ resumed>/.test(rest)
    if (resumed) {
      const before = begun.get(thread)
      begun.delete(thread)
      // `= ?` is said of a call whose thread was killed.
      if (before !== undefined) add(before, Number.isNaN(result) ? Number.POSITIVE_INFINITY : at, result)
      continue
    }
    const parenthesis = rest.indexOf('(')
    const call = parseCall(rest.slice(0, parenthesis), rest.slice(parenthesis + 1))
    if (rest.endsWith('<unfinished ...>')) begun.set(thread, { call, enter: at })
    else add({ call, enter: at }, Number.isNaN(result) ? Number.POSITIVE_INFINITY : at, result)
  }
  for (const one of begun.values()) add(one, Number.POSITIVE_INFINITY, Number.NaN)
  return calls.sort((a, b) => a.enter - b.enter)
}
