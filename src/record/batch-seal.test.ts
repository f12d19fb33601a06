import { describe, expect, it } from 'vitest'
import { decodeBatch, RecordBatchBuilder } from './index.ts'

describe('a sealed batch', () => {
  it.each(['none', 'gzip', 'zstd'] as const)(
    'lies in memory that can go to another thread, however small (%s)',
    (compression) => {
      const builder = new RecordBatchBuilder()
      builder.appendRaw({ key: 'k', value: 'v', timestampMs: 0 })
      const batch = builder.seal({ compression })
      // Small buffers of Node lie together in one piece of memory, which cannot be transferred.
      const moved = structuredClone(batch, { transfer: [batch.buffer as ArrayBuffer] })
      expect(batch.length).toBe(0)
      expect(decodeBatch(moved).map(({ value }) => Buffer.from(value as Uint8Array).toString())).toEqual(['v'])
    },
  )
})
