import { spawn } from 'node:child_process'
import { describe, expect, it } from 'vitest'
import { SeededRandom } from '../kernel/index.ts'
import { temporaryFolder } from './app.test-support.ts'
import { checkLoad, inlineBank } from './command-load.test-support.ts'
import { crashGrounds } from './fixtures/crash-handlers.ts'

const killCount = 4

/** Runs the bank until it has said so many things, then kills it; answers what it said. */
async function runAndKill(ground: string, path: string, run: number, afterLines: number): Promise<string> {
  const program = new URL('./fixtures/command-app.ts', import.meta.url).pathname
  const child = spawn(process.execPath, [program, path, String(run), ground], { stdio: ['ignore', 'pipe', 'inherit'] })
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

describe.each(['one engine', 'two engines'])('a bank on %s that is killed again and again', (ground) => {
  it('keeps what it acknowledged, and no command takes effect twice', async () => {
    const seed = 20_260_201
    const random = new SeededRandom(seed)
    using folder = temporaryFolder()
    const path = folder.path('bank.db')
    const acknowledged = new Set<string>()
    for (let run = 1; run <= killCount; run++) {
      const output = await runAndKill(ground, path, run, 30 + Math.floor(random.nextFloat() * 200))
      for (const [, id] of output.matchAll(/^(?:accepted|sent) (\S+)$/gm)) acknowledged.add(id as string)
      expect(output).not.toMatch(/^rejected/m)
    }
    await using engine = await crashGrounds[ground]?.(path).open()
    if (engine === undefined) throw new Error(`there is no ground ${ground}`)
    await using running = await inlineBank.start({ engine })
    await running.idle()
    await checkLoad(running, engine, { acceptedIds: acknowledged, bank: inlineBank, note: `seed ${seed}` })
    expect(acknowledged.size).toBeGreaterThan(100)
  })
})
