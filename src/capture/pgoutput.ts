import { CaptureProtocolError } from './errors.ts'
import type { Lsn } from './lsn.ts'

/** A value that was not sent, since the update did not touch it and it is stored out of line (TOAST). */
export const unchanged: unique symbol = Symbol('unchanged')

/** Values of a row as text, in the order of the columns. `null` is NULL. */
export type Tuple = readonly (string | null | typeof unchanged)[]

/** A column as a Relation message has it. */
export interface RelationColumn {
  readonly name: string
  /** Part of the replica identity. */
  readonly isKey: boolean
  readonly typeOid: number
  readonly typeModifier: number
}

/** REPLICA IDENTITY of a table: default, nothing, full, index. */
export type ReplicaIdentity = 'd' | 'n' | 'f' | 'i'

/** What a table looks like in the changes that follow. */
export interface Relation {
  readonly id: number
  readonly schema: string
  readonly name: string
  readonly replicaIdentity: ReplicaIdentity
  readonly columns: readonly RelationColumn[]
}

/** What is known of a row before its change: its replica identity (`key`), or all of it. */
export interface OldTuple {
  readonly holds: 'key' | 'row'
  readonly values: Tuple
}

/** A change of one table. `bytes`: size of its message. */
export type Change = { readonly bytes: number } & (
  | { readonly kind: 'insert'; readonly relationId: number; readonly after: Tuple }
  | {
      readonly kind: 'update'
      readonly relationId: number
      readonly before: OldTuple | undefined
      readonly after: Tuple
    }
  | { readonly kind: 'delete'; readonly relationId: number; readonly before: OldTuple }
  | { readonly kind: 'truncate'; readonly relationIds: readonly number[] }
)

/** A message of the plugin `pgoutput`, as far as it matters here. */
export type OutputMessage =
  | {
      readonly kind: 'begin'
      /** Where the commit of the transaction stands: its name, together with nothing else. */
      readonly commitLsn: Lsn
      /** Microseconds since 2000-01-01T00:00:00Z. */
      readonly committedUs: bigint
      readonly xid: number
    }
  | { readonly kind: 'commit'; readonly commitLsn: Lsn; readonly endLsn: Lsn }
  | { readonly kind: 'relation'; readonly relation: Relation }
  | Change

/**
 * Reads one message of the plugin `pgoutput`, protocol version 1 (PostgreSQL manual, section 55.9, "Logical Replication Message
 * Formats"). `undefined`: one that says nothing about rows (origin, type, logical message).
 *
 * @throws CaptureProtocolError
 */
export function decodeOutput(bytes: Buffer): OutputMessage | undefined {
  const reader = new Reader(bytes)
  const tag = reader.char()
  switch (tag) {
    case 'I': {
      const relationId = reader.uint32()
      reader.expect('N')
      return { kind: 'insert', relationId, after: reader.tuple(), bytes: bytes.length }
    }
    case 'U':
      return decodeUpdate(reader, bytes.length)
    case 'D': {
      const relationId = reader.uint32()
      return { kind: 'delete', relationId, before: reader.oldTuple(reader.char()), bytes: bytes.length }
    }
    case 'B':
      return { kind: 'begin', commitLsn: reader.uint64(), committedUs: reader.int64(), xid: reader.uint32() }
    case 'C':
      reader.byte()
      return { kind: 'commit', commitLsn: reader.uint64(), endLsn: reader.uint64() }
    case 'R':
      return { kind: 'relation', relation: decodeRelation(reader) }
    case 'T': {
      const count = reader.uint32()
      reader.byte()
      const relationIds = Array.from({ length: reader.bounded(count, 4) }, () => reader.uint32())
      return { kind: 'truncate', relationIds, bytes: bytes.length }
    }
    case 'O':
    case 'Y':
    case 'M':
      return undefined
    default:
      throw new CaptureProtocolError(`a message of kind ${JSON.stringify(tag)} is unknown`)
  }
}

function decodeUpdate(reader: Reader, bytes: number): OutputMessage {
  const relationId = reader.uint32()
  const tag = reader.char()
  if (tag === 'N') return { kind: 'update', relationId, before: undefined, after: reader.tuple(), bytes }
  const before = reader.oldTuple(tag)
  reader.expect('N')
  return { kind: 'update', relationId, before, after: reader.tuple(), bytes }
}

function decodeRelation(reader: Reader): Relation {
  const id = reader.uint32()
  // An empty text stands for pg_catalog.
  const schema = reader.cstring() || 'pg_catalog'
  const name = reader.cstring()
  const replicaIdentity = reader.char()
  if (!/^[dnfi]$/.test(replicaIdentity)) throw new CaptureProtocolError('a table has no replica identity')
  const columns: RelationColumn[] = []
  for (let left = reader.uint16(); left > 0; left--) {
    const isKey = (reader.byte() & 1) === 1
    columns.push({ isKey, name: reader.cstring(), typeOid: reader.uint32(), typeModifier: reader.int32() })
  }
  return { id, schema, name, replicaIdentity: replicaIdentity as ReplicaIdentity, columns }
}

/** Reads on in a message; its end met too early is an error. */
class Reader {
  readonly #bytes: Buffer
  #at = 0

  constructor(bytes: Buffer) {
    this.#bytes = bytes
  }

  byte(): number {
    return this.#bytes.readUInt8(this.#advance(1))
  }

  char(): string {
    return String.fromCharCode(this.byte())
  }

  expect(tag: string): void {
    const found = this.char()
    if (found !== tag) throw new CaptureProtocolError(`${JSON.stringify(found)} stands where ${tag} is due`)
  }

  uint16(): number {
    return this.#bytes.readUInt16BE(this.#advance(2))
  }

  uint32(): number {
    return this.#bytes.readUInt32BE(this.#advance(4))
  }

  int32(): number {
    return this.#bytes.readInt32BE(this.#advance(4))
  }

  uint64(): bigint {
    return this.#bytes.readBigUInt64BE(this.#advance(8))
  }

  int64(): bigint {
    return this.#bytes.readBigInt64BE(this.#advance(8))
  }

  /** A count of things of at least so many bytes, checked before room is made for them. */
  bounded(count: number, bytesEach: number): number {
    if (count * bytesEach > this.#bytes.length - this.#at) throw new CaptureProtocolError('a message is too short')
    return count
  }

  cstring(): string {
    const end = this.#bytes.indexOf(0, this.#at)
    if (end < 0) throw new CaptureProtocolError('a name has no end')
    const text = this.#bytes.toString('utf8', this.#at, end)
    this.#at = end + 1
    return text
  }

  oldTuple(tag: string): OldTuple {
    if (tag !== 'K' && tag !== 'O') {
      throw new CaptureProtocolError(`${JSON.stringify(tag)} stands where a row before its change is due`)
    }
    return { holds: tag === 'K' ? 'key' : 'row', values: this.tuple() }
  }

  tuple(): Tuple {
    const count = this.bounded(this.uint16(), 1)
    const values: (string | null | typeof unchanged)[] = []
    for (let index = 0; index < count; index++) {
      const tag = this.byte()
      if (tag === 0x74) {
        const length = this.uint32()
        const from = this.#advance(length)
        values.push(this.#bytes.toString('utf8', from, from + length))
      } else if (tag === 0x6e) values.push(null)
      else if (tag === 0x75) values.push(unchanged)
      else throw new CaptureProtocolError(`a value has the unknown form ${tag}`)
    }
    return values
  }

  #advance(count: number): number {
    const at = this.#at
    if (at + count > this.#bytes.length) throw new CaptureProtocolError('a message is too short')
    this.#at = at + count
    return at
  }
}
