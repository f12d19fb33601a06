// Readers that are opened and never read from, or read once and no more, while others write: nothing gathers for them, nobody waits for
// them, and closing ends them. Ends with code 0 and a line of JSON: what it measured. Started by limits/index.ts:
// node --expose-gc torture/limits/idle-readers-process.ts <file>
import { z } from 'zod'
import { app, service } from '../../src/app/index.ts'
import { view } from '../../src/domain/index.ts'
import { embedded } from '../../src/embedded/index.ts'
import { InvariantError, MillraceError, sleep, systemClock } from '../../src/kernel/index.ts'
import { event } from '../../src/message/index.ts'
import { on, topic } from '../../src/runtime/index.ts'

const [, , path = ''] = process.argv
const mebibyte = 1024 * 1024
const filler = 'x'.repeat(4000)
const atOnce = 8
const messagesAtOnce = 8
const newKeysAtOnce = 20
/** What is written goes again soon, so that the caches of SQLite have an end. */
const kept = 2 * mebibyte
/** What one reader would hold of what is written in the second half, if it held anything, is several times as much. */
const heapBytesMax = 2 * mebibyte
const residentBytesMax = 32 * mebibyte
const endMsMax = 10_000
const collect = (globalThis as { gc?: () => void }).gc ?? (() => undefined)

const written = topic('written', { partitions: 2, retentionBytes: kept })
const Written = event('Written', {
  topic: written,
  data: z.object({ id: z.string(), value: z.string() }),
  key: ({ id }) => id,
})
const latest = view('latest', {
  events: [Written],
  key: ({ data }) => data.id,
  initial: '',
  on: { Written: (_before, { data }) => data.value },
})
/** A handler that takes one message and comes back only when it is told to. */
const stuck = on(Written, { name: 'stuck', key: () => 'all', timeout: '1h' }, async (_written, { signal }) => {
  await new Promise((resolve) => signal.addEventListener('abort', resolve, { once: true }))
})

await using engine = await embedded({
  path,
  maintenanceIntervalMs: 0,
  bufferBytesMax: mebibyte,
  recentBytesMax: mebibyte,
}).open()
const given = { views: [latest], services: [service('s', [stuck])] }
await using running = await app('idle', given).start({ engine, stopTimeout: '100ms' })
const { signal } = new AbortController()
const namespace = 'n'

/** Each reader twice: nothing is ever asked of the one, and one thing of the other. */
const readers = {
  'a subscription of the event store': () => engine.events.subscribe({ signal }),
  'a read of the event store': () => engine.events.readAll(),
  'a watch of state': () => engine.state.watch(namespace, { signal }),
  'a watch of a view': () => running.view(latest).watch({ signal }),
} satisfies Record<string, () => AsyncIterable<unknown>>
let writtenCount = 0

/** New keys each time, too: what a watcher has not seen must not gather by key either. */
async function write(count: number): Promise<void> {
  for (let n = 0; n < count; n++) {
    await Promise.all(
      Array.from({ length: atOnce }, async () => {
        const id = String(writtenCount++)
        const value = `${filler}${id}`
        const messages = Array.from({ length: messagesAtOnce }, (_, k) =>
          Written({ id: `${k}`, value: `${value}/${k}` }),
        )
        const keys = Array.from({ length: newKeysAtOnce }, (_, k) => `${id}/${k}`)
        const state = [...keys, 'k'].map((key) => ({ kind: 'set', namespace, key, value: key }) as const)
        const append = [{ stream: 's', events: [{ message: Written({ id, value }) }] }]
        const outcome = await engine.commit({ publish: [{ topic: written.name, messages }], state, append })
        if (!outcome.ok) throw new InvariantError('somebody who writes is not held up by those who do not read')
      }),
    )
    if (n % 10 !== 9) continue
    // What is garbage already is not to count.
    collect()
    await engine.topics.maintain()
    await engine.events.truncateStream('s', Math.max(1, writtenCount - 100))
  }
}

function held(): { readonly heapBytes: number; readonly residentBytes: number } {
  collect()
  const { heapUsed, external, rss } = process.memoryUsage()
  return { heapBytes: heapUsed + external, residentBytes: rss }
}

function expectMost(what: string, measured: number, most: number): void {
  if (measured > most) throw new InvariantError(`${what} stays within ${most} (it came to ${measured})`)
}

/** With something, with nothing, or with an error that has a name. */
async function endOf(step: Promise<unknown>): Promise<void> {
  await step.catch((error: unknown) => {
    if (!(error instanceof MillraceError)) throw error
  })
}

async function inTime(name: string, end: Promise<void>): Promise<void> {
  const late = sleep(endMsMax, systemClock).then(() => 'late')
  const outcome = await Promise.race([end, late])
  if (outcome === 'late') throw new InvariantError(`${name} ends when what it reads is closed`)
}

function follow(partition: number, offset: number): Promise<void> {
  return endOf(engine.topics.read({ topic: written.name, partition, offset, waitMs: 3_600_000 }))
}

await write(1)
const opened = Object.entries(readers).flatMap(([name, open]) => {
  return [`${name}, never read`, `${name}, read once`].map((which) => ({
    name: which,
    iterator: (open() as AsyncIterable<unknown>)[Symbol.asyncIterator](),
  }))
})
const reading = opened.filter(({ name }) => name.endsWith('once')).map(({ iterator }) => iterator.next())
// Who follows a topic asks for what comes next, and nothing more once it has come.
const { partitions = [] } = (await engine.topics.describe(written.name)) ?? {}
const followers = partitions.map(({ partition, latest: end }) => follow(partition, end))
// A member of a group that is given partitions and never reads.
const member = await engine.groups.join({
  group: 'idle',
  topics: [written.name],
  sessionTimeoutMs: 3_600_000,
  onAssigned: () => undefined,
  onRevoked: async () => undefined,
  onLost: () => undefined,
})
await write(60)
await Promise.all(reading)
const before = held()
await write(180)
const after = held()
const grown = {
  heapBytes: after.heapBytes - before.heapBytes,
  residentBytes: after.residentBytes - before.residentBytes,
}
expectMost('the heap beside readers that do not read', grown.heapBytes, heapBytesMax)
expectMost('memory beside readers that do not read', grown.residentBytes, residentBytesMax)
// One that still waits when all is closed.
followers.push(follow(0, await engine.topics.locate(written.name, 0, 'latest')))
const closing = running.stop().then(() => engine.close())
await inTime('closing beside readers that do not read', closing)
await inTime('a member of a group', endOf(member.leave()))
for (const follower of followers) await inTime('a follower of a topic', follower)
for (const { name, iterator } of opened) {
  const toItsEnd = async (): Promise<void> => {
    while ((await iterator.next()).done !== true) {
      // What was written before it ends may be told.
    }
  }
  await inTime(name, endOf(toItsEnd()))
}
process.stdout.write(`${JSON.stringify({ commits: writtenCount, grown })}\n`)
