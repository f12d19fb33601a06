import { spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { SeededRandom } from '../../src/kernel/index.ts'
import type { Audits } from '../audits.ts'
import type { Endured } from './endured.ts'

const load = join(import.meta.dirname, '..', 'faults', 'fault-load-process.ts')

/** With few descriptors the engine opens or says why not; with too few Node itself does not start. */
export async function withFewDescriptors(folder: string, random: SeededRandom, audits: Audits): Promise<Endured> {
  let filesRefused = 0
  const wrong = (problem: string): Endured => ({ problem, facts: {} })
  // How many Node itself takes hangs on the machine: it is gone on until the engine went short.
  for (let attempt = 0; attempt < 6 || (filesRefused === 0 && attempt < 24); attempt++) {
    const limit = 20 + (random.nextUint32() % 30)
    const [path, journalPath] = [join(folder, `${attempt}.db`), join(folder, `${attempt}.jsonl`)]
    const logPath = join(folder, `${attempt}.log`)
    const traced = ['-f', '-qq', '-o', logPath, '-e', 'trace=openat', 'prlimit', `--nofile=${limit}:${limit}`]
    const args = [...traced, process.execPath, load, path, journalPath, '0', '2']
    const { stdout, stderr, status } = spawnSync('strace', args, { encoding: 'utf8', timeout: 60_000 })
    const lines = readFileSync(logPath, 'utf8').split('\n')
    filesRefused += lines.filter((line) => isRefused(line, path)).length
    // Nothing of ours ran.
    if (!/^(open|not open)/m.test(stdout)) continue
    const strange = /^strange .*$/m.exec(stdout)?.[0]
    if (strange !== undefined) return wrong(`with ${limit} descriptors: ${strange}`)
    if (!stdout.trimEnd().endsWith('ended'))
      return wrong(`with ${limit} descriptors it ended with ${status}: ${stderr}`)
    const problem = await audits.ask({ kind: 'load', path, journalPath, goesOn: false })
    if (problem !== null) return wrong(`with ${limit} descriptors: ${problem}`)
  }
  return { problem: filesRefused > 0 ? null : 'the engine never went short of descriptors', facts: { filesRefused } }
}

function isRefused(line: string, path: string): boolean {
  return line.includes(`"${path}`) && line.includes(' = -1 EMFILE')
}
