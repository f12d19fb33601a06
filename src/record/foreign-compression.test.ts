import { compressionsAlgorithms } from '@platformatic/kafka'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { DecompressedTooLargeError, RecordBatchDamagedError } from './errors.ts'
import { decompressForeign, type ForeignCompression } from './foreign-compression.ts'

const both = ['snappy', 'lz4'] as const

function decodeOf(compression: ForeignCompression): (records: Buffer) => Buffer {
  return (records) => compressionsAlgorithms[compression].decompressSync(records)
}

/** Never called: what is refused is refused before. */
function never(): never {
  throw new Error('it was decompressed')
}

/** Pieces as Java clients write them: a header, and each piece with its length before it. */
function pieces(blocks: readonly Buffer[]): Buffer {
  const header = Buffer.from([0x82, 0x53, 0x4e, 0x41, 0x50, 0x50, 0x59, 0, 0, 0, 0, 1, 0, 0, 0, 1])
  return Buffer.concat([header, ...blocks.flatMap((block) => [uint32(block.length).swap32(), block])])
}

function uint32(value: number): Buffer {
  const bytes = Buffer.alloc(4)
  bytes.writeUInt32LE(value)
  return bytes
}

/** A frame of LZ4 by hand: 4 MiB at most for a block. */
function frame(blocks: readonly Buffer[], flags = 0x60): Buffer {
  const optional = Buffer.alloc(((flags & 8) === 0 ? 0 : 8) + ((flags & 1) === 0 ? 0 : 4))
  const checksum = (bit: number): Buffer => Buffer.alloc((flags & bit) === 0 ? 0 : 4)
  const head = [uint32(0x184d2204), Buffer.from([flags, 0x70]), optional, Buffer.from([0])]
  return Buffer.concat([...head, ...blocks.flatMap((block) => [block, checksum(0x10)]), uint32(0), checksum(0x04)])
}

/** A block of zeros, of the most that fits 4 MiB, as every compressor makes it: one literal, and one match of all the rest. */
function zeros(): Buffer {
  const matchBytes = 4 * 1024 * 1024 - 6
  const more = matchBytes - 4 - 15
  const lengths = Buffer.alloc(Math.floor(more / 255) + 1, 255)
  lengths[lengths.length - 1] = more % 255
  const body = Buffer.concat([Buffer.from([0x1f, 0, 1, 0]), lengths, Buffer.from([0x50, 0, 0, 0, 0, 0])])
  return Buffer.concat([uint32(body.length), body])
}

describe('records that another producer compressed', () => {
  it.each(both)('are bounded to the byte, with %s', (compression) => {
    const algorithm = compressionsAlgorithms[compression]
    const text = fc.array(fc.tuple(fc.uint8Array({ maxLength: 40 }), fc.integer({ min: 1, max: 2000 })), {
      minLength: 1,
      maxLength: 8,
    })
    fc.assert(
      fc.property(text, (runs) => {
        const plain = Buffer.concat(runs.flatMap(([bytes, times]) => Array.from({ length: times }, () => bytes)))
        fc.pre(plain.length > 1)
        const packed = algorithm.compressSync(plain)
        const decode = decodeOf(compression)
        const exact = decompressForeign(packed, { compression, decode, decompressedBytesMax: plain.length })
        expect(plain.equals(exact)).toBe(true)
        expect(() =>
          decompressForeign(packed, { compression, decode: never, decompressedBytesMax: plain.length - 1 }),
        ).toThrow(DecompressedTooLargeError)
      }),
      { numRuns: 60 },
    )
  })

  it('are refused before they are decompressed when they would be more than 128 MiB', () => {
    const block = zeros()
    const [lz4, snappy] = [Array(33).fill(block) as Buffer[], Buffer.from([0x81, 0x80, 0x80, 0x40, 0])]
    // 600 KB that would become 132 MiB; the first 32 blocks alone are fine.
    expect(frame(lz4).length).toBeLessThan(600_000)
    expect(() => decompressForeign(frame(lz4), { compression: 'lz4', decode: never })).toThrow(
      DecompressedTooLargeError,
    )
    const size = 4 * 1024 * 1024 * 32
    expect(
      decompressForeign(frame(lz4.slice(1)), { compression: 'lz4', decode: () => Buffer.alloc(size) }),
    ).toHaveLength(size)
    expect(() => decompressForeign(snappy, { compression: 'snappy', decode: never })).toThrow(DecompressedTooLargeError)
  })

  it('are counted over all pieces of a stream, and over all frames', () => {
    const block = compressionsAlgorithms.snappy.compressSync(Buffer.alloc(1000, 'snappy '))
    const stream = pieces([block, block, block])
    const decode = decodeOf('snappy')
    expect(decompressForeign(stream, { compression: 'snappy', decode, decompressedBytesMax: 3000 })).toHaveLength(3000)
    expect(() =>
      decompressForeign(stream, { compression: 'snappy', decode: never, decompressedBytesMax: 2999 }),
    ).toThrow(DecompressedTooLargeError)
    const stored = Buffer.concat([uint32((0x80000000 | 10) >>> 0), Buffer.alloc(10)])
    const skippable = Buffer.concat([uint32(0x184d2a53), uint32(3), Buffer.alloc(3)])
    // Size of the content, dictionary, and checksums of blocks and content.
    const frames = Buffer.concat([frame([stored], 0x7d), skippable, frame([stored, stored])])
    const plain = { compression: 'lz4', decode: () => Buffer.alloc(30) } as const
    expect(decompressForeign(frames, { ...plain, decompressedBytesMax: 30 })).toHaveLength(30)
    expect(() => decompressForeign(frames, { ...plain, decompressedBytesMax: 29 })).toThrow(DecompressedTooLargeError)
  })

  it.each(both)('are damaged when they are no stream of %s', (compression) => {
    const packed = compressionsAlgorithms[compression].compressSync(Buffer.alloc(5000, 'a text '))
    const decode = decodeOf(compression)
    for (const bytes of [Buffer.from('no stream at all'), packed.subarray(0, packed.length - 9)]) {
      expect(() => decompressForeign(bytes, { compression, decode })).toThrow(RecordBatchDamagedError)
    }
  })

  it('are held to the bound even if the decoder makes more of them than they say', () => {
    const packed = compressionsAlgorithms.snappy.compressSync(Buffer.alloc(10))
    const decode = (): Buffer => Buffer.alloc(11)
    expect(() => decompressForeign(packed, { compression: 'snappy', decode, decompressedBytesMax: 10 })).toThrow(
      DecompressedTooLargeError,
    )
  })
})
