import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { z } from 'zod'
import { embedded } from '../embedded/index.ts'
import { event } from '../message/index.ts'
import { readBoundary } from './boundary-reading.ts'
import { type Projection, projection } from './index.ts'

const data = z.object({ n: z.number() })
const types = ['A', 'B', 'C'] as const
const definitions = types.map((type) => event(type, { data }))
const tagNames = ['x', 'y', 'z'] as const

const tagsOf = fc.subarray([...tagNames])
const happening = fc.record({ type: fc.nat(types.length - 1), tags: tagsOf })
const reading = fc.record({
  types: fc.subarray([0, 1, 2], { minLength: 1 }),
  tags: tagsOf,
  onlyLast: fc.boolean(),
})

type Happening = { readonly type: number; readonly tags: readonly string[] }
type Reading = { readonly types: readonly number[]; readonly tags: readonly string[]; readonly onlyLast: boolean }

/** Remembers the numbers of the events that it is given. */
function remembering({ types: chosen, tags, onlyLast }: Reading): Projection<readonly number[]> {
  const none: readonly number[] = []
  const remember = (seen: readonly number[], { data: { n } }: { readonly data: { readonly n: number } }) => [...seen, n]
  const events = chosen.map((index) => definitions[index]) as unknown as [(typeof definitions)[number]]
  const on = Object.fromEntries(chosen.map((index) => [types[index], remember])) as never
  return projection({ events, tags, initial: none, onlyLast, on })
}

function isMeant({ types: chosen, tags }: Reading, one: Happening): boolean {
  return chosen.includes(one.type) && tags.every((tag) => one.tags.includes(tag))
}

describe('what a decision reads', () => {
  it('is what matches, and its condition refuses exactly what would have changed it', async () => {
    const histories = fc.array(happening, { maxLength: 12 })
    const readings = fc.array(reading, { minLength: 1, maxLength: 3 })
    await fc.assert(
      fc.asyncProperty(histories, readings, happening, fc.nat(12), async (past, reads, next, cut) => {
        await using engine = await embedded({ path: ':memory:' }).open()
        const append = async (one: Happening, n: number, condition?: { query: object; after: number }) => {
          const message = (definitions[one.type] as (typeof definitions)[number])({ n })
          return engine.commit({
            append: [
              {
                stream: `s${n % 2}`,
                events: [{ message, tags: one.tags }],
                ...(condition !== undefined && { condition: condition as never }),
              },
            ],
          })
        }
        for (const [n, one] of past.entries()) await append(one, n)
        const projections = Object.fromEntries(reads.map((one, index) => [`p${index}`, remembering(one)]))
        const naive = (upTo: number) =>
          Object.fromEntries(
            reads.map((read, index) => {
              const all = past.flatMap((one, n) => (n < upTo && isMeant(read, one) ? [n] : []))
              return [`p${index}`, read.onlyLast ? all.slice(-1) : all]
            }),
          )
        const { values, condition } = await readBoundary(engine.events, projections)
        expect(values).toEqual(naive(past.length))
        expect((await readBoundary(engine.events, projections, cut)).values).toEqual(naive(cut))
        await append(next, 100)
        const outcome = await append({ type: 0, tags: [] }, 101, condition)
        expect(outcome.ok).toBe(!reads.some((read) => isMeant(read, next)))
      }),
      { numRuns: 60 },
    )
  })
})
