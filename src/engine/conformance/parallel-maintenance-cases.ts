import assert from 'node:assert/strict'
import type { RecordOutcome } from '../../record/index.ts'
import type { RawRecord } from '../write-batch.ts'
import { beside, type Choices, choosing } from './choices.ts'
import { type ConformanceCase, compaction } from './conformance-case.ts'
import { type Fixture, refuses } from './fixture.ts'

const numberHeader = 'number'

/** A value or a tombstone under a key, with the number of the write, which readers go by. */
function numbered(key: string, number: number, isTombstone: boolean): RawRecord {
  return { key, value: isTombstone ? null : `value ${number}`, headers: [[numberHeader, String(number)]] }
}

function keyAndNumber(record: RecordOutcome): { key: string; number: number } {
  assert.ok(record.kind !== 'message')
  const header = record.headers.find(([name]) => name === numberHeader)?.[1]
  return { key: Buffer.from(record.key ?? '').toString(), number: Number(Buffer.from(header ?? '').toString()) }
}

/** Reads on from an offset to the end as it is now, in pages of any size. Answers where to read on. */
async function readOn(
  f: Fixture,
  topic: string,
  from: number,
  choices: Choices,
  take: (record: RecordOutcome) => void,
): Promise<number> {
  let offset = from
  for (;;) {
    const bytesMax = choices.either([1, 300, 1_000_000])
    const page = await f.engine.topics.read({ topic, partition: 0, offset, bytesMax })
    let last = offset - 1
    for (const record of page.records) {
      assert.ok(record.offset > last && record.offset < page.nextOffset, 'a page holds what its bounds say, in order')
      last = record.offset
      take(record)
    }
    assert.ok(page.nextOffset > offset || page.nextOffset === page.latest, 'a page before the end must lead on')
    offset = page.nextOffset
    if (offset >= page.latest) return offset
  }
}

/** Numbers by key as a reader comes upon them: they rise, whatever compaction takes away in between. */
function rising(): { readonly last: Map<string, number>; readonly take: (record: RecordOutcome) => void } {
  const last = new Map<string, number>()
  const take = (record: RecordOutcome): void => {
    const { key, number } = keyAndNumber(record)
    assert.ok(number > (last.get(key) ?? -1), `${key} went back to an older value`)
    last.set(key, number)
  }
  return { last, take }
}

const isOutOfRange = (error: unknown): boolean => (error as { code?: unknown }).code === 'OFFSET_OUT_OF_RANGE'

/** Readers beside publishers while old records are taken away. */
export const parallelMaintenanceCases: readonly ConformanceCase[] = [
  choosing({
    name: 'parallel: beside compaction, readers see values of a key in their order, and never miss the last one',
    requires: compaction,
    async run(f, choices) {
      const topic = await f.topic({ cleanup: 'compact' })
      const keys = ['a', 'b', 'é', 'd']
      const written = new Map<string, number>()
      let isWritten = true
      const write = async (key: string, own: Choices): Promise<void> => {
        for (let number = 0; number < 60; number++) {
          await f.commit({ publish: [{ topic, records: [numbered(key, number, own.chance(0.2))] }] })
          written.set(key, number)
          for (let pause = own.between(0, 1); pause > 0; pause--) await f.turn()
        }
      }
      const compact = async (): Promise<void> => {
        for (; isWritten; await f.turn()) await f.engine.topics.maintain()
      }
      const follow = async (own: Choices): Promise<Map<string, number>> => {
        const seen = rising()
        let offset = 0
        for (let isLast = false; !isLast; await f.turn()) {
          isLast = !isWritten
          offset = await readOn(f, topic, offset, own, seen.take)
        }
        return seen.last
      }
      const readAnew = async (own: Choices): Promise<void> => {
        for (; isWritten; await f.turn()) {
          const acknowledged = [...written]
          const seen = rising()
          await readOn(f, topic, 0, own, seen.take)
          for (const [key, number] of acknowledged) {
            assert.ok((seen.last.get(key) ?? -1) >= number, `value ${number} of ${key} was there and is not`)
          }
        }
      }
      const readers = Promise.all([
        Promise.all([follow(choices.fork()), follow(choices.fork())]),
        readAnew(choices.fork()),
        compact(),
      ])
      const writing = (): Promise<unknown> => Promise.all(keys.map((key) => write(key, choices.fork())))
      const [followers] = await beside(readers, writing, () => {
        isWritten = false
      })
      for (const last of followers) assert.deepEqual(last, new Map(keys.map((key) => [key, last.get(key)])))
      await f.engine.topics.maintain()
      const left = rising()
      let count = 0
      await readOn(f, topic, 0, choices, (record) => {
        left.take(record)
        count++
      })
      for (const last of [...followers, left.last]) for (const key of keys) assert.equal(last.get(key), 59)
      assert.ok(count < 240, 'nothing was compacted')
    },
  }),
  choosing({
    name: 'parallel: beside truncation, readers are told that they are too late, and miss nothing behind it',
    async run(f, choices) {
      const topic = await f.topic()
      const idAt = new Map<number, string>()
      let isWritten = true
      let truncatedTo = 0
      const write = async (own: Choices): Promise<void> => {
        for (let turn = 0; turn < 40; turn++) {
          const messages = f.numbered(own.between(1, 3))
          const places = await f.publish(topic, messages)
          for (const [index, { offset }] of places.entries()) idAt.set(offset, messages[index]?.id as string)
          for (let pause = own.between(0, 1); pause > 0; pause--) await f.turn()
        }
      }
      const truncate = async (own: Choices): Promise<void> => {
        for (; isWritten; await f.turn()) {
          const latest = await f.engine.topics.locate(topic, 0, 'latest')
          const before = own.between(0, latest)
          await f.engine.topics.truncate(topic, 0, before)
          truncatedTo = Math.max(truncatedTo, before)
          if (before === 0) continue
          await refuses(() => f.engine.topics.read({ topic, partition: 0, offset: before - 1 }), 'OFFSET_OUT_OF_RANGE')
        }
      }
      const follow = async (own: Choices): Promise<Map<number, string>> => {
        const seen = new Map<number, string>()
        let offset = 0
        for (let isLast = false; !isLast; await f.turn()) {
          isLast = !isWritten
          const take = (record: RecordOutcome): void => {
            assert.equal(record.offset, offset, 'an offset was passed over')
            assert.ok(record.kind === 'message')
            seen.set(record.offset, record.message.id)
            offset = record.offset + 1
          }
          try {
            await readOn(f, topic, offset, own, take)
          } catch (error) {
            if (!isOutOfRange(error)) throw error
            const earliest = await f.engine.topics.locate(topic, 0, 'earliest')
            assert.ok(earliest > offset, 'a reader was turned away from what is there')
            offset = earliest
            isLast = false
          }
        }
        return seen
      }
      const readers = Promise.all([
        Promise.all(Array.from({ length: 3 }, () => follow(choices.fork()))),
        truncate(choices.fork()),
      ])
      const writing = (): Promise<unknown> => Promise.all(Array.from({ length: 4 }, () => write(choices.fork())))
      const [followers] = await beside(readers, writing, () => {
        isWritten = false
      })
      assert.ok(truncatedTo > 0)
      const latest = idAt.size
      for (const seen of followers) {
        for (const [offset, id] of seen) assert.equal(id, idAt.get(offset))
        for (let offset = truncatedTo; offset < latest; offset++) assert.ok(seen.has(offset), `${offset} was missed`)
      }
    },
  }),
]
