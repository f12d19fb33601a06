import assert from 'node:assert/strict'
import type { StoredEvent } from '../events.ts'
import type { ConformanceCase } from './conformance-case.ts'
import { type Fixture, messageOf } from './fixture.ts'

/** More than a reader fetches at once, so that it has to look again in the middle. */
const manyCount = 1500

async function longStream(f: Fixture): Promise<string> {
  const stream = f.name('stream')
  await f.commit({ append: [{ stream, events: f.numbered(manyCount).map((message) => ({ message })) }] })
  return stream
}

const versionsOf = (events: readonly StoredEvent[]): number[] => events.map(({ version }) => version)

const upTo = (count: number): number[] => Array.from({ length: count }, (_, index) => index + 1)

/** Reads up to an event, does something else, and reads on. */
async function readAround(
  events: AsyncIterable<StoredEvent>,
  at: (event: StoredEvent) => boolean,
  meanwhile: () => Promise<unknown>,
): Promise<StoredEvent[]> {
  const seen: StoredEvent[] = []
  for await (const event of events) {
    seen.push(event)
    if (at(event)) await meanwhile()
  }
  return seen
}

/** Readers in the middle of what they read, while the store changes under them. */
export const iterationCases: readonly ConformanceCase[] = [
  {
    name: 'iteration: events that come while a stream is read forward come at the end or not at all',
    async run(f) {
      const stream = await longStream(f)
      const append = (): Promise<unknown> => f.append(stream, 'Later', 'Later')
      const seen = await readAround(f.engine.events.readStream(stream), ({ version }) => version === 3, append)
      assert.ok(seen.length >= manyCount)
      assert.deepEqual(versionsOf(seen), upTo(seen.length))
    },
  },
  {
    name: 'iteration: events that come while the store is read backward do not come',
    async run(f) {
      const stream = await longStream(f)
      const append = (): Promise<unknown> => f.append(stream, 'Later', 'Later')
      const backward = { direction: 'backward', limit: manyCount } as const
      const third = ({ version }: StoredEvent): boolean => version === manyCount - 2
      const expected = upTo(manyCount).toReversed()
      const inStore = await readAround(f.engine.events.readAll(backward), third, append)
      assert.deepEqual(versionsOf(inStore), expected)
      const fromVersion = manyCount
      const read = f.engine.events.readStream(stream, { ...backward, fromVersion })
      assert.deepEqual(versionsOf(await readAround(read, third, append)), expected)
    },
  },
  {
    name: 'iteration: a limit counts what is given, also when more comes meanwhile',
    async run(f) {
      const stream = await longStream(f)
      const seen = await readAround(
        f.engine.events.readStream(stream, { fromVersion: 11, limit: 700 }),
        ({ version }) => version % 100 === 0,
        () => f.append(stream, 'Later'),
      )
      assert.deepEqual(versionsOf(seen), upTo(710).slice(10))
    },
  },
  {
    name: 'iteration: a reader who is in the middle when the engine closes gets all or is told',
    async run(f) {
      const stream = await longStream(f)
      let failure: { code?: string } | undefined
      const seen = await readAround(
        f.engine.events.readStream(stream),
        ({ version }) => version === 3,
        () => f.engine.close(),
      ).catch((error: unknown) => {
        failure = error as { code?: string }
        return undefined
      })
      // Half a stream that looks like a whole one would make a wrong state of whatever is folded from it.
      if (seen === undefined) assert.equal(failure?.code, 'CLOSED')
      else assert.equal(seen.length, manyCount)
    },
  },
  {
    name: 'iteration: readers of one stream do not disturb each other, nor one that stopped early',
    async run(f) {
      const stream = await longStream(f)
      const { events } = f.engine
      const stopped = events.readStream(stream)[Symbol.asyncIterator]()
      assert.equal((await stopped.next()).value?.version, 1)
      await stopped.return?.()
      await stopped.return?.()
      assert.equal((await stopped.next()).done, true)
      const [forward, backward, tail] = await Promise.all([
        Array.fromAsync(events.readStream(stream)),
        Array.fromAsync(events.readStream(stream, { direction: 'backward' })),
        Array.fromAsync(events.readStream(stream, { fromVersion: manyCount - 1 })),
      ])
      assert.deepEqual(versionsOf(forward), upTo(manyCount))
      assert.deepEqual(versionsOf(backward), upTo(manyCount).toReversed())
      assert.deepEqual(versionsOf(tail), [manyCount - 1, manyCount])
    },
  },
  {
    name: 'iteration: a stream as it was at any version is its first events',
    async run(f) {
      const stream = f.name('cart')
      const changes = [30, 30, -6, 12]
      for (const change of changes) {
        await f.commit({ append: [{ stream, events: [{ message: f.message('Changed', change) }] }] })
      }
      for (let version = 0; version <= changes.length; version++) {
        let total = 0
        let last = 0
        for await (const event of f.engine.events.readStream(stream, { limit: version })) {
          total += Number(event.message.data)
          last = event.version
        }
        const expected = changes.slice(0, version).reduce((sum, change) => sum + change, 0)
        assert.deepEqual([total, last], [expected, version])
      }
    },
  },
  {
    name: 'iteration: who hands over a part of a buffer gets that part back',
    async run(f) {
      const topic = await f.topic()
      const whole = Buffer.from('before|part|after')
      const part = new Uint8Array(whole.buffer, whole.byteOffset + 7, 4)
      await f.commit({
        publish: [{ topic, records: [{ key: part, value: part, headers: [['name', part]] }], messages: f.numbered(1) }],
      })
      const records = await f.read(topic)
      const raw = records.find(({ kind }) => kind === 'undecodable')
      const message = records.find(({ kind }) => kind === 'message')
      assert.ok(raw?.kind === 'undecodable' && message !== undefined)
      assert.equal(messageOf(message).data, 0)
      const texts = [raw.key, raw.value, raw.headers[0]?.[1]].map((bytes) => Buffer.from(bytes ?? '').toString())
      assert.deepEqual(texts, ['part', 'part', 'part'])
    },
  },
]
