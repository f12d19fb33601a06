import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { rowsToFetch } from './snapshot-reader.ts'

const fetchBytes = 256 * 1024

describe('a chunk of a snapshot', () => {
  it('is never read in parts that rows of one width let grow large', () => {
    const width = fc.oneof(fc.integer({ min: 1, max: 2_000 }), fc.integer({ min: 1, max: 50_000_000 }))
    fc.assert(
      fc.property(width, (bytes) => {
        for (let fetchRows = 1, rowCount = 0; rowCount < 5_000 && rowCount * bytes < 1024 * 1024; ) {
          expect(fetchRows * bytes).toBeLessThanOrEqual(Math.max(bytes, fetchBytes))
          rowCount += fetchRows
          expect(rowCount).toBeLessThanOrEqual(5_000)
          fetchRows = rowsToFetch(fetchRows, rowCount, rowCount * bytes)
          expect(fetchRows).toBeGreaterThan(0)
        }
      }),
    )
  })

  it('of small rows takes few parts', () => {
    let parts = 0
    for (let fetchRows = 1, rowCount = 0; rowCount < 5_000; parts++) {
      rowCount += fetchRows
      fetchRows = rowsToFetch(fetchRows, rowCount, rowCount * 40)
    }
    expect(parts).toBeLessThan(10)
  })
})
