import { describe, expect, it } from 'vitest'
import { refuseDisorder } from './event-order.ts'

const damage = expect.objectContaining({ code: 'FILE_DAMAGED' }) as Error

describe('the places of a page of events', () => {
  it.each([
    [[1, 2, 3], 1, true, true],
    [[4, 5], 1, true, true],
    [[1, 5, 9], 1, true, false],
    [[9, 8, 7], 9, false, true],
    [[9, 5], Number.MAX_SAFE_INTEGER, false, false],
    [[], 1, true, true],
  ] as const)('%j from %i on are in order', (places, from, isForward, isWhole) => {
    expect(() => refuseDisorder(places, from, isForward, isWhole, 'stream s', 'a.db')).not.toThrow()
  })

  it.each([
    [[1, 3], 1, true, true],
    [[3, 2], 1, true, false],
    [[2, 2], 1, true, false],
    [[1], 2, true, false],
    [[8, 9], 9, false, false],
    [[9, 7], 9, false, true],
    [[10], 9, false, false],
    [[Number.NaN], 1, true, false],
  ] as const)('%j from %i on are not', (places, from, isForward, isWhole) => {
    expect(() => refuseDisorder(places, from, isForward, isWhole, 'stream s', 'a.db')).toThrow(damage)
  })
})
