import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { RecordBatchDamagedError } from './errors.ts'
import { readInt64, VarintCursor, varintBytes, writeInt64, writeVarint, writeVarlong } from './varint.ts'

const target = new Uint8Array(16)

function encoded(write: (target: Uint8Array, position: number, value: number) => number, value: number): number[] {
  return [...target.subarray(0, write(target, 0, value))]
}

function cursorOver(bytes: readonly number[]): VarintCursor {
  return new VarintCursor(Uint8Array.from(bytes), 0, bytes.length)
}

describe('varints', () => {
  it.each([
    [0, [0x00]],
    [-1, [0x01]],
    [1, [0x02]],
    [63, [0x7e]],
    [-64, [0x7f]],
    [64, [0x80, 0x01]],
    [-65, [0x81, 0x01]],
    [8191, [0xfe, 0x7f]],
    [8192, [0x80, 0x80, 0x01]],
    [2_147_483_647, [0xfe, 0xff, 0xff, 0xff, 0x0f]],
    [-2_147_483_648, [0xff, 0xff, 0xff, 0xff, 0x0f]],
  ])('writes %i as Kafka does, and reads it back', (value, bytes) => {
    expect(encoded(writeVarint, value)).toEqual(bytes)
    expect(varintBytes(value)).toBe(bytes.length)
    expect(cursorOver(bytes).readVarint()).toBe(value)
    expect(encoded(writeVarlong, value)).toEqual(bytes)
    expect(cursorOver(bytes).readVarlong()).toBe(value)
  })

  it('reads back every 32-bit number', () => {
    fc.assert(
      fc.property(fc.integer(), (value) => {
        const cursor = cursorOver([...encoded(writeVarint, value), 0xaa])
        expect(cursor.readVarint()).toBe(value)
        expect(cursor.position).toBe(varintBytes(value))
      }),
    )
  })

  it.each([Number.MAX_SAFE_INTEGER, Number.MIN_SAFE_INTEGER, 2 ** 31, -(2 ** 31) - 1, 2 ** 32, 2 ** 52])(
    'reads back the varlong %d',
    (value) => expect(cursorOver(encoded(writeVarlong, value)).readVarlong()).toBe(value),
  )

  it('reads back every safe integer as a varlong', () => {
    fc.assert(
      fc.property(fc.maxSafeInteger(), (value) => {
        expect(cursorOver(encoded(writeVarlong, value)).readVarlong()).toBe(value)
      }),
    )
  })

  it.each([
    ['nothing', []],
    ['a number without an end', [0x80, 0x80]],
  ])('refuses %s', (_, bytes) => {
    expect(() => cursorOver(bytes).readVarint()).toThrow(RecordBatchDamagedError)
    expect(() => cursorOver(bytes).readVarlong()).toThrow(RecordBatchDamagedError)
  })

  it('refuses numbers with too many bits', () => {
    expect(() => cursorOver([0xff, 0xff, 0xff, 0xff, 0x1f]).readVarint()).toThrow(/32 bits/)
    expect(() => cursorOver(Array.from({ length: 11 }, () => 0x80)).readVarlong()).toThrow(/64 bits/)
    // 2^53, and the lowest 64-bit number.
    expect(() => cursorOver([0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x20]).readVarlong()).toThrow(/range/)
    expect(() => cursorOver([...Array.from({ length: 9 }, () => 0xff), 0x01]).readVarlong()).toThrow(/range/)
  })
})

describe('64-bit integers', () => {
  it('reads back every safe integer, big-endian', () => {
    const view = new DataView(new ArrayBuffer(8))
    fc.assert(
      fc.property(fc.maxSafeInteger(), (value) => {
        writeInt64(view, 0, value)
        expect(view.getBigInt64(0)).toBe(BigInt(value))
        expect(readInt64(view, 0)).toBe(value)
      }),
    )
  })
})
