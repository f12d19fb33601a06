import { mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { InvariantError } from '../../src/kernel/index.ts'
import type { Scratch } from '../scratch.ts'
import { TracedProcess } from '../traced-process.ts'
import { readTrace, type TracedCall, tracedCalls } from './trace.ts'
import type { Tree } from './traced-disk.ts'

/** Where the database lies below the folder that is traced: in a folder that the engine has to make. */
export const databasePath = 'data/torture.db'
/** SQLite's index of its log is memory that processes share by a file: what a power cut leaves of it is no data. */
const sharedMemoryPath = `${databasePath}-shm`

const load = join(import.meta.dirname, '..', '..', 'src', 'embedded', 'fixtures', 'crash-worker.ts')

/** One run under load that was written down call by call. */
export interface Recording {
  /** The folder that was traced. */
  readonly root: string
  readonly before: Tree
  readonly calls: readonly TracedCall[]
  readonly lineCount: number
  /** What the load said of its writes before this run. */
  readonly history: readonly string[]
  /** What it said in this run, and when. */
  readonly notes: readonly { readonly line: number; readonly text: string }[]
}

/** How long the load is on, and how much of it is enough. */
export interface RecordingLimits {
  readonly loadMs: number
  readonly logBytesMax: number
}

/** Runs the load on what is there already, and kills it. */
export async function record(
  scratch: Scratch,
  run: number,
  start: { readonly before: Tree; readonly history: readonly string[] },
  { loadMs, logBytesMax }: RecordingLimits,
): Promise<Recording> {
  const folder = scratch.folder('recording')
  const root = join(folder, 'disk')
  const journalPath = join(folder, 'journal.jsonl')
  const logPath = join(folder, 'calls.log')
  writeTree(root, start.before)
  const database = join(root, databasePath)
  const files = ['', '-wal', '-journal', '-lock', '-lock-journal'].map((suffix) => `${database}${suffix}`)
  const paths = [root, dirname(database), ...files, journalPath]
  const tracing = { paths, calls: tracedCalls, logPath, data: 'hexadecimal' } as const
  await using traced = new TracedProcess([load, database, journalPath, String(run)], tracing)
  await traced.spoke()
  const endMs = performance.now() + loadMs
  while (traced.isRunning && performance.now() < endMs && statSync(logPath).size < logBytesMax) await pause(20)
  if (!traced.isRunning) throw new InvariantError(`the load ends only when it is killed (${traced.complaint})`)
  await traced.kill()
  const calls = await readTrace(logPath)
  const lineCount = calls.reduce((last, { enter, exit }) => Math.max(last, enter, Number.isFinite(exit) ? exit : 0), 0)
  return { root, before: start.before, calls, lineCount, history: start.history, notes: notesOf(calls, journalPath) }
}

/** What was written to the journal, by the moment at which it was: nobody can take back a word that he began to say. */
function notesOf(calls: readonly TracedCall[], journalPath: string): { line: number; text: string }[] {
  const opened = calls.find(({ call }) => call.kind === 'open' && call.path === journalPath)
  const notes: { line: number; text: string }[] = []
  for (const { call, enter } of calls) {
    if (call.kind !== 'write' || call.descriptor !== opened?.result) continue
    notes.push({ line: enter, text: call.bytes.toString() })
  }
  return notes
}

/** The lines of the journal as they stood at a line of the log. */
export function journalAt({ history, notes }: Recording, line: number): string[] {
  return [...history, ...notes.filter((note) => note.line <= line).map(({ text }) => text)]
}

export function writeTree(root: string, tree: Tree): void {
  mkdirSync(root, { recursive: true })
  for (const [path, bytes] of tree) {
    mkdirSync(dirname(join(root, path)), { recursive: true })
    writeFileSync(join(root, path), bytes)
  }
}

export function readTree(root: string): Tree {
  const names = readdirSync(root, { recursive: true, encoding: 'utf8' })
  const files = names.filter((name) => name !== sharedMemoryPath && statSync(join(root, name)).isFile())
  return new Map(files.map((name) => [name, readFileSync(join(root, name))] as const))
}
