import assert from 'node:assert/strict'
import { beside, type Choices, choosing } from './choices.ts'
import { atomic, type ConformanceCase } from './conformance-case.ts'
import { type Fixture, messageOf } from './fixture.ts'

/** Partitions as their readers saw them: what stood at an offset once stands there for everybody. */
class Sightings {
  readonly #ids = new Map<string, string>()

  note(topic: string, partition: number, offset: number, id: string): void {
    const place = `${topic}/${partition}/${offset}`
    const known = this.#ids.get(place)
    assert.ok(known === undefined || known === id, `two readers saw different records at ${place}`)
    this.#ids.set(place, id)
  }

  get count(): number {
    return this.#ids.size
  }

  ids(): Set<string> {
    return new Set(this.#ids.values())
  }
}

interface Run {
  readonly topics: readonly string[]
  readonly sightings: Sightings
  /** Ids of messages of which a commit was refused, or failed. */
  readonly refusedIds: Set<string>
  /** Ids of messages that were acknowledged. */
  readonly acceptedIds: Set<string>
  readonly namespace: string
  isWritten: boolean
}

const partitionCount = 2
const publisherCount = 6

/** Publishes numbers in their order, each commit of them to one partition; some commits must not go through. */
async function publish(f: Fixture, run: Run, id: number, choices: Choices): Promise<void> {
  const next = new Map<string, number>()
  for (let turn = 0; turn < 25; turn++) {
    const [topic, partition] = [choices.either(run.topics), choices.between(0, partitionCount - 1)]
    const from = next.get(`${topic}/${partition}`) ?? 0
    const count = choices.between(1, 4)
    const messages = Array.from({ length: count }, (_, n) => f.message('T', { id, number: from + n }))
    const write = { topic, partition, messages }
    if (choices.chance(0.25)) {
      for (const message of messages) run.refusedIds.add(message.id)
      if (choices.chance(0.5)) {
        const nowhere = { topic, partition: 99, messages: [f.message('T')] }
        await assert.rejects(f.engine.commit({ publish: [write, nowhere] }))
      } else {
        const refused = { kind: 'set', namespace: run.namespace, key: 'none', value: 1, expectedRevision: 7 } as const
        await f.conflict({ publish: [write], state: [refused] }, 'revision')
      }
      continue
    }
    const places = (await f.commit({ publish: [write] })).published
    next.set(`${topic}/${partition}`, from + count)
    for (const [index, message] of messages.entries()) {
      run.acceptedIds.add(message.id)
      run.sightings.note(topic, partition, places[index]?.offset as number, message.id)
    }
    for (let pause = choices.between(0, 2); pause > 0; pause--) await f.turn()
  }
}

/** Reads one partition from the start, in pages of any size, waiting for more at its end. */
async function follow(f: Fixture, run: Run, topic: string, partition: number, choices: Choices): Promise<void> {
  let offset = 0
  const lastOf = new Map<number, number>()
  for (let isLast = false; !isLast; ) {
    isLast = !run.isWritten
    for (;;) {
      const bytesMax = choices.either([1, 500, 1_000_000])
      const page = await f.engine.topics.read({ topic, partition, offset, bytesMax })
      for (const record of page.records) {
        assert.ok(record.offset === offset || (hasGaps(f) && record.offset > offset), 'an offset was passed over')
        const message = messageOf(record)
        const { id, number } = message.data as { id: number; number: number }
        assert.equal(number, (lastOf.get(id) ?? -1) + 1, `the order of publisher ${id} was not kept`)
        lastOf.set(id, number)
        run.sightings.note(topic, partition, record.offset, message.id)
        offset = record.offset + 1
      }
      assert.ok(page.nextOffset === offset || (hasGaps(f) && page.nextOffset > offset))
      offset = page.nextOffset
      if (offset >= page.latest) break
    }
    await f.turn()
  }
}

/** Reads from anywhere, again and again: what stands there is what others saw there. */
async function revisit(f: Fixture, run: Run, choices: Choices): Promise<void> {
  const latestOf = new Map<string, number>()
  while (run.isWritten) {
    await f.turn()
    const [topic, partition] = [choices.either(run.topics), choices.between(0, partitionCount - 1)]
    const latest = await f.engine.topics.locate(topic, partition, 'latest')
    const place = `${topic}/${partition}`
    assert.ok(latest >= (latestOf.get(place) ?? 0), 'the end of a partition went back')
    latestOf.set(place, latest)
    if (latest === 0) continue
    const offset = choices.between(0, latest - 1)
    const { records } = await f.engine.topics.read({ topic, partition, offset })
    // What the end said is there, up to the end.
    const isThere = (records[0]?.offset ?? -1) === offset && (records.at(-1)?.offset ?? -1) >= latest - 1
    assert.ok(isThere || hasGaps(f))
    for (const record of records) run.sightings.note(topic, partition, record.offset, messageOf(record).id)
  }
}

function hasGaps(f: Fixture): boolean {
  return f.engine.capabilities.topics.offsetGaps === true
}

/** Readers of topics beside publishers: one log for everybody, without gaps, and nothing in it that was refused. */
export const parallelLogCases: readonly ConformanceCase[] = [
  choosing({
    name: 'parallel: all readers of a partition see one log grow, and nothing in it that was refused',
    requires: atomic('topics', 'state'),
    async run(f, choices) {
      const topics = [await f.topic({ partitions: partitionCount }), await f.topic({ partitions: partitionCount })]
      const run: Run = {
        topics,
        sightings: new Sightings(),
        refusedIds: new Set(),
        acceptedIds: new Set(),
        namespace: f.name('state'),
        isWritten: true,
      }
      const partitions = topics.flatMap((topic) => [0, 1].map((partition) => ({ topic, partition })))
      const readers = Promise.all([
        ...partitions.map(({ topic, partition }) => follow(f, run, topic, partition, choices.fork())),
        ...partitions.map(({ topic, partition }) => follow(f, run, topic, partition, choices.fork())),
        revisit(f, run, choices.fork()),
        revisit(f, run, choices.fork()),
      ])
      const writing = (): Promise<unknown> =>
        Promise.all(Array.from({ length: publisherCount }, (_, id) => publish(f, run, id, choices.fork())))
      await beside(readers, writing, () => {
        run.isWritten = false
      })
      assert.ok(run.refusedIds.size > 0 && run.acceptedIds.size > 0)
      assert.deepEqual(run.sightings.ids(), run.acceptedIds)
      assert.equal(run.sightings.count, run.acceptedIds.size, 'a record stands in two places')
    },
  }),
  choosing({
    name: 'parallel: many topics at once, each with publishers and members of its own',
    requires: atomic('topics', 'progress'),
    async run(f, choices) {
      const work = async (own: Choices): Promise<void> => {
        const topic = await f.topic({ partitions: own.between(1, 3) })
        const counts = Array.from({ length: 10 }, () => own.between(1, 4))
        const group = f.name('group')
        const seen: string[] = []
        const member = await f.engine.groups.join({
          group,
          topics: [topic],
          onAssigned: () => {},
          onRevoked: async () => {},
          onLost: () => {},
        })
        const sent = await Promise.all(
          counts.map(async (count) => {
            const messages = f.numbered(count, 0, { partitionkey: f.name('key') })
            await f.publish(topic, messages)
            return messages.map(({ id }) => id)
          }),
        )
        for (const { partition } of (await f.engine.topics.describe(topic))?.partitions ?? []) {
          const records = await f.read(topic, partition)
          seen.push(...records.map((record) => messageOf(record).id))
          await f.eventually('the claim', () => member.claims.some((claim) => claim.partition === partition))
          const claim = member.claims.find((one) => one.partition === partition)
          const last = records.at(-1)
          // Between the commits of several publishers offsets may be left out.
          if (last !== undefined && claim !== undefined) {
            await f.commit({ progress: [{ claim, done: [{ from: 0, to: last.offset + 1 }] }] })
          }
        }
        assert.deepEqual(seen.toSorted(), sent.flat().toSorted())
        const { lag = [] } = (await f.engine.groups.describe(group)) ?? {}
        assert.ok(lag.every(({ lagMessages }) => lagMessages === 0))
        await member.leave()
      }
      await Promise.all(Array.from({ length: 20 }, () => work(choices.fork())))
    },
  }),
]
