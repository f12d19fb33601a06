import { spawn } from 'node:child_process'
import { expect } from 'vitest'

/**
 * Runs a program of `fixtures` until it has said so many things, then kills it; answers what it said. By what it says and not by
 * time, since a busy machine would kill it before any.
 */
export async function killAfterLines(
  fixture: string,
  args: readonly string[],
  afterLines: number,
  env: NodeJS.ProcessEnv = {},
): Promise<string> {
  const program = new URL(`./fixtures/${fixture}`, import.meta.url).pathname
  const child = spawn(process.execPath, [program, ...args], {
    stdio: ['ignore', 'pipe', 'inherit'],
    env: { ...process.env, ...env },
  })
  let output = ''
  const enough = Promise.withResolvers<void>()
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    output += text
    if (output.split('\n').length > afterLines) enough.resolve()
  })
  const exited = new Promise<number | null>((resolve) => {
    child.on('exit', (code) => {
      enough.resolve()
      resolve(code)
    })
  })
  await enough.promise
  child.kill('SIGKILL')
  expect(await exited).toBe(null)
  return output
}
