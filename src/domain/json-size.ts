/** Of numbers and the like, and for what separates values. */
const plainCharacters = 8

/** About how many characters a JSON value takes, without making the text: for bounds. */
export function charactersOf(value: unknown): number {
  if (typeof value === 'string') return value.length + plainCharacters
  if (typeof value !== 'object' || value === null) return plainCharacters
  let sum = plainCharacters
  if (Array.isArray(value)) for (const item of value) sum += charactersOf(item)
  else for (const key in value) sum += key.length + charactersOf((value as Readonly<Record<string, unknown>>)[key])
  return sum
}
