import { CaptureProtocolError } from './errors.ts'
import type { Lsn } from './lsn.ts'
import { decodeOutput, type OutputMessage } from './pgoutput.ts'

/** The server tells how far it is, and maybe wants to hear the same. */
export interface Keepalive {
  readonly kind: 'keepalive'
  /** Everything that was committed before has been sent. */
  readonly walEnd: Lsn
  readonly isReplyWanted: boolean
}

/** What comes through a replication connection. */
export type StreamItem = OutputMessage | Keepalive

const walDataTag = 0x77
const keepaliveTag = 0x6b
const statusTag = 0x72
const walDataHeaderBytes = 25

/** Microseconds from 1970 to 2000, where PostgreSQL's time begins. */
const epochUs = 946_684_800_000_000n

/**
 * Reads what stands in one CopyData message of streaming replication (PostgreSQL manual, section 55.4). Nothing of `bytes` is
 * kept, since the buffer is used again.
 *
 * @throws CaptureProtocolError
 */
export function decodeFrame(bytes: Buffer): StreamItem | undefined {
  switch (bytes[0]) {
    case walDataTag:
      if (bytes.length <= walDataHeaderBytes) throw new CaptureProtocolError('a message is too short')
      return decodeOutput(bytes.subarray(walDataHeaderBytes))
    case keepaliveTag:
      if (bytes.length < 18) throw new CaptureProtocolError('a keepalive is too short')
      return { kind: 'keepalive', walEnd: bytes.readBigUInt64BE(1), isReplyWanted: bytes[17] === 1 }
    default:
      throw new CaptureProtocolError(`a frame of kind ${bytes[0]} is unknown`)
  }
}

/** Tells the server what it need not keep: everything before `lsn`. */
export function encodeStatus(lsn: Lsn, nowMs: number, isReplyWanted: boolean): Buffer {
  const bytes = Buffer.alloc(34)
  bytes[0] = statusTag
  // Written, flushed and applied are one here: what is downstream is durable.
  bytes.writeBigUInt64BE(lsn, 1)
  bytes.writeBigUInt64BE(lsn, 9)
  bytes.writeBigUInt64BE(lsn, 17)
  bytes.writeBigInt64BE(BigInt(nowMs) * 1000n - epochUs, 25)
  bytes[33] = isReplyWanted ? 1 : 0
  return bytes
}

/** A time of PostgreSQL in microseconds since 1970. */
export function unixUs(postgresUs: bigint): bigint {
  return postgresUs + epochUs
}
