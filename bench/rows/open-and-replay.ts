import { execFile } from 'node:child_process'
import { dirname, join } from 'node:path'
import { promisify } from 'node:util'
import { embedded } from '../../src/embedded/index.ts'
import type { Engine } from '../../src/engine/index.ts'
import { OrderPlaced, orderDataOf, orderMessages, partitionCount } from '../events.ts'
import type { FileReport } from '../file-process.ts'
import { inFlight, inTurn, ordersTopic, piecesOf, publishInFlight } from '../publishing.ts'
import type { BenchRow, Figure, RowSettings } from '../row.ts'
import { median } from '../statistics.ts'

const execute = promisify(execFile)
const mebibyte = 1024 * 1024
const streamCount = 10_000
const eventsPerAppend = 100

/** As many events in a topic, and as many again in streams: the file that is opened has both. */
async function fill(engine: Engine, eventCount: number): Promise<void> {
  await engine.topics.create(ordersTopic, { partitions: partitionCount })
  const batches = inTurn(piecesOf(orderMessages(20_000), 500))
  await publishInFlight(engine, { commits: eventCount / 500, inFlight: 4 }, batches)
  await inFlight({ commits: eventCount / eventsPerAppend, inFlight: 16 }, (index) => {
    const events = Array.from({ length: eventsPerAppend }, (_, i) => ({
      message: OrderPlaced(orderDataOf(index * eventsPerAppend + i)),
    }))
    return engine.commit({ append: [{ stream: `order-${index % streamCount}`, events }] })
  })
}

async function inFreshProcess(work: 'nothing' | 'open' | 'topic' | 'events', path: string): Promise<FileReport> {
  const script = join(import.meta.dirname, '..', 'file-process.ts')
  // A program runs what was built; here the sources are, so that what Node makes of them is kept beside the file.
  const env = { ...process.env, NODE_COMPILE_CACHE: join(dirname(path), 'compiled') }
  const { stdout } = await execute(process.execPath, [script, work, path], { env })
  return JSON.parse(stdout) as FileReport
}

async function run({ quick, folder }: RowSettings): Promise<readonly Figure[]> {
  const eventCount = quick ? 100_000 : 1_000_000
  const path = join(folder, 'million.db')
  {
    await using engine = await embedded({ path }).open()
    await fill(engine, eventCount)
  }
  const opened: FileReport[] = []
  await inFreshProcess('open', path)
  for (let round = 0; round < 5; round++) opened.push(await inFreshProcess('open', path))
  const bare = await inFreshProcess('nothing', path)
  const topic = await inFreshProcess('topic', path)
  const events = await inFreshProcess('events', path)
  for (const found of [topic, events]) {
    if (found.eventCount !== eventCount) throw new Error(`replayed ${found.eventCount} events of ${eventCount}`)
  }
  const memory = (what: string, found: FileReport): Figure => ({
    what,
    value: found.residentBytesMax / mebibyte,
    unit: 'MiB',
    limit: { what: 'MiB of a process that does nothing', value: bare.residentBytesMax / mebibyte },
    target: { of: 'value', atMost: 300 },
    notes: [`${Math.round((eventCount / found.replayMs) * 1000).toLocaleString('en-US')} events/s`],
  })
  return [
    {
      what: `open, ${(eventCount * 2).toLocaleString('en-US')} events`,
      value: median(opened.map((one) => one.openMs)),
      unit: 'ms',
      limit: { what: 'ms SQLite alone', value: median(opened.map((one) => one.bareOpenMs)) },
      target: { of: 'value', atMost: 200 },
      notes: [
        'in a fresh process, the file in the cache of the system; half of the events in a topic, half in streams',
      ],
    },
    memory(`largest memory while replaying ${eventCount.toLocaleString('en-US')} events of the topic`, topic),
    memory(`largest memory while replaying ${eventCount.toLocaleString('en-US')} events of all streams`, events),
  ]
}

/** What a program pays that starts on a file that is not small. */
export const openAndReplay: BenchRow = { title: 'Open a file with many events, and replay them', run }
