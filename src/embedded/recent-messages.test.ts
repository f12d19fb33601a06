import { isDeepStrictEqual } from 'node:util'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { numbered } from './file.test-support.ts'
import { RecentMessages } from './recent-messages.ts'

/** What was published to a partition, as someone who keeps everything knows it. */
interface Model {
  end: number
  /** Number of each message by its offset. */
  readonly dataAt: Map<number, unknown>
}

type Step =
  | {
      readonly kind: 'add'
      readonly partition: number
      readonly count: number
      readonly bytes: number
      readonly hole: number
      readonly isAwaited: boolean
    }
  | { readonly kind: 'drop'; readonly partition: number }
  | { readonly kind: 'read'; readonly partition: number; readonly back: number; readonly bytesMax: number }

const partition = fc.integer({ min: 0, max: 2 })
const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({
      kind: fc.constant('add' as const),
      partition,
      count: fc.integer({ min: 1, max: 5 }),
      bytes: fc.integer({ min: 1, max: 60 }),
      isAwaited: fc.boolean(),
      hole: fc.oneof({ weight: 9, arbitrary: fc.constant(0) }, fc.integer({ min: 1, max: 3 })),
    }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('drop' as const), partition }) },
  {
    weight: 4,
    arbitrary: fc.record({
      kind: fc.constant('read' as const),
      partition,
      back: fc.integer({ min: 1, max: 12 }),
      bytesMax: fc.integer({ min: 1, max: 200 }),
    }),
  },
)

describe('recent messages', () => {
  it('are served as they were published, without gaps, or not at all', () => {
    let reads = 0
    fc.assert(
      fc.property(
        fc.integer({ min: 0, max: 4_000 }),
        fc.array(step, { maxLength: 80, size: 'max' }),
        (bytesMax, steps) => {
          const recent = new RecentMessages(bytesMax)
          const models: Model[] = [0, 1, 2].map(() => ({ end: 0, dataAt: new Map() }))
          let sequence = 0
          for (const one of steps) {
            const model = models[one.partition] as Model
            if (one.kind === 'drop') recent.drop(one.partition)
            else if (one.kind === 'add') {
              const base = model.end + one.hole
              const messages = numbered(one.count, sequence)
              for (let i = 0; i < one.count; i++) model.dataAt.set(base + i, sequence++)
              model.end = base + one.count
              recent.add(
                one.partition,
                base,
                messages,
                messages.map((_, i) => base + i),
                { encodedBytes: one.bytes, isAwaited: one.isAwaited },
              )
            } else {
              const offset = model.end - one.back
              const records = offset < 0 ? undefined : recent.read(one.partition, offset, one.bytesMax)
              if (records === undefined) continue
              reads++
              const found = records.map((record) => [record.offset, record.timestampMs, record.message.data])
              const due = records.map((_, i) => [offset + i, offset + i, model.dataAt.get(offset + i)])
              if (records.length === 0 || offset + records.length > model.end || !isDeepStrictEqual(found, due)) {
                throw new TypeError(`offset ${offset}: ${JSON.stringify(found)} is not ${JSON.stringify(due)}`)
              }
            }
          }
        },
      ),
      { numRuns: 300 },
    )
    expect(reads).toBeGreaterThan(300)
  })

  const add = (recent: RecentMessages, partition: number, base: number, bytes = 10, isAwaited = true): void =>
    recent.add(partition, base, numbered(2, base), [1, 2], { encodedBytes: bytes, isAwaited })

  it('are not kept for long of a partition that nobody reads', () => {
    const recent = new RecentMessages(10 * 4 * 64)
    const unread = (base: number): void => add(recent, 0, base, 10, false)
    for (let base = 0; base < 6; base += 2) unread(base)
    expect(recent.read(0, 4, 1_000)).toBeUndefined()
    // From here on it is read.
    for (let base = 6; base < 16; base += 2) unread(base)
    expect(recent.read(0, 6, 1_000)?.length).toBe(10)
  })

  it('are kept for who has several times as much to read as one read answers, and no longer', () => {
    const mebibyte = 1024 * 1024
    const recent = new RecentMessages(256 * mebibyte)
    const unread = (base: number): void => add(recent, 0, base, mebibyte, false)
    expect(recent.read(0, 0, 1)).toBeUndefined()
    for (let base = 0; base < 8; base += 2) unread(base)
    expect(recent.read(0, 0, 8 * mebibyte)?.length).toBe(8)
    for (let base = 8; base < 18; base += 2) unread(base)
    expect(recent.read(0, 16, 1)).toBeUndefined()
  })

  it('forget the oldest of all when the bound is passed', () => {
    const recent = new RecentMessages(10 * 4 * 3)
    add(recent, 0, 0)
    add(recent, 1, 0)
    add(recent, 0, 2)
    add(recent, 1, 2)
    expect(recent.read(0, 0, 1)).toBeUndefined()
    expect(recent.read(0, 2, 1)?.length).toBe(2)
    expect(recent.read(1, 0, 1_000)?.length).toBe(4)
  })

  it('hold nothing at all with a bound of 0', () => {
    const recent = new RecentMessages(0)
    add(recent, 0, 0)
    expect(recent.read(0, 0, 1)).toBeUndefined()
  })

  it('are not there before a batch that was too large to keep', () => {
    const recent = new RecentMessages(200)
    add(recent, 0, 0)
    add(recent, 0, 2, 1_000)
    expect(recent.read(0, 0, 1)).toBeUndefined()
    add(recent, 0, 4)
    expect(recent.read(0, 2, 1)).toBeUndefined()
    expect(recent.read(0, 4, 1)?.map(({ offset }) => offset)).toEqual([4, 5])
  })

  it('give room back when a partition is dropped', () => {
    const recent = new RecentMessages(10 * 4 * 2)
    for (let round = 0; round < 2_000; round++) {
      add(recent, 0, round * 2)
      recent.drop(0)
    }
    add(recent, 1, 0)
    add(recent, 1, 2)
    expect(recent.read(1, 0, 1_000)?.length).toBe(4)
    expect(recent.read(0, 3_998, 1)).toBeUndefined()
  })

  it('hand the same records to every reader', () => {
    const recent = new RecentMessages(1_000)
    add(recent, 0, 0)
    expect(recent.read(0, 0, 1)).toBe(recent.read(0, 0, 1))
  })
})
