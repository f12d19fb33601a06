/** A media type without its parameters, lower case, and its character set. */
export interface ContentType {
  readonly mediaType: string
  /** Label of the encoding. Default `utf-8`. */
  readonly charset: string
}

export const jsonContentType = 'application/json'
export const structuredContentType = 'application/cloudevents+json'
export const batchContentType = 'application/cloudevents-batch+json'

const charsetParameter = /;\s*charset\s*=\s*"?([^\s";]+)"?/i

/** Reads the value of a content type (RFC 9110 §8.3); never fails. */
export function parseContentType(text: string): ContentType {
  const end = text.indexOf(';')
  if (end < 0) return { mediaType: text.trim().toLowerCase(), charset: 'utf-8' }
  const charset = charsetParameter.exec(text)?.[1] ?? 'utf-8'
  return { mediaType: text.slice(0, end).trim().toLowerCase(), charset: charset.toLowerCase() }
}

/** Whether content of this type is JSON: its subtype is `json` or ends with `+json` (CloudEvents JSON format §3.1.1). */
export function isJsonContentType(text: string): boolean {
  if (text === jsonContentType) return true
  const { mediaType } = parseContentType(text)
  return mediaType.endsWith('/json') || mediaType.endsWith('+json')
}
