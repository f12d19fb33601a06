import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { atExit } from '../at-exit.ts'

const here = import.meta.dirname
const engineLoad = join(here, 'engine-load-process.ts')
const appLoad = join(here, 'app-load-process.ts')
/** More than the load allows itself for going on. */
const silenceMsMax = 240_000

/** What became of a load that went through an ordeal. */
export interface Endured {
  /** What is wrong; null: nothing. */
  readonly problem: string | null
  /** What it counted. */
  readonly facts: Readonly<Record<string, number>>
}

/** Has an engine go through an ordeal; it is killed amidst its load, for its file to be looked at. */
export function endureEngine(ordeal: string, path: string, journalPath: string, stopMs: number): Promise<Endured> {
  return endure([engineLoad, ordeal, path, journalPath], stopMs, true)
}

/** Has a whole app go through an ordeal; it ends by itself, when it has held what came of it against what was published. */
export function endureApp(ordeal: string, path: string, stopMs: number): Promise<Endured> {
  return endure([appLoad, ordeal, path], stopMs, false)
}

async function endure(args: readonly string[], stopMs: number, isKilled: boolean): Promise<Endured> {
  const child = spawn(process.execPath, args, { stdio: ['pipe', 'pipe', 'pipe'] })
  let [output, complaint] = ['', '']
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    complaint += text
  })
  let wake: () => void = () => undefined
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    output += text
    wake()
  })
  // Who is told to go on may be gone by then.
  child.stdin.on('error', () => undefined)
  let isOver = false
  const closed = once(child, 'close')
    .finally(atExit(() => void child.kill('SIGKILL')))
    .finally(() => {
      isOver = true
      wake()
    })
  const says = async (word: string): Promise<boolean> => {
    while (!output.includes(`${word}\n`) && !output.includes(`${word} `) && !isOver) {
      const { promise, resolve } = Promise.withResolvers<void>()
      wake = resolve
      await promise
    }
    return output.includes(word)
  }
  const silence = setTimeout(() => child.kill('SIGKILL'), silenceMsMax + stopMs)
  if (stopMs > 0 && (await says('ready'))) {
    child.kill('SIGSTOP')
    await pause(stopMs)
    child.kill('SIGCONT')
    child.stdin.write('go on\n')
  }
  const isDone = await says('done')
  clearTimeout(silence)
  const isRunning = !isOver
  if (isKilled) child.kill('SIGKILL')
  await closed
  const facts = JSON.parse(/^done (.*)$/m.exec(output)?.[1] ?? '{}') as Endured['facts']
  const isFine = isDone && (isKilled ? isRunning : child.exitCode === 0)
  return { problem: isFine ? null : whatEndedIt(child.exitCode ?? child.signalCode, complaint), facts }
}

function whatEndedIt(end: number | string | null, complaint: string): string {
  return `it ended with ${end}: ${/^\w*Error.*$/m.exec(complaint)?.[0] ?? complaint.slice(0, 1000)}`
}
