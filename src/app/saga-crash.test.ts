import { spawn } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { verifyFile } from '../embedded/index.ts'
import { SeededRandom } from '../kernel/index.ts'
import { messagesOf, temporaryFolder } from './app.test-support.ts'
import { crashGrounds } from './fixtures/crash-handlers.ts'
import { type LedgerLine, ledgerSaga, sagaCrashApp } from './fixtures/saga-crash.ts'

/** 10,000 on demand: `MILLRACE_SAGAS=10000`. */
const instanceCount = Number(process.env['MILLRACE_SAGAS'] ?? 300)
const killCount = 8

async function runAndKill(ground: string, path: string, run: number, ledger: string, afterMs: number): Promise<void> {
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
  await new Promise((resolve) => setTimeout(resolve, afterMs))
  child.kill('SIGKILL')
  expect(await exited).toBe(null)
}

function ledgerLines(ledger: string): readonly LedgerLine[] {
  const text = existsSync(ledger) ? readFileSync(ledger, 'utf8') : ''
  return text
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as LedgerLine)
}

/** Steps of an instance in the order in which the outside world saw them first: the same key has its effect once. */
function firstOf(lines: readonly LedgerLine[], what: LedgerLine['what']): readonly string[] {
  return [...new Set(lines.filter((line) => line.what === what).map(({ step }) => step))]
}

const grounds = Object.entries(crashGrounds).filter(([name]) => name !== 'postgres')

describe.each(grounds)('sagas on %s that are killed again and again', (ground, engineOn) => {
  it('end with all done or all undone in reverse order, with one key for each effect', {
    timeout: 600_000,
  }, async () => {
    const seed = 20_260_202
    const random = new SeededRandom(seed)
    using folder = temporaryFolder()
    const path = folder.path('sagas.db')
    const ledger = folder.path('ledger.txt')
    let worked = 0
    for (let run = 1; run <= killCount; run++) {
      await runAndKill(ground, path, run, ledger, Math.floor(random.nextFloat() * 120))
      if (ledgerLines(ledger).length > worked) worked = ledgerLines(ledger).length
    }
    expect(worked, 'something happened before the last run').toBeGreaterThan(0)
    await using engine = await engineOn(path).open()
    const of = ledgerSaga(ledger, 0)
    await using running = await sagaCrashApp(of).start({ engine })
    const client = running.saga(of)
    await Promise.all(Array.from({ length: instanceCount }, (_, n) => client.start(`i${n}`, n)))
    const outcomes = await Promise.all(Array.from({ length: instanceCount }, (_, n) => client.outcome(`i${n}`)))
    await running.idle()
    const byInstance = new Map<string, LedgerLine[]>()
    const stepByKey = new Map<string, string>()
    for (const line of ledgerLines(ledger)) {
      byInstance.set(line.instance, [...(byInstance.get(line.instance) ?? []), line])
      const effect = `${line.instance} ${line.step} ${line.what}`
      expect(stepByKey.get(line.key) ?? effect).toBe(effect)
      stepByKey.set(line.key, effect)
    }
    expect(new Set(stepByKey.values()).size, 'no effect under two keys').toBe(stepByKey.size)
    for (const [n, outcome] of outcomes.entries()) {
      const lines = byInstance.get(`i${n}`) ?? []
      const isRefused = n % 3 === 0
      expect(outcome.status, `seed ${seed}, instance ${n}`).toBe(isRefused ? 'compensated' : 'completed')
      expect(firstOf(lines, 'run')).toEqual(isRefused ? ['reserve', 'charge'] : ['reserve', 'charge', 'ship'])
      expect(firstOf(lines, 'undo')).toEqual(isRefused ? ['charge', 'reserve'] : [])
    }
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
