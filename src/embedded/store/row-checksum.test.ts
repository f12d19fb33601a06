import { crc32 } from 'node:zlib'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { checksumOf, eventChecksum, isIntact, stateChecksum } from './row-checksum.ts'

const value = fc.oneof(
  fc.string({ unit: 'binary', maxLength: 200 }),
  fc.string({ unit: 'grapheme-ascii', maxLength: 200 }),
  fc.maxSafeInteger(),
  fc.constant(null),
)

function bytesOf(one: string | number | null): Buffer {
  if (typeof one !== 'number') return Buffer.from(`${one ?? ''}\0`)
  const bytes = Buffer.alloc(8)
  bytes.writeBigInt64LE(BigInt(one))
  return bytes
}

describe('the checksum of a row', () => {
  it('is the CRC-32 of the name of its table and its values', () => {
    fc.assert(
      fc.property(fc.array(value, { maxLength: 7 }), (values) => {
        const bytes = Buffer.concat(['state', ...values].map(bytesOf))
        expect(checksumOf('state', ...values)).toBe(crc32(bytes))
        const wide = values.map((one) => (typeof one === 'number' ? BigInt(one) : one))
        expect(checksumOf('state', ...wide)).toBe(crc32(bytes))
      }),
    )
  })

  it('is the same for an event, however it is asked for', () => {
    const number = fc.maxSafeNat()
    fc.assert(
      fc.property(number, number, number, number, fc.string({ unit: 'binary' }), (...values) => {
        expect(eventChecksum(...values)).toBe(checksumOf('event', ...values))
      }),
    )
  })

  it('is the same for state, however it is asked for', () => {
    fc.assert(
      fc.property(fc.string(), fc.string(), value, value, (...values) => {
        expect(stateChecksum(...values)).toBe(checksumOf('state', ...values))
      }),
    )
  })

  it('is that of no row of another table', () => {
    const row = { name: 'timer', value: 7, checksum: checksumOf('counter', 'timer', 7) }
    expect(isIntact('counter', row)).toBe(true)
    expect(isIntact('counter', { ...row, value: 8 })).toBe(false)
    expect(isIntact('namespace', { id: 'timer', name: 7, checksum: row.checksum })).toBe(false)
  })
})
