import { type ChildProcess, spawn } from 'node:child_process'
import { join } from 'node:path'
import type { Figures } from './figures.ts'

/** How a shop in a process of its own ended. */
export interface ShopExit {
  readonly code: number | null
  readonly signal: NodeJS.Signals | null
  readonly stdout: string
  readonly stderr: string
}

/** Starts the shop in a process of its own. */
export function startShop(
  args: readonly string[],
  environment: Readonly<Record<string, string>> = {},
): { readonly child: ChildProcess; readonly exit: Promise<ShopExit> } {
  const child = spawn(process.execPath, [join(import.meta.dirname, 'main.ts'), ...args], {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, NO_COLOR: '1', ...environment },
  })
  let stdout = ''
  let stderr = ''
  child.stdout.setEncoding('utf8').on('data', (chunk: string) => {
    stdout += chunk
  })
  child.stderr.setEncoding('utf8').on('data', (chunk: string) => {
    stderr += chunk
  })
  const exit = new Promise<ShopExit>((resolve, reject) => {
    child.once('error', reject)
    child.once('close', (code, signal) => resolve({ code, signal, stdout, stderr }))
  })
  return { child, exit }
}

/** Runs `--once --json` to its end; returns the object that it printed. */
export async function figuresOf(...args: readonly string[]): Promise<Figures> {
  return figuresIn(await startShop(['--once', '--json', ...args]).exit)
}

/** What a shop that ended well printed: exactly one JSON object. */
export function figuresIn({ code, signal, stdout, stderr }: ShopExit): Figures {
  if (code !== 0) throw new AggregateError([], `The shop ended with ${code ?? signal}.\n${stderr}`)
  return JSON.parse(stdout) as Figures
}

/** The figures that do not depend on how fast the machine was. */
export function lasting(figures: Figures): Omit<Figures, 'elapsedSeconds' | 'eventsPerSecond'> {
  const { elapsedSeconds: _seconds, eventsPerSecond: _rate, ...rest } = figures
  return rest
}
