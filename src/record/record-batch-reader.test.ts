import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { compress } from './compression.ts'
import {
  batchBytesAt,
  type Compression,
  DecompressedTooLargeError,
  decodeBatch,
  decodeMessages,
  RecordArgumentInvalidError,
  RecordBatchBuilder,
  RecordBatchDamagedError,
  RecordBatchUnsupportedError,
  readBatchHeader,
  writeCrc,
} from './index.ts'

function sample(compression: Compression = 'none'): Uint8Array {
  const builder = new RecordBatchBuilder()
  builder.appendRaw({ key: 'k', value: 'value', headers: [['h', 'x']], timestampMs: 1000 })
  builder.appendRaw({ key: null, value: null, timestampMs: 1001 })
  return Uint8Array.from(builder.seal({ baseOffset: 5, compression }))
}

/** A batch with wrong bytes in it, but with the right checksum. */
function forged(change: (view: DataView, batch: Uint8Array) => void, batch: Uint8Array = sample()): Uint8Array {
  change(new DataView(batch.buffer), batch)
  writeCrc(batch)
  return batch
}

/** A batch around the given records. */
function around(records: Uint8Array, recordCount: number, attributes = 0): Uint8Array {
  const batch = Buffer.concat([sample().subarray(0, 61), records])
  batch.writeInt32BE(batch.length - 12, 8)
  batch.writeInt16BE(attributes, 21)
  batch.writeInt32BE(recordCount - 1, 23)
  batch.writeInt32BE(recordCount, 57)
  writeCrc(batch)
  return batch
}

/** Any error but one of the reader's own is a fault of the reader. */
function readsOrRefuses(batch: Uint8Array, verifyCrc: boolean): void {
  for (const read of [decodeBatch, (bytes: Uint8Array) => decodeMessages(bytes, () => true, { verifyCrc })]) {
    try {
      read(batch, { verifyCrc, decompressedBytesMax: 1_000_000 })
    } catch (error) {
      const isExpected =
        error instanceof RecordBatchDamagedError ||
        error instanceof RecordBatchUnsupportedError ||
        error instanceof DecompressedTooLargeError
      if (!isExpected) throw error
    }
  }
}

