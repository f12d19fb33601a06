import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { lsnText, parseLsn, sortableLsn, writtenUpTo } from './lsn.ts'
import { decodeFrame, encodeStatus } from './stream-frames.ts'

const lsns = fc.bigInt({ min: 0n, max: 2n ** 64n - 1n })

describe('places in the log', () => {
  it('are written as PostgreSQL does, read back, and sort as text', () => {
    expect(lsnText(0x16b374d848n)).toBe('16/B374D848')
    expect(parseLsn('0/0')).toBe(0n)
    for (const text of ['', '0', '/', '0/', 'x/1', '123456789/0', '0/0 ']) expect(parseLsn(text)).toBeUndefined()
    fc.assert(
      fc.property(lsns, (lsn) => {
        expect(parseLsn(lsnText(lsn))).toBe(lsn)
      }),
    )
    fc.assert(
      fc.property(lsns, lsns, (a, b) => {
        expect(sortableLsn(a) < sortableLsn(b)).toBe(a < b)
      }),
    )
  })

  it('at the border of a page are those that an idle server reaches', () => {
    expect(writtenUpTo(8192n * 5n + 24n)).toBe(8192n * 5n)
    expect(writtenUpTo(8192n * 5n + 40n)).toBe(8192n * 5n)
    expect(writtenUpTo(8192n * 5n)).toBe(8192n * 5n)
    expect(writtenUpTo(8192n * 5n + 48n)).toBe(8192n * 5n + 48n)
  })
})

describe('frames of the stream', () => {
  it('tell the server what is durable, in its own time', () => {
    const bytes = encodeStatus(0x16b374d848n, 1_767_225_600_000, true)
    expect([1, 9, 17].map((at) => bytes.readBigUInt64BE(at))).toEqual([0x16b374d848n, 0x16b374d848n, 0x16b374d848n])
    // 2026-01-01 is 9,497 days after 2000-01-01.
    expect(bytes.readBigInt64BE(25)).toBe(9497n * 86_400_000_000n)
    expect([bytes[0], bytes[33], bytes.length]).toEqual([0x72, 1, 34])
    expect(encodeStatus(1n, 0, false)[33]).toBe(0)
  })

  it('are keepalives, or data with a message inside', () => {
    const keepalive = Buffer.alloc(18)
    keepalive[0] = 0x6b
    keepalive.writeBigUInt64BE(77n, 1)
    keepalive[17] = 1
    expect(decodeFrame(keepalive)).toEqual({ kind: 'keepalive', walEnd: 77n, isReplyWanted: true })
    const begin = Buffer.from('42000000000199e218000303c35023d48b000002ea', 'hex')
    expect(decodeFrame(Buffer.concat([Buffer.from('w'), Buffer.alloc(24), begin]))).toMatchObject({
      kind: 'begin',
      xid: 746,
    })
    for (const bytes of [Buffer.from('k'), Buffer.from('w'), Buffer.from('?'), Buffer.alloc(0)]) {
      expect(() => decodeFrame(bytes)).toThrow(expect.objectContaining({ code: 'CAPTURE_PROTOCOL' }))
    }
  })
})
