// One test of a limit in a process of its own, which measures itself. Ends with code 0 and a line of JSON: what it measured.
// Started by limits/index.ts: node --expose-gc torture/limits/limits-process.ts <what> <file> <for how many ms>
import { statSync } from 'node:fs'
import { type EmbeddedEngine, embedded } from '../../src/embedded/index.ts'
import { InvariantError, sleep, systemClock } from '../../src/kernel/index.ts'

const [, , what = '', path = '', forMsText = '0'] = process.argv
const forMs = Number(forMsText)
const mebibyte = 1024 * 1024
const value = 'x'.repeat(4096)
const publish = [{ topic: 'orders', partition: 0, records: Array.from({ length: 16 }, () => ({ key: null, value })) }]
const collect = (globalThis as { gc?: () => void }).gc ?? (() => undefined)

function residentBytes(): number {
  collect()
  return process.memoryUsage().rss
}

function diskBytes(): { readonly database: number; readonly log: number } {
  return { database: statSync(path).size, log: statSync(`${path}-wal`, { throwIfNoEntry: false })?.size ?? 0 }
}

function expectMost(name: string, measured: number, most: number): void {
  if (!(measured <= most)) throw new InvariantError(`${name} stays within ${most} (it came to ${measured})`)
}

/** Thousands of commits at once, a hundred times what may wait: what is encoded at a time stays bounded. */
async function pressure(engine: EmbeddedEngine): Promise<object> {
  const commits = Array.from({ length: 1600 }, () => engine.commit({ publish }))
  let most = 0
  let isDone = false
  const all = Promise.all(commits).finally(() => {
    isDone = true
  })
  while (!isDone) {
    most = Math.max(most, process.memoryUsage().arrayBuffers)
    await sleep(5, systemClock)
  }
  await all
  // Two groups of at most 8 MiB are on their way, and buffers that come back are kept for the next ones.
  expectMost('memory of encoded commits', most, 48 * mebibyte)
  return { arrayBuffersMost: most }
}

/** Readers that take one thing and then no more, while others write: nothing gathers for them. */
async function idleReaders(engine: EmbeddedEngine): Promise<object> {
  const { signal } = new AbortController()
  const readers = [engine.events.subscribe({ signal }), engine.state.watch('n', { signal })]
  const first = readers.map((reader) => reader.next())
  await engine.commit({ state: [{ kind: 'set', namespace: 'n', key: 'k', value: 0 }] })
  await Promise.all(first)
  const write = async (count: number): Promise<void> => {
    for (let n = 0; n < count; n++) {
      const state = [{ kind: 'set', namespace: 'n', key: `k${n % 100}`, value }] as const
      await Promise.all(Array.from({ length: 8 }, () => engine.commit({ publish, state })))
    }
  }
  await write(60)
  const before = residentBytes()
  await write(180)
  const grown = residentBytes() - before
  expectMost('memory beside readers that do not read', grown, 48 * mebibyte)
  return { grown }
}

/** Writes for some time under retention: memory, database and log stop growing. */
async function soak(engine: EmbeddedEngine): Promise<object> {
  const startMs = systemClock.monotonicMs()
  const run = async (untilMs: number): Promise<number> => {
    let count = 0
    while (systemClock.monotonicMs() - startMs < untilMs) {
      for (let n = 0; n < 40; n++) await Promise.all(Array.from({ length: 8 }, () => engine.commit({ publish })))
      count += 320
      await engine.topics.maintain()
    }
    return count
  }
  await run(forMs / 3)
  const before = { ...diskBytes(), resident: residentBytes() }
  const count = await run(forMs)
  const after = { ...diskBytes(), resident: residentBytes() }
  expectMost('the database', after.database, before.database * 1.2 + 4 * mebibyte)
  expectMost('the log', after.log, 64 * mebibyte)
  expectMost('memory', after.resident, before.resident * 1.2 + 48 * mebibyte)
  return { count, before, after }
}

const works: Readonly<Record<string, (engine: EmbeddedEngine) => Promise<object>>> = {
  pressure,
  'idle-readers': idleReaders,
  soak,
}

await using engine = await embedded({
  path,
  maintenanceIntervalMs: 0,
  bufferBytesMax: mebibyte,
  recentBytesMax: mebibyte,
}).open()
await engine.topics.create('orders', { partitions: 1, retentionBytes: 4 * mebibyte })
const work = works[what]
if (work === undefined) throw new InvariantError(`${what} is one of ${Object.keys(works).join(', ')}`)
process.stdout.write(`${JSON.stringify(await work(engine))}\n`)
