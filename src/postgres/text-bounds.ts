/** What a text stands for that PostgreSQL cannot hold, because there is a NUL character in it: the text that comes next. */
const afterNul = '\u0001'

/**
 * A bound of names, none of which holds a NUL character, as PostgreSQL can take it: what is before the bound stays before it.
 * Inclusive is to be taken as inclusive, and exclusive too where the text is as it was given.
 */
export function boundOf(text: string): string {
  const nul = text.indexOf('\0')
  return nul < 0 ? text : text.slice(0, nul) + afterNul
}

/** Where reading goes on behind a name: `from` inclusive and `after` exclusive, both of which hold. */
export function boundsAfter(after: string): { readonly from: string; readonly after: string } {
  // Every name is greater than the empty text.
  return after.includes('\0') ? { from: boundOf(after), after: '' } : { from: '', after }
}

/** A text that sorts right after everything with the prefix, where one is easily named: for ASCII, the vast majority. */
export function endOfPrefix(prefix: string): string | undefined {
  const last = prefix.charCodeAt(prefix.length - 1)
  if (Number.isNaN(last) || last >= 0x7f) return undefined
  return prefix.slice(0, -1) + String.fromCharCode(last + 1)
}

/** The greater of two texts in the order of their UTF-8 bytes. */
export function greater(a: string, b: string): string {
  return Buffer.compare(Buffer.from(a), Buffer.from(b)) < 0 ? b : a
}

/** The lesser of two texts in the order of their UTF-8 bytes; undefined stands for the end of all. */
export function lesser(a: string | undefined, b: string | undefined): string | undefined {
  if (a === undefined || b === undefined) return a ?? b
  return greater(a, b) === a ? b : a
}
