import { describe, expect, it } from 'vitest'
import { TransactionSnapshot } from './transaction-snapshot.ts'

describe('snapshots of transactions', () => {
  it('see what was over, and nothing of what ran or came later', () => {
    const snapshot = TransactionSnapshot.parse('100:106:101,104')
    const seen = [99, 100, 101, 102, 103, 104, 105, 106, 107].filter((xid) => snapshot.sees(xid))
    expect(seen).toEqual([99, 100, 102, 103, 105])
    expect(() => TransactionSnapshot.parse('100:106')).toThrow(expect.objectContaining({ code: 'INVARIANT_BROKEN' }))
  })

  it('go on where ids of 32 bits begin again', () => {
    const turn = 2 ** 32
    const snapshot = TransactionSnapshot.parse(`${turn * 3 - 2}:${turn * 3 + 5}:${turn * 3 + 1}`)
    const seen = [turn - 3, turn - 2, turn - 1, 0, 1, 4, 5, 6].filter((xid) => snapshot.sees(xid))
    expect(seen).toEqual([turn - 3, turn - 2, turn - 1, 0, 4])
  })
})
