/** A name as SQL takes it, whatever characters are in it (PostgreSQL manual, section 4.1.1). */
export function quoted(name: string): string {
  return `"${name.replaceAll('"', '""')}"`
}
