import assert from 'node:assert/strict'
import type { EventQuery, EventQueryItem } from '../events.ts'
import type { WriteBatch } from '../write-batch.ts'
import { all, type ConformanceCase, conditions, idempotentById, multiStream } from './conformance-case.ts'
import { type Fixture, refuses } from './fixture.ts'

/** An append of one event that is refused when an event matching the items stands after `after`. */
function guarded(
  f: Fixture,
  items: readonly EventQueryItem[],
  after: number,
  type = 'Guarded',
  tags: readonly string[] = [],
): WriteBatch {
  return {
    append: [
      {
        stream: f.name('stream'),
        events: [{ message: f.message(type), tags }],
        condition: { query: { items }, after },
      },
    ],
  }
}

/** Puts one event with these tags into a new stream and says where it stands. */
async function stand(f: Fixture, type: string, ...tags: readonly string[]): Promise<number> {
  const { appended } = await f.commit({
    append: [{ stream: f.name('stream'), events: [{ message: f.message(type), tags }] }],
  })
  return appended[0]?.lastPosition as number
}

async function eventsOf(f: Fixture, query: EventQuery): Promise<number> {
  return (await Array.fromAsync(f.engine.events.readAll({ query }))).length
}

/** Append conditions (dcb.events): consistency over whatever a query names. */
export const conditionCases: readonly ConformanceCase[] = (
  [
    {
      name: 'conditions: an append whose query matches nothing goes through',
      async run(f) {
        const tag = f.name('tag')
        await stand(f, 'A', f.name('tag'))
        await f.commit(guarded(f, [{ tags: [tag] }], 0))
        await f.commit(guarded(f, [{ types: [f.name('Type')] }], 0))
      },
    },
    {
      name: 'conditions: an event that matches by tag refuses, and the answer says where it stands',
      async run(f) {
        const tag = f.name('tag')
        const position = await stand(f, 'A', 'other', tag)
        const batch = guarded(f, [{ tags: [tag] }], 0)
        const conflict = await f.conflict(batch, 'condition')
        assert.deepEqual([conflict.stream, conflict.position], [batch.append?.[0]?.stream, position])
        assert.deepEqual(await f.stream(conflict.stream), [])
      },
    },
    {
      name: 'conditions: an event that matches by type refuses',
      async run(f) {
        const type = f.name('Type')
        const position = await stand(f, type)
        assert.equal((await f.conflict(guarded(f, [{ types: ['Else', type] }], 0), 'condition')).position, position)
        await f.commit(guarded(f, [{ types: [type.slice(0, -1)] }], 0))
        await f.commit(guarded(f, [{ types: [`${type}x`] }], 0))
      },
    },
    {
      name: 'conditions: what stands at or before the position does not count',
      async run(f) {
        const tag = f.name('tag')
        const first = await stand(f, 'A', tag)
        const second = await stand(f, 'B', tag)
        await f.conflict(guarded(f, [{ tags: [tag] }], first), 'condition')
        await f.conflict(guarded(f, [{ tags: [tag] }], second - 1), 'condition')
        await f.commit(guarded(f, [{ tags: [tag] }], second))
        await f.commit(guarded(f, [{ tags: [tag] }], second + 1_000_000))
      },
    },
    {
      name: 'conditions: all tags of an item must be there',
      async run(f) {
        const [a, b, c] = [f.name('tag'), f.name('tag'), f.name('tag')]
        await stand(f, 'A', a)
        await stand(f, 'A', b)
        await f.commit(guarded(f, [{ tags: [a, b] }], 0))
        await stand(f, 'A', b, c, a)
        await f.conflict(guarded(f, [{ tags: [a, b] }], 0), 'condition')
        await f.conflict(guarded(f, [{ tags: [a, b, c] }], 0), 'condition')
        await f.commit(guarded(f, [{ tags: [a, b, f.name('tag')] }], 0))
      },
    },
    {
      name: 'conditions: type and tags of an item must both match',
      async run(f) {
        const [tag, type] = [f.name('tag'), f.name('Type')]
        await stand(f, type)
        await stand(f, 'Other', tag)
        await f.commit(guarded(f, [{ types: [type], tags: [tag] }], 0))
        await stand(f, type, tag)
        await f.conflict(guarded(f, [{ types: [type], tags: [tag] }], 0), 'condition')
      },
    },
    {
      name: 'conditions: one item that matches is enough',
      async run(f) {
        const tag = f.name('tag')
        await stand(f, 'A', tag)
        await f.conflict(
          guarded(f, [{ tags: [f.name('tag')] }, { types: [f.name('Type')] }, { tags: [tag] }], 0),
          'condition',
        )
      },
    },
    {
      name: 'conditions: no items mean every event, and so does an empty item',
      async run(f) {
        const last = await stand(f, 'A')
        await f.conflict(guarded(f, [], last - 1), 'condition')
        await f.conflict(guarded(f, [{}], last - 1), 'condition')
        await f.commit(guarded(f, [], await f.engine.events.lastPosition()))
      },
    },
    {
      name: 'conditions: tags are compared exactly',
      async run(f) {
        const base = f.name('Tag')
        const tags = [
          `${base}:1`,
          `${base}:1 `,
          `${base.toLowerCase()}:1`,
          `${base}:10`,
          `${base}%`,
          `${base}_`,
          `${base}"`,
          `${base},a`,
          `${base}\\`,
        ]
        for (const [index, tag] of tags.entries()) {
          for (const earlier of tags.slice(0, index)) assert.notEqual(earlier, tag)
          await f.commit(guarded(f, [{ tags: [tag] }], 0, 'A', [tag]))
          await f.conflict(guarded(f, [{ tags: [tag] }], 0), 'condition')
        }
        await f.commit(guarded(f, [{ tags: [base] }], 0))
      },
    },
    {
      name: 'conditions: names of prototype members are tags and types like any other',
      async run(f) {
        const mine = f.name('tag')
        for (const name of ['__proto__', 'constructor', 'toString']) {
          await f.commit(guarded(f, [{ types: [name], tags: [mine, name] }], 0, name, [mine, name]))
          await f.conflict(guarded(f, [{ types: [name], tags: [mine, name] }], 0), 'condition')
        }
      },
    },
    {
      name: 'conditions: an append does not stand in its own way',
      async run(f) {
        const tag = f.name('tag')
        const batch = guarded(f, [{ tags: [tag] }], 0, 'A', [tag])
        await f.commit(batch)
        await f.conflict(guarded(f, [{ tags: [tag] }], 0, 'A', [tag]), 'condition')
      },
    },
    {
      name: 'conditions: events for several streams may stand under one condition',
      requires: multiStream,
      async run(f) {
        const tag = f.name('tag')
        const condition = { query: { items: [{ tags: [tag] }] }, after: 0 }
        const both = (): WriteBatch => ({
          append: ['course', 'student'].map((label) => ({
            stream: f.name(label),
            events: [{ message: f.message('Subscribed'), tags: [tag] }],
            condition,
          })),
        })
        assert.equal((await f.commit(both())).appended.length, 2)
        await f.conflict(both(), 'condition')
        assert.equal(await eventsOf(f, condition.query), 2)
      },
    },
    {
      name: 'conditions: of many that race with the same condition exactly one wins',
      async run(f) {
        const tag = f.name('tag')
        let after = 0
        for (let round = 0; round < 5; round++) {
          const outcomes = await Promise.all(
            Array.from({ length: 20 }, () =>
              f.engine.commit(guarded(f, [{ types: ['Taken'], tags: [tag] }], after, 'Taken', [tag])),
            ),
          )
          const won = outcomes.filter((outcome) => outcome.ok)
          assert.equal(won.length, 1)
          for (const outcome of outcomes) assert.ok(outcome.ok || outcome.conflict.kind === 'condition')
          after = won[0]?.appended[0]?.lastPosition ?? 0
        }
        assert.equal(await eventsOf(f, { items: [{ tags: [tag] }] }), 5)
      },
    },
    {
      name: 'conditions: appends that have nothing to do with each other never refuse each other',
      async run(f) {
        const outcomes = await Promise.all(
          Array.from({ length: 100 }, () => {
            const tag = f.name('tag')
            return f.engine.commit(guarded(f, [{ types: ['Unrelated'], tags: [tag] }], 0, 'Unrelated', [tag]))
          }),
        )
        assert.ok(outcomes.every(({ ok }) => ok))
      },
    },
    {
      name: 'conditions: read, decide, append with a condition never exceeds a capacity',
      async run(f) {
        const course = f.name('course')
        const query: EventQuery = { items: [{ types: ['Subscribed'], tags: [course] }] }
        const subscribe = async (student: string): Promise<boolean> => {
          for (;;) {
            const taken = await Array.fromAsync(f.engine.events.readAll({ query }))
            if (taken.length >= 5) return false
            const batch: WriteBatch = {
              append: [
                {
                  stream: student,
                  events: [{ message: f.message('Subscribed'), tags: [course, student] }],
                  condition: { query, after: taken.at(-1)?.position ?? 0 },
                },
              ],
            }
            if ((await f.engine.commit(batch)).ok) return true
          }
        }
        const outcomes = await Promise.all(Array.from({ length: 16 }, () => subscribe(f.name('student'))))
        assert.equal(outcomes.filter(Boolean).length, 5)
        assert.equal(await eventsOf(f, query), 5)
      },
    },
    {
      name: 'conditions: a tag that an idle writer has not read yet is noticed across streams',
      async run(f) {
        const [account, other] = [f.name('account'), f.name('account')]
        const read = await stand(f, 'Opened', account)
        await stand(f, 'Withdrawn', other, account)
        await f.conflict(
          guarded(f, [{ types: ['Withdrawn'], tags: [account] }], read, 'Withdrawn', [account]),
          'condition',
        )
      },
    },
    {
      name: 'conditions: a condition and an expected version must both hold',
      async run(f) {
        const [tag, stream] = [f.name('tag'), f.name('stream')]
        const attempt = (expected: number, after: number): WriteBatch => ({
          append: [
            {
              stream,
              expected,
              events: [{ message: f.message('A'), tags: [tag] }],
              condition: { query: { items: [{ tags: [tag] }] }, after },
            },
          ],
        })
        const { appended } = await f.commit(attempt(0, 0))
        const last = appended[0]?.lastPosition ?? 0
        await f.conflict(attempt(1, 0), 'condition')
        await f.conflict(attempt(0, last), 'stream-version')
        await f.commit(attempt(1, last))
      },
    },
    {
      name: 'conditions: a repeated append is recognised before its own events refuse it',
      requires: idempotentById,
      async run(f) {
        const tag = f.name('tag')
        const batch = guarded(f, [{ tags: [tag] }], 0, 'A', [tag])
        await f.commit(batch)
        assert.equal((await f.commit(batch)).appended[0]?.duplicate, true)
        assert.equal(await eventsOf(f, { items: [{ tags: [tag] }] }), 1)
      },
    },
    {
      name: 'conditions: a condition that is none is an error',
      async run(f) {
        const bad = [
          { query: { items: [] }, after: Number.NaN },
          { query: { items: [] }, after: -1 },
          { query: { items: [] }, after: 0.5 },
          { query: { items: [] } },
          { query: {}, after: 0 },
          { after: 0 },
          { query: { items: [{ tags: 'tag' }] }, after: 0 },
          { query: { items: [{ types: [7] }] }, after: 0 },
          { query: { items: [null] }, after: 0 },
        ]
        const stream = f.name('stream')
        for (const condition of bad) {
          const write = { stream, events: [{ message: f.message('A') }], condition: condition as never }
          await refuses(() => f.engine.commit({ append: [write] }))
        }
        assert.deepEqual(await f.stream(stream), [])
      },
    },
  ] satisfies readonly ConformanceCase[]
).map((one: ConformanceCase) => ({ ...one, requires: all(conditions, one.requires ?? (() => true)) }))
