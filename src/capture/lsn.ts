/** A place in the write-ahead log of a PostgreSQL server, in bytes (log sequence number). */
export type Lsn = bigint

const lsnPattern = /^([0-9A-Fa-f]{1,8})\/([0-9A-Fa-f]{1,8})$/

/** `'16/B374D848'` as a number; `undefined` if the text is none (PostgreSQL manual, section 8.20). */
export function parseLsn(text: string): Lsn | undefined {
  const match = lsnPattern.exec(text)
  if (match === null) return undefined
  return (BigInt(`0x${match[1]}`) << 32n) | BigInt(`0x${match[2]}`)
}

/** As PostgreSQL writes it: `'16/B374D848'`. */
export function lsnText(lsn: Lsn): string {
  return `${(lsn >> 32n).toString(16).toUpperCase()}/${(lsn & 0xffff_ffffn).toString(16).toUpperCase()}`
}

/** As 16 digits, which sort as text like the places themselves. */
export function sortableLsn(lsn: Lsn): string {
  return lsn.toString(16).padStart(16, '0')
}

/** Bytes of a page of the log, and the most that its header takes (`XLogLongPageHeaderData`). */
const pageBytes = 8192n
const pageHeaderBytesMax = 40n

/**
 * Where all stands that was written when `pg_current_wal_insert_lsn()` answered this. At the border of two pages that function
 * already counts the header of the next one, which an idle server does not write.
 */
export function writtenUpTo(insertLsn: Lsn): Lsn {
  const inPage = insertLsn % pageBytes
  return inPage <= pageHeaderBytesMax ? insertLsn - inPage : insertLsn
}
