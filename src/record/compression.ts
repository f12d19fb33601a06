import { gunzipSync, gzipSync, zstdCompressSync, zstdDecompressSync } from 'node:zlib'
import { DecompressedTooLargeError, RecordBatchDamagedError, RecordBatchUnsupportedError } from './errors.ts'

/** How the records of a batch are compressed. */
export type Compression = 'none' | 'gzip' | 'zstd'

/** Bound of a decompressed batch unless another is given, in bytes: 128 MiB. */
export const decompressedBytesMaxDefault: number = 128 * 1024 * 1024

/** Bits 0 to 2 of a batch's attributes. */
export const compressionCodes: Readonly<Record<Compression, number>> = { none: 0, gzip: 1, zstd: 4 }

const foreignCompressions: Readonly<Record<number, string>> = { 2: 'snappy', 3: 'lz4' }

/** @throws RecordBatchUnsupportedError `RECORD_BATCH_UNSUPPORTED` for snappy, lz4 and codes that no one has assigned. */
export function compressionOf(attributes: number): Compression {
  const code = attributes & 0x07
  if (code === 0) return 'none'
  if (code === 1) return 'gzip'
  if (code === 4) return 'zstd'
  throw new RecordBatchUnsupportedError(
    `${foreignCompressions[code] ?? `unknown (code ${code})`} compression`,
    'Let the producer compress with gzip or zstd, or not at all.',
  )
}

/** Compresses the records of a batch. */
export function compress(records: Uint8Array, compression: 'gzip' | 'zstd'): Buffer {
  return compression === 'gzip' ? gzipSync(records) : zstdCompressSync(records)
}

/**
 * Decompresses the records of a batch.
 *
 * @throws DecompressedTooLargeError `DECOMPRESSED_TOO_LARGE` before more than `decompressedBytesMax` bytes are held.
 * @throws RecordBatchDamagedError `RECORD_BATCH_DAMAGED` if the compressed bytes are no such stream.
 */
export function decompress(
  records: Uint8Array,
  compression: 'gzip' | 'zstd',
  decompressedBytesMax: number,
): Buffer<ArrayBuffer> {
  const limits = { maxOutputLength: decompressedBytesMax }
  try {
    return compression === 'gzip' ? gunzipSync(records, limits) : zstdDecompressSync(records, limits)
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === 'ERR_BUFFER_TOO_LARGE') {
      throw new DecompressedTooLargeError(decompressedBytesMax, { cause })
    }
    throw new RecordBatchDamagedError('compression', 0, `its ${compression} stream cannot be read`, { cause })
  }
}
