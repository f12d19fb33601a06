import fc from 'fast-check'
import type { Operation, Part } from './model-operations.ts'

const index = fc.nat({ max: 11 })
const share = fc.constantFrom(0, 0.2, 0.5, 0.9, 1)
const value = fc.oneof(fc.integer(), fc.constantFrom(null, true, 'ä', ''), fc.jsonValue({ maxDepth: 2 }).map(plainJson))
const weighted = <T>(often: T, ...seldom: readonly T[]): fc.Arbitrary<T> =>
  fc.oneof({ weight: 3, arbitrary: fc.constant(often) }, { weight: 2, arbitrary: fc.constantFrom(...seldom) })

/** Without negative zero and own keys like `__proto__`, which JSON as the engine takes it cannot carry. */
function plainJson(json: unknown): unknown {
  const text = JSON.stringify(json)
  return /"(__proto__|constructor|prototype)"/.test(text) ? null : JSON.parse(text)
}

const part: fc.Arbitrary<Part> = fc.oneof(
  fc.record({
    kind: fc.constant('publish' as const),
    topic: index,
    partition: fc.option(index, { nil: undefined }),
    keys: fc.array(fc.option(index), { minLength: 1, maxLength: 4 }),
    form: weighted<'messages' | 'records' | 'tombstones'>('messages', 'records', 'tombstones'),
  }),
  fc.record({
    kind: fc.constant('produce' as const),
    producer: index,
    partition: index,
    count: fc.integer({ min: 1, max: 3 }),
    shift: weighted(0, -1, -2, -3, -8, 1),
    stale: weighted<boolean>(false, false, false, true),
  }),
  fc.record({
    kind: fc.constant('append' as const),
    stream: index,
    types: fc.array(index, { minLength: 1, maxLength: 3 }),
    tags: fc.array(index, { maxLength: 3 }),
    expected: weighted<'any' | 'none' | 'exists' | 'current' | 'behind'>('any', 'none', 'exists', 'current', 'behind'),
    condition: fc.option(fc.record({ tags: fc.array(index, { maxLength: 2 }), type: fc.option(index), after: index }), {
      nil: undefined,
      freq: 2,
    }),
  }),
  fc.record({ kind: fc.constant('repeat' as const), append: fc.nat(), whole: weighted<boolean>(true, false) }),
  fc.record({
    kind: weighted<'set' | 'delete'>('set', 'delete'),
    namespace: index,
    key: index,
    value,
    expected: weighted<'any' | 'current' | 'wrong'>('any', 'current', 'current', 'wrong'),
  }),
  fc.record({ kind: fc.constant('clear' as const), namespace: index }),
  fc.record({
    kind: fc.constant('schedule' as const),
    owner: index,
    id: index,
    dueMs: fc.nat({ max: 50 }),
    payload: value,
  }),
  fc.record({ kind: fc.constant('cancel' as const), owner: index, id: index }),
  fc.record({ kind: fc.constant('fire' as const), owner: index, id: index, age: fc.nat({ max: 2 }) }),
  fc.record({
    kind: fc.constant('progress' as const),
    partition: index,
    from: fc.nat(),
    count: fc.nat({ max: 5 }),
    stale: weighted<boolean>(false, false, false, true),
  }),
)

const parts = fc.array(part, { minLength: 1, maxLength: 3 })

const operation: fc.Arbitrary<Operation> = fc.oneof(
  { weight: 12, arbitrary: fc.record({ kind: fc.constant('commit' as const), parts }) },
  {
    weight: 8,
    arbitrary: fc.record({
      kind: fc.constant('burst' as const),
      batches: fc.array(parts, { minLength: 2, maxLength: 8 }),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({ kind: fc.constant('truncate-topic' as const), topic: index, partition: index, share }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('truncate-stream' as const), stream: index, share }) },
  {
    weight: 1,
    arbitrary: fc.record({
      kind: fc.constant('delete-stream' as const),
      stream: index,
      tombstone: weighted<boolean>(false, true),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      kind: fc.constant('add-tags' as const),
      events: fc.array(index, { minLength: 1, maxLength: 5 }),
      tags: fc.array(index, { minLength: 1, maxLength: 3 }),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({ kind: fc.constant('maintain' as const), advanceMs: fc.constantFrom(0, 1000, 3_700_000) }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('reset' as const), partition: index, share }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('rejoin' as const) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('register' as const), producer: index }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('reopen' as const) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('check' as const) }) },
)

/** What a model test does to an engine, one thing after the other. */
export const operations: fc.Arbitrary<Operation[]> = fc.array(operation, { minLength: 5, maxLength: 60, size: 'max' })
