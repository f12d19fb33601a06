import { MillraceError } from '../kernel/index.ts'
import { decompressedBytesMaxDefault } from './compression.ts'
import { DecompressedTooLargeError, RecordBatchDamagedError } from './errors.ts'

/** Compressions that Millrace does not write, but other producers do. */
export type ForeignCompression = 'snappy' | 'lz4'

/** How a batch is decompressed that another producer compressed. */
export interface ForeignDecoding {
  readonly compression: ForeignCompression
  /** Decompresses; it has no bound of its own. */
  readonly decode: (records: Buffer) => Uint8Array
  /** Bound of what it may grow to, in bytes. Default 134,217,728 (128 MiB). */
  readonly decompressedBytesMax?: number
}

/**
 * Decompresses the records of a batch with a decoder that has no bound: how large it would make them is worked out from the
 * compressed bytes first.
 *
 * Sources: snappy's `format_description.txt`, section 1, and `framing` of snappy-java for pieces with their lengths; LZ4's
 * `lz4_Frame_format.md` and `lz4_Block_format.md`.
 *
 * @throws DecompressedTooLargeError `DECOMPRESSED_TOO_LARGE` before anything is decompressed
 * @throws RecordBatchDamagedError `RECORD_BATCH_DAMAGED` if the compressed bytes are no such stream
 *
 * @example
 * ```ts
 * const plain = decompressForeign(records, { compression: 'lz4', decode: (bytes) => lz4.decompressSync(bytes) })
 * ```
 */
export function decompressForeign(records: Buffer, decoding: ForeignDecoding): Uint8Array {
  const { compression, decode, decompressedBytesMax = decompressedBytesMaxDefault } = decoding
  let plain: Uint8Array
  try {
    const bytes = compression === 'snappy' ? snappyBytes(records) : lz4Bytes(records, decompressedBytesMax)
    if (bytes > decompressedBytesMax) throw new DecompressedTooLargeError(decompressedBytesMax)
    plain = decode(records)
  } catch (cause) {
    if (cause instanceof MillraceError) throw cause
    throw new RecordBatchDamagedError('compression', 0, `its ${compression} stream cannot be read`, { cause })
  }
  if (plain.length > decompressedBytesMax) throw new DecompressedTooLargeError(decompressedBytesMax)
  return plain
}

/** Begin of a stream of pieces as snappy-java writes it, which Kafka's Java clients use. */
const piecesMagic = Buffer.from([0x82, 0x53, 0x4e, 0x41, 0x50, 0x50, 0x59, 0x00])
const piecesHeaderBytes = 16

/** Each snappy block begins with its size, and a decoder gives no more. */
function snappyBytes(records: Buffer): number {
  if (!records.subarray(0, piecesMagic.length).equals(piecesMagic)) return snappyBlockBytes(records, 0)
  let total = 0
  for (let at = piecesHeaderBytes; at < records.length; ) {
    const pieceBytes = records.readUInt32BE(at)
    total += snappyBlockBytes(records, at + 4)
    at += 4 + pieceBytes
  }
  return total
}

function snappyBlockBytes(records: Buffer, start: number): number {
  let value = 0
  for (let digit = 0; digit < 5; digit++) {
    const byte = records.readUInt8(start + digit)
    value += (byte & 0x7f) * 2 ** (7 * digit)
    if (byte < 0x80) return value
  }
  throw damaged(start, 'a size of snappy has more than 32 bits')
}

const frameMagic = 0x184d2204
/** Frames that hold something else: sixteen magic numbers, then their size. */
const skippableMagic = 0x184d2a50
const storedBit = 0x80000000

/** What the blocks of the frames grow to. It ends as soon as that is more than `bytesMax`. */
function lz4Bytes(records: Buffer, bytesMax: number): number {
  let total = 0
  for (let at = 0; at < records.length; ) {
    const magic = records.readUInt32LE(at)
    if ((magic & 0xfffffff0) >>> 0 === skippableMagic) {
      at += 8 + records.readUInt32LE(at + 4)
      continue
    }
    if (magic !== frameMagic) throw damaged(at, 'no frame of lz4 begins there')
    const flags = records.readUInt8(at + 4)
    const has = (bit: number): boolean => (flags & bit) !== 0
    // Flags, size of blocks, size of the content, dictionary, checksum of the header.
    at += 4 + 2 + (has(0x08) ? 8 : 0) + (has(0x01) ? 4 : 0) + 1
    for (;;) {
      const word = records.readUInt32LE(at)
      at += 4
      if (word === 0) break
      const blockBytes = (word & ~storedBit) >>> 0
      const isStored = word >= storedBit
      if (at + blockBytes > records.length) throw damaged(at, 'a block of lz4 is cut short')
      total += isStored ? blockBytes : lz4BlockBytes(records, at, at + blockBytes)
      if (total > bytesMax) return total
      at += blockBytes + (has(0x10) ? 4 : 0)
    }
    at += has(0x04) ? 4 : 0
  }
  return total
}

/** Adds up the literals and matches of a block; nothing of them is copied. */
function lz4BlockBytes(records: Buffer, start: number, end: number): number {
  let total = 0
  let at = start
  const length = (nibble: number): number => {
    if (nibble < 15) return nibble
    for (let sum = nibble; ; ) {
      const more = records.readUInt8(at++)
      sum += more
      if (more < 255 || at >= end) return sum
    }
  }
  while (at < end) {
    const token = records.readUInt8(at++)
    const literals = length(token >>> 4)
    at += literals
    total += literals
    // The last sequence has literals only.
    if (at >= end) return total
    at += 2
    total += 4 + length(token & 15)
  }
  return total
}

function damaged(atByte: number, finding: string): RecordBatchDamagedError {
  return new RecordBatchDamagedError('compression', atByte, finding)
}
