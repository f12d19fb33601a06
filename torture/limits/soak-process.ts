// Everything that may come and go in a file comes and goes, for some time, and nothing may go on growing. Ends with code 0 and a line of
// JSON: what it measured. Started by limits/index.ts: node --expose-gc torture/limits/soak-process.ts <file> <for how many ms>
import { statSync } from 'node:fs'
import { DatabaseSync } from 'node:sqlite'
import { embedded } from '../../src/embedded/index.ts'
import { InvariantError, systemClock, systemRandom } from '../../src/kernel/index.ts'
import { type Allowance, growing, halves, laterShare, type Sample, samplesMin } from './growth.ts'
import { soakApp } from './soak-app.ts'
import { SoakLoad } from './soak-load.ts'
import { SteppingClock } from './stepping-clock.ts'

const [, , path = '', forMsText = '0'] = process.argv
const forMs = Number(forMsText)
const mebibyte = 1024 * 1024
const fillFromMs = 20_000
/** A log of 8 MiB goes into the database; what is written meanwhile comes on top of it. */
const logBytesMax = 16 * mebibyte
/** A leak of more for each event of the load is found, however long it takes; caches that are not full yet take less. */
const leakBytesMin = 4
/** What goes up and down anyway. */
const allowances: Readonly<Record<string, Allowance>> = {
  heapBytes: { share: 0, more: mebibyte, eachEvent: leakBytesMin },
  // Of the whole process: also what SQLite and the writer thread hold, and what the C library does not give back.
  residentBytes: { share: 0, more: 32 * mebibyte, eachEvent: leakBytesMin },
  databaseBytes: { share: 0, more: mebibyte / 2, eachEvent: 0 },
  // Of the database: pages that are free are no growth yet, and hide it.
  usedBytes: { share: 0, more: mebibyte / 2, eachEvent: 0 },
  logBytes: { share: 0, more: 4 * mebibyte, eachEvent: 0 },
  // How many commits share a batch hangs on how fast they come.
  'rows of batch': { share: 0.1, more: 50, eachEvent: 0 },
}
const ofRows: Allowance = { share: 0, more: 20, eachEvent: 0 }

const recentBytesMax = mebibyte
const clock = new SteppingClock()
const environment = { clock, random: systemRandom }
await using engine = await embedded({ path, maintenanceIntervalMs: 0, recentBytesMax }).open(environment)
await using running = await soakApp.start({ engine, clock })
const load = await SoakLoad.start(engine, running, clock)
using rows = new DatabaseSync(path, { readOnly: true })
const tables = rows
  .prepare("SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite_%'")
  .all()
  .map(({ name }) => String(name))
const counts = tables.map((table) => [table, rows.prepare(`SELECT count(*) AS n FROM "${table}"`)] as const)
const pages = rows.prepare(`SELECT page_count - freelist_count AS n, page_size AS bytes
  FROM pragma_page_count, pragma_freelist_count, pragma_page_size`)
const collect = (globalThis as { gc?: () => void }).gc ?? (() => undefined)

function sample(): Sample {
  collect()
  const { heapUsed, external, rss } = process.memoryUsage()
  const { n = 0, bytes = 0 } = pages.get() ?? {}
  return {
    heapBytes: heapUsed + external,
    residentBytes: rss,
    databaseBytes: statSync(path).size,
    usedBytes: Number(n) * Number(bytes),
    logBytes: statSync(`${path}-wal`, { throwIfNoEntry: false })?.size ?? 0,
    ...Object.fromEntries(counts.map(([table, count]) => [`rows of ${table}`, Number(count.get()?.['n'])])),
  }
}

// In a short run it stays below what is allowed for.
if (forMs >= fillFromMs) await load.fill()
const startMs = systemClock.monotonicMs()
const samples: Sample[] = []
while (systemClock.monotonicMs() - startMs < forMs || samples.length < samplesMin) {
  await load.round()
  samples.push(sample())
}
const seconds = (systemClock.monotonicMs() - startMs) / 1000
const [before, after] = halves(samples)
process.stdout.write(
  `${JSON.stringify({ seconds: Math.round(seconds), rounds: samples.length, events: load.eventCount, before, after })}\n`,
)
const eventsLater = load.eventCount * laterShare
const [worst] = growing(samples, eventsLater, (name) => allowances[name] ?? ofRows)
if (worst !== undefined) {
  throw new InvariantError(`${worst.name} stop growing (${worst.before} in one half, ${worst.after} in the next)`)
}
if ((after['logBytes'] ?? 0) > logBytesMax) {
  throw new InvariantError(`the log stays within ${logBytesMax} bytes (it came to ${after['logBytes']})`)
}
