// Opens a file in a fresh process, as a program does that starts, and says how long it took and how much memory it needed.
// Started by rows/open-and-replay.ts: node bench/file-process.ts <nothing|open|topic|events> <path>; and with fill-<count>
// by rows/read-from-disk.ts, so that whoever reads is not the one who wrote.
import { DatabaseSync } from 'node:sqlite'
import { embedded } from '../src/embedded/index.ts'
import { orderMessages, partitionCount } from './events.ts'
import { inTurn, ordersTopic, piecesOf, publishInFlight } from './publishing.ts'
import { residentBytesMax } from './resident-memory.ts'

/** What this process found out. */
export interface FileReport {
  readonly openMs: number
  /** The same for SQLite alone: open the file and ask it something. */
  readonly bareOpenMs: number
  readonly eventCount: number
  readonly replayMs: number
  /** Largest resident set of the process, in bytes. */
  readonly residentBytesMax: number
}

const [work, path = ''] = process.argv.slice(2)

function openBare(): number {
  const startMs = performance.now()
  const db = new DatabaseSync(path, { readOnly: true })
  db.prepare('SELECT count(*) FROM topic').get()
  db.close()
  return performance.now() - startMs
}

async function report(): Promise<FileReport> {
  const nothing = { openMs: 0, bareOpenMs: 0, eventCount: 0, replayMs: 0 }
  if (work === 'nothing') return { ...nothing, residentBytesMax: residentBytesMax() }
  const bareOpenMs = work?.startsWith('fill-') ? 0 : openBare()
  const startMs = performance.now()
  await using engine = await embedded({ path }).open()
  const openMs = performance.now() - startMs
  let eventCount = 0
  if (work?.startsWith('fill-')) {
    eventCount = Number(work.slice('fill-'.length))
    await engine.topics.create(ordersTopic, { partitions: partitionCount })
    const pieces = inTurn(piecesOf(orderMessages(20_000), 500))
    await publishInFlight(engine, { commits: eventCount / 500, inFlight: 4 }, pieces)
  } else if (work === 'topic') {
    for (const { partition } of (await engine.topics.describe(ordersTopic))?.partitions ?? []) {
      for (let offset = 0; ; ) {
        const { records, nextOffset, latest } = await engine.topics.read({ topic: ordersTopic, partition, offset })
        eventCount += records.length
        offset = nextOffset
        if (offset >= latest) break
      }
    }
  } else if (work === 'events') {
    for await (const { message } of engine.events.readAll()) if (message.data !== null) eventCount++
  }
  return { openMs, bareOpenMs, eventCount, replayMs: performance.now() - startMs, residentBytesMax: residentBytesMax() }
}

process.stdout.write(`${JSON.stringify(await report())}\n`)
