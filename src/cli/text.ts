import { stripVTControlCharacters } from 'node:util'
import { isoTime, type Json } from '../kernel/index.ts'

const controlCharacters = /[\p{Cc}\p{Zl}\p{Zp}\u202a-\u202e\u2066-\u2069]/gu

/**
 * Text that came out of a file, safe to show: control characters, which could move the cursor or recolour a terminal,
 * become escapes; so do those that turn the direction of writing.
 */
export function shown(text: string): string {
  return text
    .toWellFormed()
    .replace(controlCharacters, (character) =>
      character === '\n'
        ? '\\n'
        : character === '\t'
          ? '\\t'
          : `\\u${(character.codePointAt(0) as number).toString(16).padStart(4, '0')}`,
    )
}

/** As {@link shown}, but lines stay lines: for stacks. */
export function shownLines(text: string): string {
  return text.split('\n').map(shown).join('\n')
}

/** A value as one line of JSON. */
export function shownJson(value: Json | unknown): string {
  return shown(JSON.stringify(value) ?? 'undefined')
}

/** Cut off after this many characters, with a sign of it. */
export function clipped(text: string, charactersMax: number): string {
  const characters = Array.from(text)
  return characters.length <= charactersMax ? text : `${characters.slice(0, Math.max(0, charactersMax - 1)).join('')}…`
}

const wide =
  /[\u1100-\u115f\u2e80-\u303e\u3041-\ua4cf\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe6f\uff00-\uff60\uffe0-\uffe6\u{1f300}-\u{1f64f}\u{1f900}-\u{1f9ff}\u{20000}-\u{3fffd}]/u

/** Columns that a text takes in a terminal: East Asian wide characters and pictographs take two, marks none. */
export function columnsOf(text: string): number {
  let columns = 0
  for (const character of stripVTControlCharacters(text)) {
    columns += /\p{M}/u.test(character) ? 0 : wide.test(character) ? 2 : 1
  }
  return columns
}

const byteUnits = ['B', 'KiB', 'MiB', 'GiB', 'TiB']

/** Bytes for people: `1.5 MiB`. */
export function shownBytes(bytes: number): string {
  let value = bytes
  let unit = 0
  while (value >= 1024 && unit < byteUnits.length - 1) {
    value /= 1024
    unit++
  }
  return `${unit === 0 ? value : value.toFixed(1)} ${byteUnits[unit]}`
}

const durationUnits = [
  ['d', 86_400_000],
  ['h', 3_600_000],
  ['m', 60_000],
  ['s', 1000],
] as const

/** An age for people, in its two largest units: `3d 4h`. */
export function shownAge(seconds: number): string {
  if (seconds < 60) return `${seconds < 10 ? Number(seconds.toFixed(1)) : Math.round(seconds)}s`
  let rest = Math.round(seconds) * 1000
  const parts: string[] = []
  for (const [unit, unitMs] of durationUnits) {
    const count = Math.floor(rest / unitMs)
    rest -= count * unitMs
    if (count > 0 && parts.length < 2) parts.push(`${count}${unit}`)
    else if (parts.length === 1) break
  }
  return parts.join(' ')
}

/** A time as text; what no date can be is shown as the number that it is. */
export function shownTime(timeMs: number): string {
  return Math.abs(timeMs) <= 8.64e15 ? isoTime(timeMs) : String(timeMs)
}

/** `1 record`, `2 records`. */
export function counted(count: number, one: string, many: string = `${one}s`): string {
  return `${count} ${count === 1 ? one : many}`
}

/** With a capital at its beginning. */
export function sentenceCase(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1)
}
