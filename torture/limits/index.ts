import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import type { SeededRandom } from '../../src/kernel/index.ts'
import { atExit } from '../at-exit.ts'
import { Audits } from '../audits.ts'
import { type Bench, type Failure, goesOn, type Kind, type KindResult } from '../kind.ts'
import { type RunEnd, runToEnd } from '../run-to-end.ts'
import { straceProblem } from '../traced-process.ts'

const here = import.meta.dirname
const measured = join(here, 'limits-process.ts')
const jumping = join(here, 'jumping-load-process.ts')
const faultLoad = join(here, '..', 'faults', 'fault-load-process.ts')
const crashLoad = join(here, '..', '..', 'src', 'embedded', 'fixtures', 'crash-worker.ts')

/** What a test of a limit has. */
interface Trial {
  readonly folder: string
  readonly random: SeededRandom
  readonly audits: Audits
  /** The first round is short, the later ones take their time. */
  readonly isLong: boolean
  readonly facts: { tests: number; filesRefused: number }
}

/** What is wrong; null: nothing. */
type Test = (trial: Trial) => Promise<string | null>

const tests: Readonly<Record<string, Test>> = {
  pressure: ({ folder }) => measure('pressure', folder, 0),
  'idle-readers': ({ folder }) => measure('idle-readers', folder, 0),
  soak: ({ folder, isLong }) => measure('soak', folder, isLong ? 90_000 : 3_000),
  stopped: (trial) => runAndKill(trial, crashLoad, trial.isLong ? 30_000 : 2_000),
  'clock-jumps': (trial) => runAndKill(trial, jumping, 0),
  descriptors,
}
const names = Object.keys(tests)

/** Memory, disk, time and descriptors at their limits. */
export const limits: Kind = {
  name: 'limits',
  title: 'memory, disk, time and descriptors at their limits',
  casesQuick: names.length,
  casesFull: names.length * 3,
  impossible: straceProblem,
  run,
}

async function run({ random, budget, scratch }: Bench): Promise<KindResult> {
  await using audits = new Audits(1)
  const failures: Failure[] = []
  /** `filesRefused`: how many files of the engine could not be opened for want of a descriptor. */
  const facts = { tests: names.length, filesRefused: 0 }
  let caseCount = 0
  for (let round = 0; goesOn(budget, caseCount, failures.length); round++) {
    for (const [name, test] of Object.entries(tests)) {
      if (!goesOn(budget, caseCount, failures.length)) break
      caseCount++
      const folder = scratch.folder(name)
      const problem = await test({ folder, random, audits, isLong: round > 0, facts })
      if (problem !== null) failures.push({ name, problem, evidence: scratch.keep(folder, name) })
    }
  }
  return { caseCount, failures, facts }
}

function problemOf({ end, complaint }: RunEnd): string | null {
  return end === 0 ? null : `it ended with ${end}: ${/^\w*Error.*$/m.exec(complaint)?.[0] ?? complaint.slice(0, 1000)}`
}

async function measure(what: string, folder: string, forMs: number): Promise<string | null> {
  return problemOf(await runToEnd(['--expose-gc', measured, what, join(folder, 'limits.db'), String(forMs)]))
}

/** Runs a load that never ends, stops it for a while and lets it go on if told to, kills it, and looks at what it leaves. */
async function runAndKill({ folder, audits }: Trial, program: string, stopMs: number): Promise<string | null> {
  const [path, journalPath] = [join(folder, 'limits.db'), join(folder, 'journal.jsonl')]
  const child = spawn(process.execPath, [program, path, journalPath, '0'], { stdio: ['ignore', 'pipe', 'pipe'] })
  let complaint = ''
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    complaint += text
  })
  const exited = once(child, 'exit').finally(atExit(() => void child.kill('SIGKILL')))
  await Promise.race([once(child.stdout, 'data'), exited])
  await pause(500)
  if (stopMs > 0) {
    child.kill('SIGSTOP')
    await pause(stopMs)
    child.kill('SIGCONT')
  }
  await pause(1000)
  const isRunning = child.exitCode === null
  child.kill('SIGKILL')
  await exited
  if (!isRunning) return `it ended by itself: ${complaint.slice(0, 1000)}`
  return audits.ask({ kind: 'load', path, journalPath, goesOn: true })
}

/** With few descriptors the engine opens or says why not; with too few Node itself does not start. */
async function descriptors({ folder, random, audits, facts }: Trial): Promise<string | null> {
  let refusedCount = 0
  // How many Node itself takes hangs on the machine: it is gone on until the engine went short.
  for (let attempt = 0; attempt < 6 || (refusedCount === 0 && attempt < 24); attempt++) {
    const limit = 20 + (random.nextUint32() % 30)
    const [path, journalPath] = [join(folder, `${attempt}.db`), join(folder, `${attempt}.jsonl`)]
    const logPath = join(folder, `${attempt}.log`)
    const traced = ['-f', '-qq', '-o', logPath, '-e', 'trace=openat', 'prlimit', `--nofile=${limit}:${limit}`]
    const args = [...traced, process.execPath, faultLoad, path, journalPath, '0', '2']
    const { stdout, stderr, status } = spawnSync('strace', args, { encoding: 'utf8', timeout: 60_000 })
    const refused = readFileSync(logPath, 'utf8')
      .split('\n')
      .filter((line) => isRefused(line, path))
    refusedCount += refused.length
    // Nothing of ours ran.
    if (!/^(open|not open)/m.test(stdout)) continue
    const strange = /^strange .*$/m.exec(stdout)?.[0]
    if (strange !== undefined) return `with ${limit} descriptors: ${strange}`
    if (!stdout.trimEnd().endsWith('ended')) return `with ${limit} descriptors it ended with ${status}: ${stderr}`
    const problem = await audits.ask({ kind: 'load', path, journalPath, goesOn: false })
    if (problem !== null) return `with ${limit} descriptors: ${problem}`
  }
  facts.filesRefused += refusedCount
  return refusedCount > 0 ? null : 'the engine never went short of descriptors'
}

function isRefused(line: string, path: string): boolean {
  return line.includes(`"${path}`) && line.includes(' = -1 EMFILE')
}