describe('a damaged batch', () => {
  it.each<Compression>(['none', 'gzip', 'zstd'])(
    'is noticed for every altered bit behind the checksum (%s)',
    (kind) => {
      const batch = sample(kind)
      for (let at = 17; at < batch.length; at++) {
        for (let bit = 0; bit < 8; bit++) {
          const altered = Uint8Array.from(batch)
          altered[at] = (altered[at] ?? 0) ^ (1 << bit)
          expect(() => decodeBatch(altered), `byte ${at}, bit ${bit}`).toThrow(/is damaged|does not support/)
        }
      }
    },
  )

  it.each<Compression>(['none', 'gzip', 'zstd'])('is noticed wherever it is cut off (%s)', (kind) => {
    const batch = sample(kind)
    for (let length = 0; length < batch.length; length++) {
      const error = errorOf(() => decodeBatch(batch.subarray(0, length), { verifyCrc: false }))
      expect(error).toBeInstanceOf(RecordBatchDamagedError)
      expect((error as RecordBatchDamagedError).details.damage).toBe('truncated')
    }
  })

  it('is noticed wherever its records are cut off, even with a right length and checksum', () => {
    const records = sample().subarray(61)
    for (let length = 0; length < records.length; length++) {
      expect(() => decodeBatch(around(records.subarray(0, length), 2))).toThrow(RecordBatchDamagedError)
    }
  })

  it.each([
    ['length', (view: DataView) => view.setInt32(8, 20)],
    ['length', (view: DataView) => view.setInt32(8, -1)],
    ['truncated', (view: DataView) => view.setInt32(8, 2 ** 31 - 1)],
    ['magic', (view: DataView) => view.setInt8(16, 3)],
    ['header', (view: DataView) => view.setInt32(23, -1)],
    ['header', (view: DataView) => view.setInt32(0, -1)],
    ['header', (view: DataView) => view.setInt32(0, 2 ** 30)],
    ['header', (view: DataView) => view.setInt32(27, 2 ** 30)],
    ['record-count', (view: DataView) => view.setInt32(57, -1)],
    ['record-count', (view: DataView) => view.setInt32(57, 2 ** 31 - 1)],
    ['record-count', (view: DataView) => view.setInt32(57, 1)],
    // A first offset delta of 1, which is the second record's; a negative one; one beyond the last.
    ['record', (view: DataView) => view.setInt8(64, 2)],
    ['record', (view: DataView) => view.setInt8(64, 1)],
    ['record', (view: DataView) => view.setInt8(64, 4)],
    // A key of -2 bytes, and one longer than the record.
    ['record', (view: DataView) => view.setInt8(65, 3)],
    ['record', (view: DataView) => view.setInt8(65, 100)],
    // A record of -1 bytes, and one that ends before its headers.
    ['record', (view: DataView) => view.setInt8(61, 1)],
    ['record', (view: DataView) => view.setInt8(61, 20)],
  ])('is called damaged in its %s', (damage, change) => {
    const error = errorOf(() => decodeBatch(forged(change)))
    expect(error).toBeInstanceOf(RecordBatchDamagedError)
    expect((error as RecordBatchDamagedError).details.damage).toBe(damage)
  })

  it.each([
    ['magic 1', (view: DataView) => view.setInt8(16, 1)],
    ['snappy', (view: DataView) => view.setInt16(21, 2)],
    ['lz4', (view: DataView) => view.setInt16(21, 3)],
    ['code 7', (view: DataView) => view.setInt16(21, 7)],
  ])('is told apart from one that is not supported: %s', (feature, change) => {
    const error = errorOf(() => decodeBatch(forged(change)))
    expect(error).toBeInstanceOf(RecordBatchUnsupportedError)
    expect((error as Error).message).toContain(feature)
  })

  it('may be read without its checksum being verified', () => {
    const batch = sample()
    batch[17] = (batch[17] ?? 0) ^ 1
    expect(() => decodeBatch(batch)).toThrow(/checksum/)
    expect(decodeBatch(batch, { verifyCrc: false })).toHaveLength(2)
  })

  it('neither hangs nor crashes the reader, whatever its bytes are', () => {
    fc.assert(
      fc.property(
        fc.uint8Array({ maxLength: 300 }),
        fc.nat(300),
        fc.constantFrom(0, 1, 4),
        (bytes, count, attributes) => {
          readsOrRefuses(bytes, false)
          readsOrRefuses(around(bytes, count, attributes), true)
        },
      ),
      { numRuns: 2000 },
    )
  })

  it('neither hangs nor crashes the reader when some bytes of a good one change', () => {
    const changes = fc.array(fc.tuple(fc.nat(100), fc.integer({ min: 0, max: 255 })), { minLength: 1, maxLength: 4 })
    fc.assert(
      fc.property(changes, fc.boolean(), (altered, verifyCrc) => {
        const batch = sample()
        for (const [at, byte] of altered) batch[61 + (at % (batch.length - 61))] = byte
        if (verifyCrc) writeCrc(batch)
        readsOrRefuses(batch, verifyCrc)
      }),
      { numRuns: 2000 },
    )
  })
})

describe('compression', () => {
  it.each(['gzip', 'zstd'] as const)('stops a %s bomb at its bound', (kind) => {
    const bomb = around(compress(Buffer.alloc(20_000_000), kind), 1, kind === 'gzip' ? 1 : 4)
    expect(bomb.length).toBeLessThan(100_000)
    expect(() => decodeBatch(bomb, { decompressedBytesMax: 1_000_000 })).toThrow(DecompressedTooLargeError)
  })

  it.each([0, 1.5, 2 ** 31, Number.NaN])('refuses a bound of %d bytes', (decompressedBytesMax) => {
    expect(() => decodeBatch(sample('gzip'), { decompressedBytesMax })).toThrow(RecordArgumentInvalidError)
  })

  it('makes repetitive records smaller', () => {
    const builder = new RecordBatchBuilder()
    const sizes = (['none', 'gzip', 'zstd'] as const).map((compression) => {
      for (let index = 0; index < 100; index++)
        builder.appendRaw({ key: 'k', value: 'again and again', timestampMs: 0 })
      return builder.seal({ compression }).length
    })
    expect(sizes[1]).toBeLessThan((sizes[0] ?? 0) / 4)
    expect(sizes[2]).toBeLessThan((sizes[0] ?? 0) / 4)
  })
})

describe('batchBytesAt', () => {
  it('leads from batch to batch', () => {
    const batches = [sample(), sample('gzip'), sample('zstd')]
    const log = Buffer.concat(batches)
    const found: number[] = []
    for (let at = 0; at < log.length; ) {
      const bytes = batchBytesAt(log, at) ?? 0
      found.push(readBatchHeader(log.subarray(at, at + bytes)).recordCount)
      at += bytes
    }
    expect(found).toEqual([2, 2, 2])
    expect(batchBytesAt(log.subarray(0, 11))).toBeUndefined()
  })
})

function errorOf(run: () => unknown): unknown {
  try {
    run()
  } catch (error) {
    return error
  }
  return undefined
}
