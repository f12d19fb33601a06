import { cpSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type Bench, type Failure, goesOn, type Kind, type KindResult } from '../kind.ts'
import { engineBugs } from './engine-bugs.ts'
import { brokenness, tryNet } from './nets.ts'
import { edited, type PlantedBug } from './planted-bug.ts'
import { runtimeBugs } from './runtime-bugs.ts'

const root = join(import.meta.dirname, '..', '..')

export const plantedBugs: readonly PlantedBug[] = [...engineBugs, ...runtimeBugs]

/** Bugs planted into a copy of the sources, each of which must be caught. */
export const planted: Kind = {
  name: 'planted',
  title: 'bugs planted into a copy of the sources',
  casesQuick: 2,
  casesFull: plantedBugs.length,
  run,
}

async function run({ random, budget, scratch }: Bench): Promise<KindResult> {
  const copy = scratch.folder('copy')
  for (const name of ['src', 'simulation', 'torture', 'package.json'])
    cpSync(join(root, name), join(copy, name), { recursive: true })
  symlinkSync(join(root, 'node_modules'), join(copy, 'node_modules'))
  const failures: Failure[] = []
  const fail = (name: string, problem: string): void => void failures.push({ name, problem, evidence: null })
  const facts: Record<string, number> = { planted: 0, caught: 0 }
  const casesMax = Math.min(budget.casesMax, plantedBugs.length)
  const bugs = plantedBugs.map((bug) => ({ bug, draw: random.nextFloat() })).sort((a, b) => a.draw - b.draw)
  let caseCount = 0
  for (const { bug } of bugs) {
    if (!goesOn({ ...budget, casesMax }, caseCount, failures.length)) break
    caseCount++
    facts['planted'] = caseCount
    const seed = random.nextUint32()
    const undo = plant(copy, bug)
    const broken = await brokenness(copy)
    const { isCaught, by } = await tryNet(copy, bug, seed)
    undo()
    if (broken !== undefined) fail(bug.name, `with this bug nothing runs at all: ${broken.slice(0, 1000)}`)
    else if (!isCaught) fail(bug.name, `${bug.net} did not catch it (seed ${seed})`)
    else {
      facts['caught'] = (facts['caught'] ?? 0) + 1
      process.stderr.write(`${bug.net} caught "${bug.name}": ${by}\n`)
    }
  }
  // A net that catches everything catches nothing: on the sources as they are each must stay empty.
  for (const net of new Set(caseCount === plantedBugs.length ? plantedBugs.map((bug) => bug.net) : [])) {
    const { isCaught, by } = await tryNet(copy, { net }, random.nextUint32())
    if (isCaught) fail(`no bug, ${net}`, `something was caught where nothing was planted: ${by}`)
  }
  return { caseCount, failures, facts }
}

/** Makes the edits of a bug; answers what takes them back. */
function plant(copy: string, { edits }: PlantedBug): () => void {
  const before = new Map<string, string>()
  for (const edit of edits) {
    const path = join(copy, edit.file)
    const text = readFileSync(path, 'utf8')
    if (!before.has(path)) before.set(path, text)
    writeFileSync(path, edited(text, edit))
  }
  return () => {
    for (const [path, text] of before) writeFileSync(path, text)
  }
}
