import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import {
  countViolations,
  emptyWarehouse,
  type Outcome,
  receive,
  type Step,
  shelfOf,
  stockOf,
  type Warehouse,
} from './warehouse.ts'

function serve(warehouse: Warehouse, steps: readonly (readonly [number, Step])[]): [Warehouse, Outcome[]] {
  let books = warehouse
  const outcomes: Outcome[] = []
  for (const [place, step] of steps) {
    const served = receive(books, place, step)
    books = served.next
    outcomes.push(...served.outcomes)
  }
  return [books, outcomes]
}

const order = (id: string, ...goods: [string, number][]): Step => ({
  kind: 'reserve',
  id,
  goods: goods.map(([article, quantity]) => ({ article, quantity })),
})

describe('a warehouse with limited stock', () => {
  it('gives an order all of its articles or none', () => {
    const [books, outcomes] = serve(emptyWarehouse(5), [
      [1, order('a', ['HEART', 3], ['PLATE', 5])],
      [2, order('b', ['HEART', 2], ['PLATE', 1])],
      [3, order('c', ['HEART', 2])],
    ])
    expect(outcomes).toEqual([
      { kind: 'reserved', id: 'a', pieces: 8 },
      { kind: 'rejected', id: 'b', missing: [{ article: 'PLATE', wanted: 1, available: 0 }] },
      { kind: 'reserved', id: 'c', pieces: 2 },
    ])
    expect(stockOf(books)).toEqual({ '#HEART': 0, '#PLATE': 0 })
  })

  it('counts the lines of an order with the same article together', () => {
    const [, outcomes] = serve(emptyWarehouse(5), [[1, order('a', ['HEART', 3], ['HEART', 3])]])
    expect(outcomes).toEqual([{ kind: 'rejected', id: 'a', missing: [{ article: 'HEART', wanted: 6, available: 5 }] }])
  })

  it('sells what came back', () => {
    const [, outcomes] = serve(emptyWarehouse(0), [
      [1, { kind: 'restock', id: 'r', goods: [{ article: 'HEART', quantity: 2 }] }],
      [2, order('a', ['HEART', 2])],
    ])
    expect(outcomes).toEqual([
      { kind: 'restocked', id: 'r', pieces: 2 },
      { kind: 'reserved', id: 'a', pieces: 2 },
    ])
  })

  it('cannot lose more than it has', () => {
    const [books, outcomes] = serve(emptyWarehouse(3), [
      [1, { kind: 'adjust', id: 'n', goods: [{ article: 'HEART', quantity: -5 }] }],
    ])
    expect(outcomes).toEqual([{ kind: 'adjusted', id: 'n', pieces: 3, unaccounted: 2 }])
    expect(countViolations(books)).toBe(0)
  })

  it('keeps the place of those who pay late', () => {
    const [books, outcomes] = serve(emptyWarehouse(5), [
      [3, order('c', ['HEART', 5])],
      [2, { kind: 'pass' }],
      [1, order('a', ['HEART', 5])],
    ])
    expect(outcomes.map(({ id, kind }) => [id, kind])).toEqual([
      ['a', 'reserved'],
      ['c', 'rejected'],
    ])
    expect(books).toMatchObject({ nextPlace: 4, waiting: [] })
  })

  it('does nothing for a place that was served', () => {
    const [books] = serve(emptyWarehouse(5), [[1, order('a', ['HEART', 3])]])
    expect(receive(books, 1, order('a', ['HEART', 3]))).toEqual({ next: books, outcomes: [] })
  })

  it('is not confused by articles with names that objects have', () => {
    const [books, outcomes] = serve(emptyWarehouse(1), [
      [1, order('a', ['__proto__', 1], ['constructor', 1])],
      [2, order('b', ['__proto__', 1])],
    ])
    expect(outcomes.map(({ kind }) => kind)).toEqual(['reserved', 'rejected'])
    expect(stockOf(books)[shelfOf('__proto__')]).toBe(0)
  })

  it('notices shelves below nothing', () => {
    expect(countViolations({ ...emptyWarehouse(1), racks: ['{"#A":-1,"#B":0}', '{"#C":-3}'] })).toBe(2)
  })

  it('decides the same in whatever order the steps arrive, and never sells what is not there (property)', () => {
    const article = fc.constantFrom('A', 'B', 'C')
    const goods = fc.array(fc.record({ article, quantity: fc.integer({ min: 1, max: 5 }) }), { maxLength: 4 })
    const step = fc.oneof(
      { weight: 6, arbitrary: goods.map((wanted): Step => ({ kind: 'reserve', id: 'order', goods: wanted })) },
      goods.map((back): Step => ({ kind: 'restock', id: 'return', goods: back })),
      goods.map(
        (lost): Step => ({
          kind: 'adjust',
          id: 'count',
          goods: lost.map((one) => ({ ...one, quantity: -one.quantity })),
        }),
      ),
      fc.constant<Step>({ kind: 'pass' }),
    )
    const queue = fc
      .array(step, { maxLength: 30 })
      .map((steps) => steps.map((one, index) => [index + 1, one] as const))
      .chain((steps) => fc.tuple(fc.constant(steps), fc.shuffledSubarray([...steps], { minLength: steps.length })))
    fc.assert(
      fc.property(queue, fc.integer({ min: 0, max: 20 }), ([inOrder, shuffled], stock) => {
        const expected = serve(emptyWarehouse(stock), inOrder)
        expect(serve(emptyWarehouse(stock), shuffled)).toEqual(expected)
        expect(countViolations(expected[0])).toBe(0)
      }),
    )
  })
})
