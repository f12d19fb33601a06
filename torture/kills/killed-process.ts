import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { setTimeout as pause } from 'node:timers/promises'
import { InvariantError, type SeededRandom } from '../../src/kernel/index.ts'
import { atExit } from '../at-exit.ts'

/** One in so many is killed while it starts: opening a file and recovering it are moments too. */
const startingEvery = 5

export interface Killed {
  /** Its load was on when it was killed. */
  readonly wasReady: boolean
  readonly output: string
}

/** Starts a program that says `ready` when its load is on and never ends by itself, and kills it some time later. */
export async function runAndKill(program: string, args: readonly string[], random: SeededRandom): Promise<Killed> {
  const isStarting = random.nextUint32() % startingEvery === 0
  const waitMs = isStarting ? 100 + random.nextFloat() * 400 : random.nextFloat() * 600
  const child = spawn(process.execPath, [program, ...args], { stdio: ['ignore', 'pipe', 'pipe'] })
  let output = ''
  let complaint = ''
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    output += text
  })
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    complaint += text
  })
  // Not `exit`: what it said last may still be on its way then.
  const forget = atExit(() => void child.kill('SIGKILL'))
  const closed = once(child, 'close').finally(forget) as Promise<[code: number | null, signal: string | null]>
  if (!isStarting) await Promise.race([once(child.stdout, 'data'), closed])
  await pause(waitMs)
  child.kill('SIGKILL')
  const [code, signal] = await closed
  if (signal !== 'SIGKILL') {
    throw new InvariantError(`what is to be killed does not end by itself (code ${code}: ${complaint.slice(0, 1000)})`)
  }
  return { wasReady: output.startsWith('ready'), output }
}
