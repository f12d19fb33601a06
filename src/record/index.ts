export { BatchBufferPool, type BatchBufferPoolOptions } from './batch-buffer-pool.ts'
export {
  type BatchHeader,
  type BatchProducer,
  batchBytesAt,
  checkCrc,
  readBatchHeader,
  setBaseOffset,
  setProducer,
  writeCrc,
} from './batch-header.ts'
export type { SealOptions } from './batch-seal.ts'
export type { Compression } from './compression.ts'
export { crc32c } from './crc32c.ts'
export {
  type BatchDamage,
  DecompressedTooLargeError,
  RecordArgumentInvalidError,
  RecordBatchDamagedError,
  RecordBatchUnsupportedError,
  RecordTooLargeError,
} from './errors.ts'
export { filterBatch } from './filter-batch.ts'
export { type DecodeMessagesOptions, decodeMessages, type RecordSink } from './message-decoder.ts'
export { partitionFor } from './murmur2.ts'
export type {
  MessageRecord,
  RawRecord,
  RecordHeader,
  RecordInput,
  RecordKey,
  RecordOutcome,
  TombstoneRecord,
  UndecodableRecord,
} from './record.ts'
export {
  type BatchMark,
  RecordBatchBuilder,
  type RecordBatchBuilderOptions,
} from './record-batch-builder.ts'
export { decodeBatch, type ReadBatchOptions, RecordBatchReader } from './record-batch-reader.ts'
