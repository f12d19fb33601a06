import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { cpSync, readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import type { SeededRandom } from '../../src/kernel/index.ts'
import { atExit } from '../at-exit.ts'
import { Audits } from '../audits.ts'
import { type Bench, type Failure, goesOn, type Kind, type KindResult } from '../kind.ts'
import { runToEnd } from '../run-to-end.ts'
import { Scratch } from '../scratch.ts'
import { straceProblem } from '../traced-process.ts'
import { cutWrites } from './cut-writes.ts'
import { SmallDisk } from './small-disk.ts'

const load = join(import.meta.dirname, '..', 'faults', 'fault-load-process.ts')
const rounds = 3
const endMsMax = 60_000
/** Of what the load takes if nothing stops it: never the same, but never so little. */
const reachedShare = 0.9
/** Bytes that a file may have at least: the witness writes a file too, and must not run out of paper. */
const fileBytesMin = 20 * 1024

/** What ends first, on a file that is new or one that was written before. */
const kinds = [
  { name: 'a new file on a full disk', isNew: true, end: 'disk' },
  { name: 'a file in use on a full disk', isNew: false, end: 'disk' },
  { name: 'a new file that may not grow', isNew: true, end: 'file' },
  { name: 'a file in use that may not grow', isNew: false, end: 'file' },
] as const

/** Disks and files that take only so much: writes are cut short there, wherever that is. */
export const fullDisk: Kind = {
  name: 'full-disk',
  title: 'disks and files that take only so much',
  casesQuick: 12,
  casesFull: 1_000,
  impossible,
  run: (bench) => new FullDisks(bench).run(),
}

function impossible(): string | undefined {
  using scratch = new Scratch()
  const disk = new SmallDisk(scratch.folder('disk'))
  if (!disk.mount()) return 'no disk may be mounted here'
  disk.unmount()
  return straceProblem()
}

/** How much the load takes of what it meets the end of: pages of the disk, and bytes of its longest file. */
interface Room {
  readonly pages: number
  readonly bytes: number
}

class FullDisks {
  readonly #bench: Bench
  readonly #disk: SmallDisk
  readonly #seed: string
  readonly #failures: Failure[] = []
  readonly #facts = { met: 0, cut: 0, refused: 0, notOpen: 0 }
  /** By kind of case, how many there were, and how many met the end. */
  readonly #cases = kinds.map(() => ({ count: 0, met: 0 }))

  constructor(bench: Bench) {
    this.#bench = bench
    this.#disk = new SmallDisk(bench.scratch.folder('disk'))
    this.#seed = bench.scratch.folder('seed')
  }

  async run(): Promise<KindResult> {
    const { random, budget } = this.#bench
    await using audits = new Audits(1)
    this.#disk.mount()
    const forget = atExit(() => this.#disk.unmount())
    using _ = {
      [Symbol.dispose]: () => {
        forget()
        this.#disk.unmount()
      },
    }
    await runToEnd([load, join(this.#seed, 'data', 'full.db'), join(this.#seed, 'journal.jsonl'), '0', String(rounds)])
    const rooms = { new: await this.#measure(true), old: await this.#measure(false) }
    let caseCount = 0
    while (goesOn(budget, caseCount, this.#failures.length)) {
      const number = caseCount++
      const { isNew } = kinds[number % kinds.length] as (typeof kinds)[number]
      await this.#case(number, isNew ? rooms.new : rooms.old, random, audits)
    }
    for (const [index, { count, met }] of this.#cases.entries()) {
      if (count === 0 || met > 0) continue
      const { name } = kinds[index] as (typeof kinds)[number]
      this.#failures.push({ name, problem: `none of its ${count} cases met the end`, evidence: null })
    }
    return { caseCount, failures: this.#failures, facts: this.#facts }
  }

  /** Lets the load run with all the room there is. It dies when its rounds are done, so that what it took is there to be seen. */
  async #measure(isNew: boolean): Promise<Room> {
    const { path, journalPath } = this.#begin(isNew)
    const before = this.#disk.usedPages
    await runToEnd([load, path, journalPath, '1', String(rounds), 'dies'])
    return { pages: this.#disk.usedPages - before, bytes: this.#disk.longestBytes }
  }

  /** The witness writes elsewhere than on the disk. */
  #begin(isNew: boolean): { readonly path: string; readonly journalPath: string; readonly notes: string } {
    this.#disk.fill(isNew ? undefined : join(this.#seed, 'data'))
    const notes = this.#bench.scratch.folder('notes')
    const journalPath = join(notes, 'journal.jsonl')
    if (!isNew) cpSync(join(this.#seed, 'journal.jsonl'), journalPath)
    return { path: this.#disk.path, journalPath, notes }
  }

  async #case(number: number, room: Room, random: SeededRandom, audits: Audits): Promise<void> {
    const index = number % kinds.length
    const { name, isNew, end } = kinds[index] as (typeof kinds)[number]
    const { path, journalPath, notes } = this.#begin(isNew)
    const freePages = Math.floor(random.nextFloat() * room.pages * reachedShare)
    const fileBytes = fileBytesMin + Math.floor(random.nextFloat() * (room.bytes * reachedShare - fileBytesMin))
    if (end === 'disk') this.#disk.leaveFree(freePages)
    const limit = end === 'file' ? fileBytes : undefined
    const { output, complaint, lines } = await runLimited(
      [load, path, journalPath, '1', String(rounds)],
      join(notes, 'calls.log'),
      limit,
    )
    this.#disk.free()
    const { cut, refused } = cutWrites(lines)
    const ofKind = this.#cases[index] as { count: number; met: number }
    ofKind.count++
    if (cut + refused > 0) {
      ofKind.met++
      this.#facts.met++
    }
    this.#facts.cut += cut
    this.#facts.refused += refused
    if (/^not open/m.test(output)) this.#facts.notOpen++
    const problem =
      strangeness(output, end) ??
      (output.trimEnd().endsWith('ended') ? null : `it died: ${complaint.slice(0, 1000)}`) ??
      (await audits.ask({ kind: 'load', path, journalPath, goesOn: number % 5 === 0 }))
    if (problem !== null) {
      const where = end === 'disk' ? `${freePages} pages free` : `${fileBytes} bytes at most`
      const evidence = this.#bench.scratch.keep(this.#disk.root, `full-disk ${number}`)
      this.#failures.push({ name: `case ${number}: ${name}, ${where}`, problem, evidence })
    }
    rmSync(notes, { recursive: true })
  }
}

/** A full disk passes, and is told as what it is. To a file that may not grow the engine can only say that it failed. */
function strangeness(output: string, end: 'disk' | 'file'): string | undefined {
  const strange = /^strange .*$/m.exec(output)?.[0]
  return strange ?? (end === 'disk' ? /^refused ENGINE_FAILED$/m.exec(output)?.[0] : undefined)
}

/** Runs a program with its writes watched, and with files that may have so many bytes at most. */
async function runLimited(
  args: readonly string[],
  logPath: string,
  fileBytesMax: number | undefined,
): Promise<{ readonly output: string; readonly complaint: string; readonly lines: readonly string[] }> {
  const limited = fileBytesMax === undefined ? [] : ['prlimit', `--fsize=${fileBytesMax}`]
  const traced = ['-f', '-qq', '-s', '0', '-o', logPath, '-e', 'trace=pwrite64', ...limited, process.execPath, ...args]
  // What Node keeps of programs may be longer than a file may be.
  const env = { ...process.env, NODE_DISABLE_COMPILE_CACHE: '1' }
  const child = spawn('strace', traced, { stdio: ['ignore', 'pipe', 'pipe'], env, detached: true })
  const kill = (): void => void (child.pid !== undefined && process.kill(-child.pid, 'SIGKILL'))
  const forget = atExit(kill)
  const late = setTimeout(kill, endMsMax)
  let [output, complaint] = ['', '']
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    output += text
  })
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    complaint += text
  })
  await once(child, 'close')
  forget()
  clearTimeout(late)
  return { output, complaint, lines: readFileSync(logPath, 'utf8').split('\n') }
}
