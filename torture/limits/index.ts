import { join } from 'node:path'
import type { SeededRandom } from '../../src/kernel/index.ts'
import { Audits } from '../audits.ts'
import { runCases } from '../cases.ts'
import type { Bench, Budget, Failure, Kind, KindResult } from '../kind.ts'
import { runToEnd } from '../run-to-end.ts'
import { straceProblem } from '../traced-process.ts'
import { withFewDescriptors } from './descriptors.ts'
import { type Endured, endureApp, endureEngine } from './endured.ts'

const here = import.meta.dirname
/** In the first round, the second, and all later ones. */
const stopMs = [2_000, 30_000] as const
const jumpRounds = [1, 5, 15] as const
const soakMs = [3_000, 90_000, 600_000] as const

/** What a test of a limit has. */
interface Trial {
  readonly folder: string
  readonly random: SeededRandom
  readonly audits: Audits
  /** The first round is short, the later ones take their time. */
  readonly round: number
  readonly budget: Budget
}

type Test = (trial: Trial) => Promise<Endured>

/** The first ones mostly wait: one of them runs beside another one. */
const tests: Readonly<Record<string, Test>> = {
  'stopped-engine': (trial) => stopped(trial, endureAudited),
  'stopped-app': (trial) => stopped(trial, endureApp),
  'jumps-engine': (trial) => jumps(trial, endureAudited),
  'jumps-app': (trial) => jumps(trial, endureApp),
  soak: ({ folder, round, budget }) => measure('soak', folder, soakMsOf(round, budget)),
  'idle-readers': ({ folder }) => measure('idle-readers', folder),
  pressure: ({ folder }) => measure('pressure', folder),
  descriptors: ({ folder, random, audits }) => withFewDescriptors(folder, random, audits),
}
const names = Object.keys(tests)
const testsAtOnce = 2

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
  const facts: Record<string, number> = {}
  const caseCount = await runCases({ budget, failures, atOnce: testsAtOnce }, async (number) => {
    const name = names[number % names.length] as string
    const folder = scratch.folder(name)
    const round = Math.floor(number / names.length)
    const { problem, facts: found } = await (tests[name] as Test)({ folder, random, audits, round, budget })
    for (const [fact, count] of Object.entries(found)) facts[fact] = (facts[fact] ?? 0) + count
    if (problem !== null) failures.push({ name, problem, evidence: scratch.keep(folder, name) })
  })
  return { caseCount, failures, facts }
}

function ofRound<T>(values: readonly [T, ...T[]], round: number): T {
  return values[round] ?? (values.at(-1) as T)
}

/** As long as the round is to be, but no longer than half of the time that is left. */
function soakMsOf(round: number, { endMs }: Budget): number {
  const least = soakMs[0]
  return Math.max(least, Math.min(ofRound(soakMs, round), (endMs - performance.now()) / 2))
}

type Endure = (ordeal: string, path: string, stopMs: number, trial: Trial) => Promise<Endured>

function stopped(trial: Trial, endure: Endure): Promise<Endured> {
  return endure('stop', join(trial.folder, 'limits.db'), ofRound(stopMs, trial.round), trial)
}

function jumps(trial: Trial, endure: Endure): Promise<Endured> {
  return endure(`jumps:${ofRound(jumpRounds, trial.round)}`, join(trial.folder, 'limits.db'), 0, trial)
}

/** What stands in the file in the end is held against what was acknowledged. */
async function endureAudited(ordeal: string, path: string, forMs: number, trial: Trial): Promise<Endured> {
  const journalPath = join(trial.folder, 'journal.jsonl')
  const { problem, facts } = await endureEngine(ordeal, path, journalPath, forMs)
  return { problem: problem ?? (await trial.audits.ask({ kind: 'load', path, journalPath, goesOn: true })), facts }
}

/** Runs a program that measures itself, and says by its end whether it is content. */
async function measure(what: string, folder: string, forMs = 0): Promise<Endured> {
  const program = join(here, `${what}-process.ts`)
  const args = ['--expose-gc', program, join(folder, 'limits.db'), String(forMs)]
  const { end, complaint } = await runToEnd(args, { forMs })
  const said = /^\w*Error.*$/m.exec(complaint)?.[0] ?? complaint.slice(0, 1000)
  return { problem: end === 0 ? null : `it ended with ${end}: ${said}`, facts: {} }
}
