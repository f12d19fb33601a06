import { InvalidArgumentError } from 'commander'
import { type Duration, DurationInvalidError, durationMs } from '../kernel/index.ts'

/** Parsers of option values: what they throw, commander reports with the name of the option. */

/** A whole number from `min`. */
export function wholeNumber(min: number): (text: string) => number {
  return (text) => {
    const value = Number(text)
    if (!/^\d{1,16}$/.test(text) || !Number.isSafeInteger(value) || value < min) {
      throw new InvalidArgumentError(`Give a whole number from ${min}.`)
    }
    return value
  }
}

/** Milliseconds of a duration such as `90s` or `7d`. */
export function duration(text: string): number {
  try {
    return durationMs((/^\d+$/.test(text) ? Number(text) : text) as Duration)
  } catch (error) {
    if (!(error instanceof DurationInvalidError)) throw error
    throw new InvalidArgumentError("Give a number with its unit: '250ms', '15s', '15m', '1h', '7d'.")
  }
}

/** As {@link duration}, or `forever`: commander takes `null` for a missing value. */
export function durationOrForever(text: string): number | 'forever' {
  return text === 'forever' ? text : duration(text)
}

const byteFactors: Readonly<Record<string, number>> = {
  '': 1,
  B: 1,
  KiB: 2 ** 10,
  MiB: 2 ** 20,
  GiB: 2 ** 30,
  TiB: 2 ** 40,
}

/** Bytes such as `1048576` or `1MiB`. */
export function byteCount(text: string): number {
  const match = /^(\d{1,16}) ?(B|KiB|MiB|GiB|TiB|)$/.exec(text)
  const bytes = Number(match?.[1]) * (byteFactors[match?.[2] ?? ''] ?? 1)
  if (!Number.isSafeInteger(bytes)) throw new InvalidArgumentError("Give bytes, such as 1048576 or '1MiB'.")
  return bytes
}

/** As {@link byteCount}, or `unlimited`. */
export function byteCountOrUnlimited(text: string): number | 'unlimited' {
  return text === 'unlimited' ? text : byteCount(text)
}

/** Gathers the values of an option that may be given several times. */
export function several(text: string, earlier: readonly string[] | undefined): readonly string[] {
  return [...(earlier ?? []), text]
}

/** Gathers `name=value`. */
export function nameAndValue(
  text: string,
  earlier: readonly (readonly [string, string])[] | undefined,
): readonly (readonly [string, string])[] {
  const at = text.indexOf('=')
  if (at < 1) throw new InvalidArgumentError('Give it as name=value.')
  return [...(earlier ?? []), [text.slice(0, at), text.slice(at + 1)]]
}
