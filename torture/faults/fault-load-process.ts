// A short run of the load of the crash tests, whose system calls may fail: it must end by itself, whatever happens, and say
// what did. Started by faults/index.ts: node torture/faults/fault-load-process.ts <file> <journal> <run> <rounds> [dies]
// With `dies` it kills itself when its rounds are done, so that they stand in the log.
import { CrashActors } from '../../src/embedded/fixtures/crash-actors.ts'
import { JournalWriter } from '../../src/embedded/fixtures/crash-journal.ts'
import { copyOf, crashNames } from '../../src/embedded/fixtures/crash-load.ts'
import { type EmbeddedEngine, embedded } from '../../src/embedded/index.ts'
import { GroupConsumer } from '../../src/engine/conformance/index.ts'
import { MillraceError } from '../../src/kernel/index.ts'

const [, , path = '', journalPath = '', run = '0', rounds = '1', end = ''] = process.argv

function say(word: string): void {
  process.stdout.write(`${word}\n`)
}

/** An error that Millrace has a name for is an answer; any other is a fault of its own. */
function sayError(error: unknown): void {
  if (error instanceof MillraceError) say(`refused ${String(error.code)}`)
  else say(`strange ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`)
}

async function attempt<T>(work: () => Promise<T>): Promise<T | undefined> {
  try {
    return await work()
  } catch (error) {
    sayError(error)
    return undefined
  }
}

async function load(engine: EmbeddedEngine, journal: JournalWriter): Promise<void> {
  const actors = await attempt(() => new CrashActors(engine, journal, run).start())
  const options = { group: crashNames.group, topics: [crashNames.inbox] }
  const consumer = await attempt(() => GroupConsumer.join(engine, options, copyOf))
  for (let n = 0; n < Number(rounds) && actors !== undefined; n++) {
    const outcomes = await Promise.allSettled(actors.map((actor) => actor(n)))
    for (const outcome of outcomes) if (outcome.status === 'rejected') sayError(outcome.reason)
  }
  await attempt(() => engine.topics.maintain())
  await attempt(async () => consumer?.leave())
}

function openJournal(): JournalWriter | undefined {
  try {
    return new JournalWriter(journalPath)
  } catch {
    // The fault hit the witness, not what he watches.
    return undefined
  }
}

const journal = openJournal()
if (journal !== undefined) {
  const engine = await attempt(() => embedded({ path, maintenanceIntervalMs: 0 }).open())
  say(engine === undefined ? 'not open' : 'open')
  if (engine !== undefined) {
    await load(engine, journal)
    if (end === 'dies') process.kill(process.pid, 'SIGKILL')
    await attempt(() => engine.close())
  }
}
say('ended')
