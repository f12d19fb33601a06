export { BatchBufferPool } from './batch-buffer-pool.ts'
export {
  batchBytesAt,
  checkCrc,
  readBatchHeader,
  setBaseOffset,
  setProducer,
  writeCrc,
} from './batch-header.ts'
export type { Compression } from './compression.ts'
export { crc32c } from './crc32c.ts'
export {
  DecompressedTooLargeError,
  RecordArgumentInvalidError,
  RecordBatchDamagedError,
  RecordBatchUnsupportedError,
  RecordTooLargeError,
} from './errors.ts'
export { filterBatch } from './filter-batch.ts'
export { decompressForeign } from './foreign-compression.ts'
export { JoinedBatches } from './joined-batches.ts'
export { KeyCompaction } from './key-compaction.ts'
export { decodeMessages } from './message-decoder.ts'
export { partitionFor } from './murmur2.ts'
export type {
  MessageRecord,
  RawRecord,
  RecordHeader,
  RecordInput,
  RecordKey,
  RecordOutcome,
  UndecodableRecord,
} from './record.ts'
export {
  type BatchMark,
  RecordBatchBuilder,
} from './record-batch-builder.ts'
export { decodeBatch, RecordBatchReader } from './record-batch-reader.ts'
export { messageIn } from './record-outcome.ts'
