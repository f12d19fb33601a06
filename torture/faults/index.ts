import { cpSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import type { SeededRandom } from '../../src/kernel/index.ts'
import { Audits } from '../audits.ts'
import { runCases } from '../cases.ts'
import type { Bench, Failure, Kind, KindResult } from '../kind.ts'
import { straceProblem } from '../traced-process.ts'
import { faultyCalls, runWithFault } from './fault-run.ts'

/** Rounds of the load before the fault, so that there is something to lose, and with it. */
const roundsBefore = 3
const roundsWith = 3
/** Faults that a disk has once, and those that stay. */
const lastings = ['', '+'] as const
const casesAtOnce = 2
/**
 * What is not tried for good: who is interrupted tries again, as POSIX wants it, and SQLite asks five seconds long for a lock that
 * it does not get, each time anew.
 */
const endless = new Set([
  ...Object.keys(faultyCalls).map((call) => `${call}:error=EINTR`),
  'fcntl:error=EIO',
  'fcntl:error=ENOLCK',
])

/** Names the only system call that is to fail, where that is enough. */
export const faultyCallVariable = 'MILLRACE_FAULTY_CALL'

/** Failing system calls: at each index of a short run, once or for good. */
export const faults: Kind = {
  name: 'faults',
  title: 'system calls on files that fail',
  casesQuick: 24,
  // All of them, see below.
  casesFull: Number.POSITIVE_INFINITY,
  impossible: straceProblem,
  run,
}

interface Case {
  readonly inject: string
  /** On a file that does not exist yet, or on one that a kill left behind. */
  readonly isNew: boolean
}

async function run({ random, budget, scratch }: Bench): Promise<KindResult> {
  await using audits = new Audits()
  const seed = scratch.folder('seed')
  const pathIn = (folder: string): string => join(folder, 'data', 'faults.db')
  const journalIn = (folder: string): string => join(folder, 'journal.jsonl')
  const logIn = (folder: string): string => join(folder, 'calls.log')
  // Two clean runs, one on nothing and one on what that leaves, tell how often each call is made.
  const first = await runWithFault(pathIn(seed), journalIn(seed), logIn(seed), 0, roundsBefore)
  const next = scratch.folder('next')
  cpSync(seed, next, { recursive: true })
  const second = await runWithFault(pathIn(next), journalIn(next), logIn(next), 1, roundsWith)
  const cases = inTurn([...casesOf(first.callCounts, true), ...casesOf(second.callCounts, false)], random)
  const failures: Failure[] = []
  for (const clean of [first, second]) {
    if (clean.problem !== null) failures.push({ name: 'a run without faults', problem: clean.problem, evidence: null })
  }
  const facts = { indexes: cases.length, hit: 0, refused: 0, notOpen: 0 }
  const all = { budget, failures, atOnce: casesAtOnce, count: cases.length }
  const caseCount = await runCases(all, async (number) => {
    const one = cases[number] as Case
    const folder = scratch.folder('fault')
    if (!one.isNew) cpSync(seed, folder, { recursive: true })
    const [path, journalPath] = [pathIn(folder), journalIn(folder)]
    const faulty = await runWithFault(path, journalPath, logIn(folder), 1, roundsWith, one.inject)
    if (faulty.injectedCount > 0) facts.hit++
    if (/^refused/m.test(faulty.output)) facts.refused++
    if (/^not open/m.test(faulty.output)) facts.notOpen++
    const problem = faulty.problem ?? (await audits.ask({ kind: 'load', path, journalPath, goesOn: number % 8 === 0 }))
    if (problem !== null) {
      const name = `${one.inject} on ${one.isNew ? 'a new file' : 'a file in use'}`
      failures.push({ name, problem, evidence: scratch.keep(folder, `fault ${number}`) })
    }
    rmSync(folder, { recursive: true, force: true })
  })
  return { caseCount, failures, facts }
}

function casesOf(counts: ReadonlyMap<string, number>, isNew: boolean): Case[] {
  const cases: Case[] = []
  const only = process.env[faultyCallVariable] ?? ''
  for (const [call, errors] of Object.entries(faultyCalls)) {
    if (only !== '' && call !== only) continue
    for (let index = 1; index <= (counts.get(call) ?? 0); index++) {
      for (const error of errors) {
        for (const lasting of lastings) {
          if (lasting === '+' && endless.has(`${call}:${error}`)) continue
          cases.push({ inject: `${call}:${error}:when=${index}${lasting}`, isNew })
        }
      }
    }
  }
  return cases
}

/** In an order drawn at random, with all calls by turns: those that are made seldom, as syncs, are none the less important. */
function inTurn(cases: readonly Case[], random: SeededRandom): Case[] {
  const drawn = cases.map((one) => ({ one, draw: random.nextFloat() })).sort((a, b) => a.draw - b.draw)
  const byCall = [...Map.groupBy(drawn, ({ one }) => one.inject.split(':', 1)[0]).values()]
  const rounds = Math.max(0, ...byCall.map(({ length }) => length))
  return Array.from({ length: rounds }, (_, round) =>
    byCall.flatMap((ofCall) => ofCall.slice(round, round + 1).map(({ one }) => one)),
  ).flat()
}
