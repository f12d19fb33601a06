import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { faultyCallVariable } from '../faults/index.ts'
import { exitCodes } from '../report.ts'
import type { Net, PlantedBug } from './planted-bug.ts'

/** How many cases of a kind are let loose on one bug, until one catches it: kills hit where they may. */
const cases: Readonly<Record<Exclude<Net, 'conformance' | 'simulation'>, number>> = {
  'power-loss': 120,
  kills: 60,
  faults: 200,
  flips: 400,
  limits: 8,
}
const netMsMax = 240_000
/** Seeds of the simulation for one bug. */
const seedCount = 600

export interface Catch {
  readonly isCaught: boolean
  /** The first thing that was noticed. */
  readonly by: string
}

interface Ended {
  /** -1: it was not done in time. */
  readonly code: number
  readonly output: string
}

function run(root: string, args: readonly string[], call = ''): Promise<Ended> {
  const env = { ...process.env, CI: '', [faultyCallVariable]: call }
  const options = { cwd: root, env, timeout: netMsMax, maxBuffer: 64 * 1024 * 1024 } as const
  return new Promise((resolve) => {
    execFile(process.execPath, args as string[], options, (error, stdout, stderr) => {
      const code = error === null ? 0 : typeof error.code === 'number' ? error.code : -1
      resolve({ code, output: `${stdout}\n${stderr}`.trim() })
    })
  })
}

/** Whether a copy of the sources can be run at all; undefined: it can. */
export async function brokenness(root: string): Promise<string | undefined> {
  const { code, output } = await run(root, [join('torture', 'planted', 'smoke-process.ts')])
  return code === 0 ? undefined : output
}

/** Lets a net loose on a copy of the sources. */
export async function tryNet(
  root: string,
  { net, area }: Pick<PlantedBug, 'net' | 'area'>,
  seed: number,
): Promise<Catch> {
  if (net === 'conformance') {
    const { code, output } = await run(root, [
      join('torture', 'planted', 'conformance-process.ts'),
      String(seed),
      area ?? '',
    ])
    return { isCaught: code > 0, by: output.split('\n')[0] ?? '' }
  }
  if (net === 'simulation') {
    const { code, output } = await run(root, [
      join('simulation', 'main.ts'),
      ...['--seeds', String(seedCount), '--from', String(seed % 1_000_000_000), '--json'],
    ])
    return { isCaught: code === 1, by: (/failed:\n {2}(.*)/.exec(output)?.[1] ?? output).slice(0, 300) }
  }
  const args = ['--only', net, '--cases', String(cases[net]), '--seed', String(seed), '--stop-at-first', '--json']
  const { code, output } = await run(root, [join('torture', 'main.ts'), ...args], area)
  const found = /"problem": "((?:[^"\\]|\\.)*)"/.exec(output)?.[1]
  return { isCaught: code === exitCodes.failed, by: (found ?? output).slice(0, 300) }
}
