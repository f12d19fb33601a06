/**
 * CRC-32C (Castagnoli), the checksum of record batches: RFC 3720 §12.1, polynomial 0x1EDC6F41, reflected.
 *
 * Slicing by sixteen: part `k` of the table holds the effect of a byte with `k` more bytes behind it, so sixteen bytes cost
 * sixteen independent look-ups and four loads. On V8 this runs at memory-like speed, in one table faster than in sixteen;
 * WebAssembly would first have to copy.
 */
const table: Int32Array = buildTable()

function buildTable(): Int32Array {
  const all = new Int32Array(16 * 256)
  for (let byte = 0; byte < 256; byte++) {
    let crc = byte
    for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ 0x82f63b78 : crc >>> 1
    all[byte] = crc
  }
  for (let at = 256; at < all.length; at++) {
    const before = all[at - 256] as number
    all[at] = (before >>> 8) ^ (all[before & 0xff] as number)
  }
  return all
}

/**
 * The CRC-32C of `bytes` from `start` to `end`, as an unsigned 32-bit number.
 *
 * @param start First byte. Default 0.
 * @param end Behind the last byte. Default the length of `bytes`.
 *
 * @example
 * ```ts
 * crc32c(new TextEncoder().encode('123456789')) // 0xe3069283
 * ```
 */
export function crc32c(bytes: Uint8Array, start = 0, end: number = bytes.length): number {
  return crc32cOf(new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength), start, end)
}

/** The same, for bytes that are viewed already. */
export function crc32cOf(view: DataView, start: number, end: number): number {
  let crc = -1
  let at = start
  for (const last = end - 16; at <= last; at += 16) {
    const a = crc ^ view.getInt32(at, true)
    const b = view.getInt32(at + 4, true)
    const c = view.getInt32(at + 8, true)
    const d = view.getInt32(at + 12, true)
    // Indexes are bytes within a part, so no look-up can miss.
    crc =
      (table[0xf00 + (a & 0xff)] as number) ^
      (table[0xe00 + ((a >>> 8) & 0xff)] as number) ^
      ((table[0xd00 + ((a >>> 16) & 0xff)] as number) ^ (table[0xc00 + (a >>> 24)] as number)) ^
      ((table[0xb00 + (b & 0xff)] as number) ^ (table[0xa00 + ((b >>> 8) & 0xff)] as number)) ^
      ((table[0x900 + ((b >>> 16) & 0xff)] as number) ^ (table[0x800 + (b >>> 24)] as number)) ^
      ((table[0x700 + (c & 0xff)] as number) ^ (table[0x600 + ((c >>> 8) & 0xff)] as number)) ^
      ((table[0x500 + ((c >>> 16) & 0xff)] as number) ^ (table[0x400 + (c >>> 24)] as number)) ^
      ((table[0x300 + (d & 0xff)] as number) ^ (table[0x200 + ((d >>> 8) & 0xff)] as number)) ^
      ((table[0x100 + ((d >>> 16) & 0xff)] as number) ^ (table[d >>> 24] as number))
  }
  for (; at < end; at++) crc = (table[(crc ^ view.getUint8(at)) & 0xff] as number) ^ (crc >>> 8)
  return ~crc >>> 0
}
