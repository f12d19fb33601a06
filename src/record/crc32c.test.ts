import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { crc32c } from './crc32c.ts'

/** The definition itself, bit by bit. */
function slowCrc32c(bytes: Uint8Array): number {
  let crc = 0xffffffff
  for (const byte of bytes) {
    crc ^= byte
    for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ 0x82f63b78 : crc >>> 1
  }
  return ~crc >>> 0
}

const readCommand = [
  ...['01c00000', '00000000', '00000000', '00000000', '14000000', '00000400'],
  ...['00000014', '00000018', '28000000', '00000000', '02000000', '00000000'],
].join('')

describe('crc32c', () => {
  it.each([
    ['32 zeros', Buffer.alloc(32), 0x8a9136aa],
    ['32 ones', Buffer.alloc(32, 0xff), 0x62a8ab43],
    ['0 to 31', Buffer.from(Array.from({ length: 32 }, (_, index) => index)), 0x46dd794e],
    ['31 to 0', Buffer.from(Array.from({ length: 32 }, (_, index) => 31 - index)), 0x113fdb5c],
    ['an iSCSI read command', Buffer.from(readCommand, 'hex'), 0xd9963a56],
    ['123456789', Buffer.from('123456789'), 0xe3069283],
    ['nothing', Buffer.alloc(0), 0],
  ])('gives the known checksum of %s (RFC 3720 B.4)', (_, bytes, expected) => {
    expect(crc32c(bytes)).toBe(expected)
  })

  it('agrees with its definition for any bytes, at any place in their buffer', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), fc.nat(9), fc.nat(9), (bytes, before, after) => {
        const padded = Buffer.concat([Buffer.alloc(before, 7), bytes, Buffer.alloc(after, 9)])
        expect(crc32c(padded, before, before + bytes.length)).toBe(slowCrc32c(bytes))
        expect(crc32c(padded.subarray(before, before + bytes.length))).toBe(slowCrc32c(bytes))
      }),
    )
  })
})
