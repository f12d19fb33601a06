import { spawnSync } from 'node:child_process'
import { cpSync, mkdirSync, readdirSync, rmSync, statfsSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { atExit } from '../at-exit.ts'
import { Audits } from '../audits.ts'
import { type Bench, type Failure, goesOn, type Kind, type KindResult } from '../kind.ts'
import { runToEnd } from '../run-to-end.ts'
import { Scratch } from '../scratch.ts'

const load = join(import.meta.dirname, '..', 'faults', 'fault-load-process.ts')
const rounds = 3
const diskSize = '16m'
/** More than the load needs: some cases must not meet the end of the disk at all. */
const freePagesMax = 900

/** A disk of 16 MiB on which so many pages are free: writes are cut short where it ends, wherever that is. */
export const fullDisk: Kind = {
  name: 'full-disk',
  title: 'disks that are full after so many pages',
  casesQuick: 16,
  casesFull: freePagesMax,
  impossible,
  run,
}

function impossible(): string | undefined {
  using scratch = new Scratch()
  const disk = scratch.folder('disk')
  if (!mount(disk)) return 'no disk may be mounted here'
  spawnSync('umount', [disk])
  return undefined
}

function mount(folder: string): boolean {
  return (
    spawnSync('mount', ['-t', 'tmpfs', '-o', `size=${diskSize}`, 'tmpfs', folder], { stdio: 'ignore' }).status === 0
  )
}

async function run({ random, budget, scratch }: Bench): Promise<KindResult> {
  await using audits = new Audits(1)
  const disk = scratch.folder('disk')
  mount(disk)
  const unmount = (): void => void spawnSync('umount', [disk])
  const forget = atExit(unmount)
  using _ = {
    [Symbol.dispose]: () => {
      forget()
      unmount()
    },
  }
  const seed = scratch.folder('seed')
  await runToEnd([load, join(seed, 'data', 'full.db'), join(seed, 'journal.jsonl'), '0', String(rounds)])
  const failures: Failure[] = []
  const facts = { full: 0, notOpen: 0 }
  let caseCount = 0
  while (goesOn(budget, caseCount, failures.length) && caseCount < freePagesMax) {
    const number = caseCount++
    const isNew = random.nextUint32() % 4 === 0
    const freePages = random.nextUint32() % freePagesMax
    // The witness writes elsewhere: he must not run out of paper.
    const notes = scratch.folder('notes')
    const journalPath = join(notes, 'journal.jsonl')
    if (!isNew) {
      cpSync(join(seed, 'data'), join(disk, 'data'), { recursive: true })
      cpSync(join(seed, 'journal.jsonl'), journalPath)
    } else mkdirSync(join(disk, 'data'))
    const path = join(disk, 'data', 'full.db')
    leaveFree(disk, freePages)
    const { output, complaint, end } = await runToEnd([load, path, journalPath, '1', String(rounds)])
    if (output.includes('refused DISK_FULL')) facts.full++
    if (output.startsWith('not open')) facts.notOpen++
    rmSync(join(disk, 'ballast'))
    const strange = /^(strange .*|refused ENGINE_FAILED)$/m.exec(output)?.[1]
    const problem =
      strange ??
      (output.trimEnd().endsWith('ended') ? null : `it ended with ${end}: ${complaint.slice(0, 1000)}`) ??
      (await audits.ask({ kind: 'load', path, journalPath, goesOn: number % 4 === 0 }))
    if (problem !== null) {
      const name = `case ${number}: ${freePages} pages free, ${isNew ? 'a new file' : 'a file in use'}`
      failures.push({ name, problem, evidence: scratch.keep(disk, `full-disk ${number}`) })
    }
    for (const name of readdirSync(disk)) rmSync(join(disk, name), { recursive: true })
    rmSync(notes, { recursive: true })
  }
  return { caseCount, failures, facts }
}

function leaveFree(disk: string, pages: number): void {
  const { bavail, bsize } = statfsSync(disk)
  writeFileSync(join(disk, 'ballast'), Buffer.alloc(Math.max(0, bavail - pages) * bsize))
}
