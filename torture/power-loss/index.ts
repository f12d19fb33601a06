import { mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import type { SeededRandom } from '../../src/kernel/index.ts'
import { Audits } from '../audits.ts'
import { failureOf } from '../cases.ts'
import { type Bench, type Failure, goesOn, type Kind, type KindResult } from '../kind.ts'
import { straceProblem } from '../traced-process.ts'
import { fates, garbage } from './file-content.ts'
import { databasePath, journalAt, type Recording, readTree, record } from './recording.ts'
import { type Fates, TracedDisk, type Tree } from './traced-disk.ts'

/** Images of one recording; then what one of them holds is loaded on, and recorded again. */
const imagesPerRecording = 250
/** How long each recording of a row lasts: what a power cut can leave of a few commits differs as much, and is looked at sooner. */
const loadsMs = [100, 200, 400, 1500]
const logBytesMax = 48 * 1024 * 1024
/** Images that wait for an auditor, in memory. */
const imagesWaitingMax = 4
/** One in so many is written to after the audit and opened again. */
const goesOnEvery = 16

const nameFates = ['dropped', 'kept', 'prefix', 'subset'] as const

/** Power loss: disks rebuilt from what a run asked of the disk, and opened. */
export const powerLoss: Kind = {
  name: 'power-loss',
  title: 'disks as a power cut leaves them',
  casesQuick: 500,
  casesFull: 50_000,
  impossible: straceProblem,
  run: (bench) => new PowerLoss(bench).run(),
}

class PowerLoss {
  readonly #bench: Bench
  readonly #failures: Failure[] = []
  readonly #facts: Record<string, number> = { recordings: 0, calls: 0, syncs: 0, acknowledged: 0, unsynced: 0 }
  #caseCount = 0

  constructor(bench: Bench) {
    this.#bench = bench
  }

  async run(): Promise<KindResult> {
    const { budget, scratch } = this.#bench
    await using audits = new Audits()
    let start: { before: Tree; history: readonly string[] } = { before: new Map(), history: [] }
    for (let run = 0; goesOn(budget, this.#caseCount, this.#failures.length); run++) {
      // Now and then from nothing: making a file is a moment of its own.
      const loadMs = loadsMs[run % loadsMs.length] as number
      if (run % loadsMs.length === 0) start = { before: new Map(), history: [] }
      const recording = await record(scratch, run, start, { loadMs, logBytesMax })
      this.#count(recording)
      await this.#checkImages(recording, audits, run)
      start = this.#nextStart(recording)
      rmSync(dirname(recording.root), { recursive: true, force: true })
    }
    return { caseCount: this.#caseCount, failures: this.#failures, facts: this.#facts }
  }

  #count({ calls, notes }: Recording): void {
    this.#add('recordings', 1)
    this.#add('calls', calls.length)
    this.#add('syncs', calls.filter(({ call }) => call.kind === 'sync').length)
    this.#add('acknowledged', notes.filter(({ text }) => text.includes('"ack"')).length)
  }

  async #checkImages(recording: Recording, audits: Audits, run: number): Promise<void> {
    const { budget, random } = this.#bench
    const disk = new TracedDisk(recording.root, recording.before, recording.calls)
    const count = Math.min(imagesPerRecording, budget.casesMax - this.#caseCount)
    const waiting = new Set<Promise<void>>()
    for (const line of cutLines(recording, count, random)) {
      if (!goesOn(budget, this.#caseCount, this.#failures.length)) break
      disk.advanceTo(line)
      if (disk.changeCount > 0) this.#add('unsynced', 1)
      const at = `run ${run}, line ${line}`
      const checked = this.#checkImage(recording, disk, line, audits, at)
        .catch((error: unknown) => this.#failures.push(failureOf(at, error)))
        .then(() => void waiting.delete(checked))
      waiting.add(checked)
      while (waiting.size >= imagesWaitingMax) await Promise.race(waiting)
    }
    await Promise.all(waiting)
  }

  async #checkImage(recording: Recording, disk: TracedDisk, line: number, audits: Audits, at: string): Promise<void> {
    const { random, scratch } = this.#bench
    const folder = scratch.folder('image')
    const what = {
      content: fates[random.nextUint32() % fates.length] as Fates['content'],
      names: nameFates[random.nextUint32() % nameFates.length] as Fates['names'],
    }
    disk.writeImage(join(folder, 'disk'), what, random)
    const path = join(folder, 'disk', databasePath)
    leaveSharedMemory(path, random)
    const journalPath = join(folder, 'journal.jsonl')
    writeFileSync(journalPath, journalAt(recording, line).join(''))
    const number = this.#caseCount++
    const problem = await audits.ask({ kind: 'load', path, journalPath, goesOn: number % goesOnEvery === 0 })
    if (problem !== null) {
      const name = `image ${number}: ${at}, content ${what.content}, names ${what.names}`
      this.#failures.push({ name, problem, evidence: scratch.keep(folder, `power-loss ${number}`) })
    }
    rmSync(folder, { recursive: true, force: true })
  }

  /** What the next run finds: the disk after a power cut, with what had been said by then. */
  #nextStart(recording: Recording): { before: Tree; history: readonly string[] } {
    const { random, scratch } = this.#bench
    const disk = new TracedDisk(recording.root, recording.before, recording.calls)
    const line = Math.floor(recording.lineCount * (0.5 + random.nextFloat() / 2))
    disk.advanceTo(line)
    const folder = scratch.folder('start')
    disk.writeImage(folder, { content: 'torn', names: 'prefix' }, random)
    const before = readTree(folder)
    rmSync(folder, { recursive: true, force: true })
    return { before, history: journalAt(recording, line) }
  }

  #add(fact: string, count: number): void {
    this.#facts[fact] = (this.#facts[fact] ?? 0) + count
  }
}

/**
 * Where the power goes, in order. Most moments are drawn evenly; some just after a word was given, which is where a
 * missing sync shows, and some just after names or sizes changed, which is rare and where file systems promise least.
 */
function cutLines({ calls, lineCount, notes }: Recording, count: number, random: SeededRandom): number[] {
  const words = notes.filter(({ text }) => text.includes('"ack"')).map(({ line }) => line)
  const names = calls
    .filter(({ call }) => !['write', 'sync', 'close'].includes(call.kind))
    .flatMap(({ enter, exit }) => [enter, exit, enter + 2, exit + 4])
    .filter((line) => line <= lineCount)
  const oneOf = (lines: readonly number[]): number =>
    lines[random.nextUint32() % Math.max(1, lines.length)] ?? random.nextUint32() % (lineCount + 1)
  return Array.from({ length: count }, () => {
    const draw = random.nextFloat()
    if (draw < 0.3) return oneOf(words)
    return draw < 0.45 ? oneOf(names) : oneOf([])
  }).sort((a, b) => a - b)
}

/** SQLite's shared memory is not written by calls that could be cut: after a power cut anything may stand there. */
function leaveSharedMemory(path: string, random: SeededRandom): void {
  const draw = random.nextUint32() % 3
  if (draw === 0) return
  mkdirSync(dirname(path), { recursive: true })
  writeFileSync(`${path}-shm`, draw === 1 ? Buffer.alloc(32 * 1024) : garbage(32 * 1024, random))
}
