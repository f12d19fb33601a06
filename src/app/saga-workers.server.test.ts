import { type ChildProcess, spawn } from 'node:child_process'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { sleep, systemClock } from '../kernel/index.ts'
import { postgres } from '../postgres/index.ts'
import { dropSchema, serversWanted, serverUrl } from '../postgres/real-server.test-support.ts'
import { SagaDesk } from '../saga/index.ts'
import { messagesOf, temporaryFolder } from './app.test-support.ts'
import { ledgerSummary, wantedLedger } from './saga-ledger.test-support.ts'

const instanceCount = 300

// Skipped because it needs a real server: `npm run test:engines` runs it.
describe.skipIf(!serversWanted)('sagas in three processes on PostgreSQL', () => {
  const schema = `sagas_${process.pid}`
  let url = ''
  const processes: ChildProcess[] = []
  beforeAll(async () => {
    url = await serverUrl()
  }, 600_000)
  afterAll(async () => {
    for (const one of processes) one.kill('SIGKILL')
    await dropSchema(url, schema)
  })

  function start(run: number, ledger: string): ChildProcess {
    const program = new URL('./fixtures/saga-crash-app.ts', import.meta.url).pathname
    const args = [program, schema, String(run), 'postgres', ledger, String(instanceCount)]
    const child = spawn(process.execPath, args, { stdio: 'inherit', env: { ...process.env, DATABASE_URL: url } })
    processes.push(child)
    return child
  }

  it('are taken over from a process that dies or stops, and end as they should', { timeout: 240_000 }, async () => {
    using folder = temporaryFolder()
    const ledger = folder.path('ledger.txt')
    const [first, second] = [start(1, ledger), start(2, ledger), start(3, ledger)] as const
    await sleep(3000, systemClock)
    first.kill('SIGKILL')
    // Longer than its session: when it wakes up, its instances belong to others, and it writes nothing more.
    second.kill('SIGSTOP')
    await sleep(5000, systemClock)
    second.kill('SIGCONT')
    await using engine = await postgres({ connection: url, schema, pollMs: 50 }).open()
    const desk = new SagaDesk(engine, 'crash', 'ledger')
    const ended = (): ReturnType<typeof desk.list> =>
      desk.list({ status: ['completed', 'compensated'], limit: instanceCount })
    while ((await ended()).length < instanceCount) await sleep(200, systemClock)
    for (const one of processes) one.kill('SIGKILL')
    expect(await desk.list({ status: 'parked' })).toEqual([])
    expect(ledgerSummary(ledger, instanceCount)).toEqual(wantedLedger(instanceCount))
    const completed = Array.from({ length: instanceCount }, (_, n) => n).filter((n) => n % 3 !== 0)
    const shipped = (await messagesOf(engine, 'shipments')).map(({ data }) => data.n)
    expect(shipped.sort((a, b) => a - b)).toEqual(completed)
  })
})
