import assert from 'node:assert/strict'
import { systemClock, type Timer } from '../../kernel/index.ts'
import type { EventQuery } from '../events.ts'
import type { WriteBatch } from '../write-batch.ts'
import { beside, type Choices, choosing } from './choices.ts'
import type { ConformanceCase } from './conformance-case.ts'
import type { Fixture } from './fixture.ts'

/** Where the writers of a case write, and whether they still do. */
interface Place {
  readonly before: number
  readonly streams: readonly string[]
  readonly tag: string
  isWritten: boolean
}

const writerCount = 6
/** More than all writers together write between two looks, so that the looks overlap. */
const windowSize = 80
/** How long a subscription may take to the last event, in milliseconds. Only one that misses it ever takes that long. */
const patienceMs = 5000

function placeOf(f: Fixture, before: number): Place {
  return {
    before,
    streams: [f.name('stream'), f.name('stream'), f.name('stream')],
    tag: f.name('tag'),
    isWritten: true,
  }
}

/** Commits that go through, and in between some that are refused or never made: what they would have written is nowhere. */
async function write(f: Fixture, place: Place, choices: Choices): Promise<void> {
  for (let turn = 0; turn < 25; turn++) {
    const streamCount = f.engine.capabilities.events.multiStream ? choices.between(1, 3) : 1
    const append = choices.some(place.streams, streamCount, streamCount).map((stream) => ({
      stream,
      events: Array.from({ length: choices.between(1, 3) }, () => ({
        message: f.message('T'),
        tags: choices.chance(0.5) ? [place.tag] : [],
      })),
    }))
    if (choices.chance(0.2)) {
      await f.conflict({ append: append.map((one) => ({ ...one, expected: 1_000_000 })) }, 'stream-version')
      continue
    }
    await acknowledged(f, { append })
    for (let pause = choices.between(0, 2); pause > 0; pause--) await f.turn()
  }
}

/** What was acknowledged can be read at once, and the end of the store is not before it. */
async function acknowledged(f: Fixture, batch: WriteBatch): Promise<void> {
  const { appended } = await f.commit(batch)
  const last = Math.max(...appended.map(({ lastPosition }) => lastPosition))
  assert.ok((await f.engine.events.lastPosition()) >= last, 'the last position is behind an acknowledged event')
  for (const { stream, lastVersion, lastPosition } of appended) {
    const options = { fromVersion: lastVersion, limit: 1 }
    const [event] = await Array.fromAsync(f.engine.events.readStream(stream, options))
    assert.equal(event?.position, lastPosition, 'an acknowledged event is not there')
  }
}

/** Looks again and again while there are writers, and once more after the last. */
async function whileWritten(f: Fixture, place: Place, look: () => Promise<void>): Promise<void> {
  for (let isLast = false; !isLast; ) {
    await f.turn()
    isLast = !place.isWritten
    await look()
  }
}

/** Goes on behind the last position that it saw, a few events at a time. */
async function followByPosition(
  f: Fixture,
  place: Place,
  choices: Choices,
  query: EventQuery | undefined,
): Promise<number[]> {
  const seen: number[] = []
  const which = query === undefined ? {} : { query }
  await whileWritten(f, place, async () => {
    for (;;) {
      const options = { ...which, fromPosition: (seen.at(-1) ?? place.before) + 1, limit: choices.between(1, 5) }
      const page = (await Array.fromAsync(f.engine.events.readAll(options))).map(({ position }) => position)
      seen.push(...page)
      if (page.length < options.limit) return
    }
  })
  return seen
}

/** Goes on behind the last version that it saw: versions have no gaps at any moment. */
async function followByVersion(f: Fixture, place: Place, stream: string): Promise<number[]> {
  const positions: number[] = []
  await whileWritten(f, place, async () => {
    for await (const event of f.engine.events.readStream(stream, { fromVersion: positions.length + 1 })) {
      assert.equal(event.version, positions.length + 1, 'a version was passed over')
      positions.push(event.position)
    }
  })
  return positions
}

