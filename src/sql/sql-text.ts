/** A name as SQL takes it, whatever characters are in it (PostgreSQL manual, section 4.1.1). */
export function quoted(name: string): string {
  return `"${name.replaceAll('"', '""')}"`
}

/**
 * The quotes of a function's body in which a name stands: `$$`, or with a tag if the name has that in it (PostgreSQL manual,
 * section 4.1.2.4).
 */
export function bodyQuote(name: string): string {
  let quote = '$$'
  for (let n = 1; name.includes(quote); n++) quote = `$body${n}$`
  return quote
}
