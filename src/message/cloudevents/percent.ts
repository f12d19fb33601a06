import { MessageUndecodableError } from '../errors.ts'

const plain = /^[\x21\x23\x24\x26-\x7e]*$/
const needsEncoding = /[^\x21\x23\x24\x26-\x7e]+/g

/**
 * Writes text as the value of an HTTP header (CloudEvents HTTP binding 1.0.2 §3.1.3.2): space, `"`, `%` and everything
 * outside printable ASCII become the percent-encoded bytes of their UTF-8 form.
 */
export function percentEncode(text: string): string {
  if (plain.test(text)) return text
  // encodeURIComponent leaves alone or encodes all that matches here just as the binding wants it, given whole characters.
  return text.toWellFormed().replace(needsEncoding, (run) => encodeURIComponent(run))
}

const escapedRun = /(?:%[0-9A-Fa-f]{2})+/g

/**
 * Reads the value of an HTTP header: takes off double quotes and their backslashes, then decodes percent-encoding once.
 *
 * A `%` that begins no escape is kept: older producers send it raw. Escapes that are not UTF-8 are refused.
 */
export function percentDecode(value: string, header: string): string {
  const trimmed = value.trim()
  const text =
    trimmed.length >= 2 && trimmed.startsWith('"') && trimmed.endsWith('"')
      ? trimmed.slice(1, -1).replace(/\\(.)/g, '$1')
      : trimmed
  if (!text.includes('%')) return text
  try {
    return text.replace(escapedRun, (run) => decodeURIComponent(run))
  } catch (cause) {
    throw new MessageUndecodableError(`header ${header}`, 'has percent-encoded bytes that are not UTF-8', { cause })
  }
}
