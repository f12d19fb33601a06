import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { EventQuery, StoredEvent } from '../engine/index.ts'
import type { EmbeddedEngine } from './embedded-engine.ts'
import { commit, message, openEngine } from './file.test-support.ts'

const names = ['a', 'b', 'c', 'd', '__proto__', "x' OR 1 --"]
const name = fc.constantFrom(...names)
const some = (max: number): fc.Arbitrary<string[]> => fc.uniqueArray(name, { maxLength: max })

/** Also types as tags and tags as types: one index holds both. */
const query: fc.Arbitrary<EventQuery> = fc.record({
  items: fc.array(fc.record({ types: some(3), tags: some(3) }, { requiredKeys: [] }), { maxLength: 4 }),
})

function matches(query: EventQuery, event: StoredEvent): boolean {
  const isMet = ({ types = [], tags = [] }: EventQuery['items'][number]): boolean =>
    (types.length === 0 || types.includes(event.message.type)) && tags.every((tag) => event.tags.includes(tag))
  return query.items.length === 0 || query.items.some(isMet)
}

describe('queries of the event store', () => {
  let engine: EmbeddedEngine
  let events: readonly StoredEvent[]

  beforeAll(async () => {
    engine = await openEngine(':memory:')
    const sample = fc.sample(fc.record({ type: name, tags: some(4), stream: name }), { numRuns: 700, seed: 20_260 })
    for (const { type, tags, stream } of sample) {
      await commit(engine, { append: [{ stream, events: [{ message: message(type), tags }] }] })
    }
    // Positions with gaps, and labels of events that are gone.
    await engine.events.truncateStream('a', 40)
    await engine.events.deleteStream('b')
    events = await Array.fromAsync(engine.events.readAll())
    if (events.length < 400) throw new TypeError('too few events to tell anything')
  })
  afterAll(() => engine.close())

  it('find what a walk over all events finds, in both directions, from anywhere, up to a limit', async () => {
    await fc.assert(
      fc.asyncProperty(
        query,
        fc.boolean(),
        fc.option(fc.integer({ min: 0, max: 800 }), { nil: undefined }),
        fc.option(fc.integer({ min: 0, max: 600 }), { nil: undefined }),
        async (asked, isForward, fromPosition, limit) => {
          const direction = isForward ? 'forward' : 'backward'
          const from = fromPosition === undefined ? {} : { fromPosition }
          const found = engine.events.readAll({
            query: asked,
            direction,
            ...from,
            ...(limit === undefined ? {} : { limit }),
          })
          const ordered = isForward ? events : events.toReversed()
          const expected = ordered
            .filter((event) => matches(asked, event))
            .filter(({ position }) => {
              if (fromPosition === undefined) return true
              return isForward ? position >= fromPosition : position <= fromPosition
            })
            .slice(0, limit)
          const positions = (await Array.fromAsync(found)).map(({ position }) => position)
          expect(positions).toEqual(expected.map(({ position }) => position))
        },
      ),
      { numRuns: 250 },
    )
  })

  it('as conditions meet exactly the appends that a later matching event stands against', async () => {
    const last = await engine.events.lastPosition()
    await fc.assert(
      fc.asyncProperty(query, fc.integer({ min: 0, max: last }), async (asked, after) => {
        const expected = events.some((event) => event.position > after && matches(asked, event))
        // A second append that always fails, so that the store stays as it is.
        const outcome = await engine.commit({
          append: [
            { stream: 'probe', events: [{ message: message('probe') }], condition: { query: asked, after } },
            { stream: 'probe', events: [{ message: message('probe') }], expected: 77 },
          ],
        })
        if (outcome.ok) throw new TypeError('the probe was written')
        expect(outcome.conflict.kind).toBe(expected ? 'condition' : 'stream-version')
        expect('position' in outcome.conflict ? outcome.conflict.position : after + 1).toBeGreaterThan(after)
      }),
      { numRuns: 300 },
    )
  })

  it('may name as many types and tags as are allowed, and one more is an error', async () => {
    const many = (count: number): string[] => Array.from({ length: count }, (_, i) => `many${i}`)
    for (const items of [
      [{ types: [...many(499), 'c'] }],
      [{ tags: many(500) }],
      many(500).map((tag) => ({ tags: [tag] })),
      [{ types: many(250), tags: many(250) }],
    ]) {
      const found = await Array.fromAsync(engine.events.readAll({ query: { items } }))
      expect(found.length).toBe(
        items[0] && 'types' in items[0] && !('tags' in items[0])
          ? events.filter((e) => e.message.type === 'c').length
          : 0,
      )
      const condition = { query: { items }, after: await engine.events.lastPosition() }
      const outcome = await engine.commit({
        append: [{ stream: 'limits', events: [{ message: message('limits') }], condition }],
      })
      expect(outcome.ok).toBe(true)
    }
    const tooMany = { items: [{ types: many(501) }] }
    await expect(Array.fromAsync(engine.events.readAll({ query: tooMany }))).rejects.toMatchObject({
      code: 'ARGUMENT_INVALID',
    })
    await expect(
      engine.commit({
        append: [{ stream: 's', events: [{ message: message('A') }], condition: { query: tooMany, after: 0 } }],
      }),
    ).rejects.toMatchObject({ code: 'ARGUMENT_INVALID' })
  })
})
