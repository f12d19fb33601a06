import { spawn } from 'node:child_process'
import { describe, expect, it } from 'vitest'
import { verifyFile } from '../embedded/index.ts'
import { SeededRandom } from '../kernel/index.ts'
import { temporaryFolder } from './app.test-support.ts'
import { acknowledgedIn, checkCrashed } from './fixtures/crash-check.ts'
import { crashGrounds } from './fixtures/crash-handlers.ts'

const killCount = 7

/** Runs the app until it is killed; answers the ids of the messages that it was told are durable. */
async function runAndKill(ground: string, path: string, run: number, afterMs: number): Promise<string[]> {
  const program = new URL('./fixtures/crash-app.ts', import.meta.url).pathname
  const child = spawn(process.execPath, [program, path, String(run), ground], { stdio: ['ignore', 'pipe', 'inherit'] })
  let output = ''
  const ready = Promise.withResolvers<void>()
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    output += text
    if (output.startsWith('ready')) ready.resolve()
  })
  const exited = new Promise<number | null>((resolve) => {
    // Not `exit`: what it said last may still be on its way then.
    child.on('close', (code) => {
      ready.resolve()
      resolve(code)
    })
  })
  await ready.promise
  await new Promise((resolve) => setTimeout(resolve, afterMs))
  child.kill('SIGKILL')
  expect(await exited).toBe(null)
  return acknowledgedIn(output)
}

const grounds = Object.entries(crashGrounds).filter(([name]) => !/postgres|kafka/.test(name))

describe.each(grounds)('an app on %s that is killed again and again', (ground, engineOn) => {
  it('loses nothing and does nothing twice', async () => {
    const seed = 20_260_101
    const random = new SeededRandom(seed)
    using folder = temporaryFolder()
    const path = folder.path('crash.db')
    const acknowledged: string[] = []
    for (let run = 1; run <= killCount; run++) {
      acknowledged.push(...(await runAndKill(ground, path, run, 30 + Math.floor(random.nextFloat() * 300))))
    }
    await using engine = await engineOn(path).open()
    expect(await checkCrashed(engine, acknowledged), `seed ${seed}`).toBeGreaterThan(0)
    expect(acknowledged.length).toBeGreaterThan(0)
    await engine.close()
    for (const file of folder.files()) expect((await verifyFile(file)).damages).toEqual([])
  })
})