/** Looks at the last few events: where two looks overlap they agree, and the later one never ends before the earlier. */
async function watchTheEnd(f: Fixture, place: Place): Promise<void> {
  let earlier: readonly number[] = []
  await whileWritten(f, place, async () => {
    const options = { direction: 'backward', limit: windowSize } as const
    const later = (await Array.fromAsync(f.engine.events.readAll(options))).map(({ position }) => position).toReversed()
    const overlap = (a: readonly number[], b: readonly number[]): number[] =>
      a.filter((position) => position >= (b[0] ?? 0) && position <= (earlier.at(-1) ?? 0))
    assert.ok((later.at(-1) ?? 0) >= (earlier.at(-1) ?? 0), 'the end of the store went back')
    assert.deepEqual(overlap(later, earlier), overlap(earlier, later), 'an event appeared between two that stood there')
    earlier = later
  })
}

/** Notes what stands at or before the last position: nothing may ever be added to that. */
async function sampleTheEnd(f: Fixture, place: Place): Promise<Map<number, number>> {
  const countUpTo = new Map<number, number>()
  await whileWritten(f, place, async () => {
    const last = await f.engine.events.lastPosition()
    const all = await Array.fromAsync(f.engine.events.readAll({ fromPosition: place.before + 1 }))
    countUpTo.set(last, all.filter(({ position }) => position <= last).length)
  })
  return countUpTo
}

/** Follows live, up to the event that says that it is the end. */
async function subscribed(
  f: Fixture,
  place: Place,
  query: EventQuery | undefined,
  signal: AbortSignal,
): Promise<number[]> {
  const seen: number[] = []
  let told = place.before
  const options = { after: place.before, signal, ...(query === undefined ? {} : { query }) }
  for await (const item of f.engine.events.subscribe(options)) {
    assert.ok(item.kind === 'caught-up' ? item.position >= told : item.position > told, 'a subscription went back')
    told = item.position
    if (item.kind === 'caught-up') continue
    seen.push(item.position)
    if (item.message.type === 'End') break
  }
  return seen
}

/** Readers beside writers (dcb.events, sequence position): positions only ever come up in their order. */
export const parallelReadingCases: readonly ConformanceCase[] = [
  choosing({
    name: 'parallel: however the store is followed, no reader passes anything over',
    async run(f, choices) {
      const place = placeOf(f, await f.engine.events.lastPosition())
      const query = { items: [{ tags: [place.tag] }] }
      const given = new AbortController()
      let giveUp: Timer | undefined
      const readers = Promise.all([
        Promise.all([undefined, undefined, query].map((one) => followByPosition(f, place, choices.fork(), one))),
        Promise.all(place.streams.map((stream) => followByVersion(f, place, stream))),
        Promise.all([undefined, query].map((one) => subscribed(f, place, one, given.signal))),
        sampleTheEnd(f, place),
        watchTheEnd(f, place),
      ])
      const writing = async (): Promise<void> => {
        await Promise.all(Array.from({ length: writerCount }, () => write(f, place, choices.fork())))
        const end = { message: f.message('End'), tags: [place.tag] }
        await f.commit({ append: [{ stream: f.name('end'), events: [end] }] })
      }
      const [[all, allAgain, tagged], streams, subscriptions, countUpTo] = await beside(readers, writing, () => {
        place.isWritten = false
        giveUp = systemClock.setTimer(() => given.abort(), patienceMs)
      }).finally(() => giveUp?.cancel())
      const log = await Array.fromAsync(f.engine.events.readAll({ fromPosition: place.before + 1 }))
      const positions = log.map(({ position }) => position)
      const taggedPositions = log.filter(({ tags }) => tags.includes(place.tag)).map(({ position }) => position)
      assert.ok(positions.length > taggedPositions.length && taggedPositions.length > 1)
      assert.deepEqual([all, allAgain, tagged], [positions, positions, taggedPositions])
      assert.deepEqual(subscriptions, [positions, taggedPositions])
      for (const [index, stream] of place.streams.entries()) {
        assert.deepEqual(
          streams[index],
          log.filter((event) => event.stream === stream).map(({ position }) => position),
        )
      }
      for (const [last, count] of countUpTo) {
        assert.equal(positions.filter((position) => position <= last).length, count, `events came up before ${last}`)
      }
    },
  }),
]
