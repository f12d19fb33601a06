import { spawn } from 'node:child_process'
import { describe, expect, it } from 'vitest'
import { verifyFile } from '../embedded/index.ts'
import { SeededRandom } from '../kernel/index.ts'
import { messagesOf, temporaryFolder } from './app.test-support.ts'
import { crashGrounds } from './fixtures/crash-handlers.ts'
import { ledgerSaga, sagaCrashApp } from './fixtures/saga-crash.ts'
import { LedgerWatch, ledgerLines, ledgerSummary, wantedLedger } from './saga-ledger.test-support.ts'

/** 10,000 on demand: `MILLRACE_SAGAS=10000`. */
const instanceCount = Number(process.env['MILLRACE_SAGAS'] ?? 300)
const killCount = 6
/** Of three instances two have three effects, and one has four. */
const effectCount = (instanceCount * 10) / 3

/** Kills it when so many effects were had in all: by time, a busy machine would kill it before any. */
async function runAndKill(ground: string, path: string, run: number, ledger: string, target: number): Promise<void> {
  const program = new URL('./fixtures/saga-crash-app.ts', import.meta.url).pathname
  const args = [program, path, String(run), ground, ledger, String(instanceCount)]
  const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'] })
  const exited = new Promise<number | null>((resolve) => {
    child.on('exit', (code) => resolve(code))
  })
  const ready = new Promise((resolve) => {
    child.stdout.once('data', resolve)
  })
  await Promise.race([ready, exited])
  const watch = new LedgerWatch(ledger)
  while (child.exitCode === null && watch.effectCount() < target) {
    await new Promise((resolve) => setTimeout(resolve, 5))
  }
  child.kill('SIGKILL')
  expect(await exited).toBe(null)
}

const grounds = Object.entries(crashGrounds).filter(([name]) => !/postgres|kafka/.test(name))

describe.each(grounds)('sagas on %s that are killed again and again', (ground, engineOn) => {
  it('end with all done or all undone in reverse order, with one key for each effect', {
    timeout: 600_000,
  }, async () => {
    const seed = 20_260_202
    const random = new SeededRandom(seed)
    using folder = temporaryFolder()
    const path = folder.path('sagas.db')
    const ledger = folder.path('ledger.txt')
    for (let run = 1; run <= killCount; run++) {
      // All instances begin at once: only kills that are spread over all effects meet each step, and the undoing.
      const share = (run - random.nextFloat() / 2) / (killCount + 0.5)
      await runAndKill(ground, path, run, ledger, Math.floor(effectCount * share))
    }
    const met = new Set(ledgerLines(ledger).map(({ step, what }) => `${what} ${step}`))
    expect([...met]).toEqual(expect.arrayContaining(['run reserve', 'run charge', 'run ship', 'undo charge']))
    await using engine = await engineOn(path).open()
    const of = ledgerSaga(ledger, 0)
    await using running = await sagaCrashApp(of).start({ engine })
    const client = running.saga(of)
    await Promise.all(Array.from({ length: instanceCount }, (_, n) => client.start(`i${n}`, n)))
    const outcomes = await Promise.all(Array.from({ length: instanceCount }, (_, n) => client.outcome(`i${n}`)))
    await running.idle()
    expect(ledgerSummary(ledger, instanceCount), `seed ${seed}`).toEqual(wantedLedger(instanceCount))
    const statuses = outcomes.map(({ status }) => status)
    expect(statuses).toEqual(statuses.map((_, n) => (n % 3 === 0 ? 'compensated' : 'completed')))
    const shipped = (await messagesOf(engine, 'shipments')).map(({ data }) => data.n).sort((a, b) => a - b)
    expect(shipped).toEqual(outcomes.flatMap(({ status }, n) => (status === 'completed' ? [n] : [])))
    expect(await running.deadLetters.count()).toBe(0)
    await running.stop()
    await engine.close()
    for (const file of folder.files().filter((name) => !name.endsWith('.txt'))) {
      expect((await verifyFile(file)).damages).toEqual([])
    }
  })
})
