import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, afterEach, describe, expect, it } from 'vitest'
import { GroupConsumer } from '../engine/conformance/index.ts'
import { SeededRandom, sleep, systemClock, systemRandom } from '../kernel/index.ts'
import { audit, type Image } from './fixtures/crash-audit.ts'
import { Journal } from './fixtures/crash-journal.ts'
import { copyOf, crashNames } from './fixtures/crash-load.ts'
import { embedded } from './index.ts'

const killCount = 12
const worker = fileURLToPath(new URL('./fixtures/crash-worker.ts', import.meta.url))
const directory = mkdtempSync(join(tmpdir(), 'millrace-crash-'))
const path = join(directory, 'crash.db')
const journalPath = join(directory, 'journal.jsonl')
const running = new Set<ChildProcess>()

afterEach(() => {
  for (const child of running) child.kill('SIGKILL')
})
afterAll(() => rmSync(directory, { recursive: true, force: true }))

interface Killed {
  /** The worker had its load on when it was killed. */
  readonly wasReady: boolean
}

/** Starts a worker and kills it: some time after its load is on, or, once in a while, while it still opens the file. */
async function startAndKill(run: number, random: SeededRandom): Promise<Killed> {
  const child = spawn(process.execPath, [worker, path, journalPath, String(run)], { stdio: ['ignore', 'pipe', 'pipe'] })
  running.add(child)
  let complaint = ''
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    complaint += text
  })
  const exited = once(child, 'exit') as Promise<[code: number | null, signal: string | null]>
  let wasReady = false
  const ready = once(child.stdout, 'data').then(() => {
    wasReady = true
  })
  if (run % 5 === 4) await sleep(150 + random.nextFloat() * 400, systemClock)
  else {
    await Promise.race([ready, exited])
    await sleep(random.nextFloat() * 600, systemClock)
  }
  child.kill('SIGKILL')
  const [code, signal] = await exited
  running.delete(child)
  expect({ code, signal, complaint }).toMatchObject({ code: null, signal: 'SIGKILL' })
  return { wasReady }
}

describe('the embedded engine, killed', () => {
  it(`loses, doubles and invents nothing over ${killCount} kills under load`, async () => {
    const seed = systemRandom.nextUint32()
    console.info(`crash test: seed ${seed}`)
    const random = new SeededRandom(seed)
    let image: Image = new Map()
    let underLoad = 0
    for (let run = 0; run < killCount; run++) {
      if ((await startAndKill(run, random)).wasReady) underLoad++
      await using engine = await embedded({ path }).open()
      image = await audit(engine, Journal.read(journalPath), image)
    }
    const journal = Journal.read(journalPath)
    expect(underLoad).toBeGreaterThan(killCount / 2)
    expect(journal.acknowledged.size).toBeGreaterThan(1000)
    // A kill that never meets a write under way proves nothing.
    const unanswered = [...journal.attempted].filter((id) => !journal.acknowledged.has(id) && !journal.refused.has(id))
    expect(unanswered.length).toBeGreaterThan(0)

    // What the group had not done is done now, once.
    await using engine = await embedded({ path }).open()
    const consumer = await GroupConsumer.join(engine, { group: crashNames.group, topics: [crashNames.inbox] }, copyOf)
    const isBehind = async (): Promise<boolean> =>
      (await engine.groups.describe(crashNames.group))?.lag.some(({ lagMessages }) => lagMessages > 0) ?? true
    while (await isBehind()) await sleep(5, systemClock)
    await consumer.leave()
    image = await audit(engine, journal, image)
    const inbox = [0, 1, 2].flatMap((partition) =>
      (image.get(`${crashNames.inbox}/${partition}`) ?? []).map(({ offset }) => `${partition}/${offset}`),
    )
    const outbox = (image.get(`${crashNames.outbox}/0`) ?? []).map(({ id }) => id)
    expect(outbox.toSorted()).toEqual(inbox.toSorted())
  }, 240_000)
})
