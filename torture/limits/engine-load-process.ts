// The load of the crash tests on an engine, with a consumer group, that goes through an ordeal. Says `done` when all of it went on, and
// runs until it is killed. Started by limits/endured.ts: node torture/limits/engine-load-process.ts <ordeal> <file> <journal>
import { CrashActors } from '../../src/embedded/fixtures/crash-actors.ts'
import { type JournalEntry, JournalWriter } from '../../src/embedded/fixtures/crash-journal.ts'
import { copyOf, crashNames } from '../../src/embedded/fixtures/crash-load.ts'
import { embedded } from '../../src/embedded/index.ts'
import { GroupConsumer } from '../../src/engine/conformance/index.ts'
import { InvariantError, systemRandom } from '../../src/kernel/index.ts'
import { JumpingClock } from './jumping-clock.ts'
import { type Counts, goThrough, parseOrdeal } from './ordeal.ts'

const [, , ordealText = '', path = '', journalPath = ''] = process.argv
const ordeal = parseOrdeal(ordealText)
/** Seldom enough that a session that is over is often found before the member speaks again. */
const heartbeatMs = 400
/** Over while it is stopped; jumps of the wall are none of its business. */
const sessionTimeoutMs = ordeal.kind === 'stop' ? 1000 : 45_000
const moreMin = 3

/** Counts what is acknowledged by what kind it is, which its name begins with. */
class CountingJournal extends JournalWriter {
  readonly acknowledged: Record<string, number> = {}

  override write(entry: JournalEntry): void {
    super.write(entry)
    if (entry.kind !== 'ack') return
    const [kind = ''] = entry.id.split(/[/:]/, 1)
    this.acknowledged[kind] = (this.acknowledged[kind] ?? 0) + 1
  }
}

const clock = new JumpingClock()
const engine = await embedded({ path, maintenanceIntervalMs: 100 }).open({ clock, random: systemRandom })
const journal = new CountingJournal(journalPath)
const actors = await new CrashActors(engine, journal, '0', clock).start()
const options = { group: crashNames.group, topics: [crashNames.inbox], sessionTimeoutMs }
const consumer = await GroupConsumer.join(engine, options, copyOf)
setInterval(() => consumer.member.heartbeat(), heartbeatMs)

async function counts(): Promise<Counts> {
  const fired = await engine.topics.locate(crashNames.fired, 0, 'latest')
  return { ...journal.acknowledged, fired, copies: consumer.committedCount }
}

async function targets(): Promise<Counts> {
  return Object.fromEntries(Object.entries(await counts()).map(([kind, count]) => [kind, count + moreMin]))
}

async function forEver(actor: (n: number) => Promise<unknown>): Promise<never> {
  for (let n = 0; ; n++) await actor(n)
}

async function endure(): Promise<void> {
  // So that each kind is there to be counted.
  while (Object.keys(journal.acknowledged).length < actors.length) await new Promise((resolve) => setImmediate(resolve))
  await goThrough(ordeal, clock, counts, targets)
  if (ordeal.kind === 'jumps' && consumer.lostCount > 0) {
    throw new InvariantError(`no session ends because a clock jumps (${consumer.lostCount} claims were lost)`)
  }
  process.stdout.write(`done ${JSON.stringify({ sessionsLost: consumer.lostCount > 0 ? 1 : 0 })}\n`)
}

const load = Promise.race(actors.map(forEver))
await Promise.race([load, endure().then(() => load)])
