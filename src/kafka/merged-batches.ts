import type { BatchCommand } from '../committing/index.ts'
import { type BatchBufferPool, RecordBatchBuilder, RecordBatchReader } from '../record/index.ts'
import type { Partition } from './topic-catalog.ts'

/** Kafka takes one batch of a partition a request, so small ones of many commits are made into one up to this size. */
const mergedBytesMax = 512 * 1024
const recordBytesMost = 64 * 1024 * 1024

/** Where a batch of a commit is: the unit that it belongs to, and its place there. */
export interface BatchPart {
  readonly unit: number
  readonly batch: number
  readonly bytes: Uint8Array
  readonly recordCount: number
}

/** A batch as it is sent, with the parts that stand in it one behind the other. */
export interface OutgoingBatch {
  readonly partition: Partition
  readonly parts: readonly BatchPart[]
  readonly bytes: Uint8Array
  readonly recordCount: number
  /** Where it landed, once it is there. */
  baseOffset: number
}

/**
 * The batches of some units in rounds: within a round each partition stands once, and the rounds keep the order.
 *
 * @param isMerging False sends each batch as it is.
 */
export function roundsOf(
  units: readonly { readonly index: number; readonly batches: readonly BatchCommand[] }[],
  partitionOf: (id: number) => Partition,
  batchBytesMaxOf: (partition: Partition) => number,
  pool: BatchBufferPool,
  isMerging: boolean,
): OutgoingBatch[][] {
  const queues = new Map<Partition, BatchPart[][]>()
  for (const { index, batches } of units) {
    for (const [batch, { partitionId, bytes, recordCount }] of batches.entries()) {
      const partition = partitionOf(partitionId)
      const queue = queues.get(partition) ?? []
      queues.set(partition, queue)
      const part = { unit: index, batch, bytes, recordCount }
      const last = queue.at(-1)
      const bytesMax = isMerging ? Math.min(mergedBytesMax, batchBytesMaxOf(partition)) : 0
      if (last !== undefined && bytesOf(last) + bytes.length <= bytesMax) last.push(part)
      else queue.push([part])
    }
  }
  const rounds: OutgoingBatch[][] = []
  for (const [partition, queue] of queues) {
    for (const [round, parts] of queue.entries()) {
      rounds[round] ??= []
      rounds[round].push(outgoing(partition, parts, pool))
    }
  }
  return rounds
}

function bytesOf(parts: readonly BatchPart[]): number {
  return parts.reduce((sum, { bytes }) => sum + bytes.length, 0)
}

function outgoing(partition: Partition, parts: readonly BatchPart[], pool: BatchBufferPool): OutgoingBatch {
  const recordCount = parts.reduce((sum, part) => sum + part.recordCount, 0)
  const [only, ...more] = parts as [BatchPart, ...BatchPart[]]
  const bytes = more.length === 0 ? only.bytes : merged(parts, pool)
  return { partition, parts, bytes, recordCount, baseOffset: -1 }
}

function merged(parts: readonly BatchPart[], pool: BatchBufferPool): Uint8Array {
  const builder = new RecordBatchBuilder({ pool, recordBytesMax: recordBytesMost })
  let compression: 'none' | 'gzip' | 'zstd' = 'none'
  for (const { bytes } of parts) {
    // Sealed a moment ago, without a checksum yet.
    const reader = new RecordBatchReader(bytes, { verifyCrc: false })
    compression = reader.header.compression
    for (const { key, value, headers, timestampMs } of reader) builder.appendRaw({ key, value, headers, timestampMs })
  }
  return builder.seal({ compression, crc: false })
}
