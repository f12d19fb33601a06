/**
 * Text from and to bytes by Node's own native methods of `Buffer`.
 *
 * `buffer.toString('utf8', …)` and `buffer.write(…)` are thin wrappers around them that check their arguments again; on
 * texts as short as headers the wrapper is a sixth of the cost. Node does not document these methods, so the wrappers
 * stand in should they ever go.
 */
interface NativeText {
  utf8Slice(this: Buffer, start: number, end: number): string
  utf8Write(this: Buffer, text: string, start: number, bytesMax: number): number
}

const native = Buffer.prototype as Buffer & Partial<NativeText>

/** The UTF-8 text from `start` to `end`, with U+FFFD where bytes are wrong. The range must lie within the bytes. */
export const utf8TextOf: (bytes: Buffer, start: number, end: number) => string =
  typeof native.utf8Slice === 'function'
    ? (bytes, start, end) => (bytes as Buffer & NativeText).utf8Slice(start, end)
    : (bytes, start, end) => bytes.toString('utf8', start, end)

/** Writes text as UTF-8 and returns its size in bytes. There must be room for three bytes per UTF-16 unit. */
export const writeUtf8: (target: Buffer, text: string, start: number) => number =
  typeof native.utf8Write === 'function'
    ? (target, text, start) => (target as Buffer & NativeText).utf8Write(text, start, target.length - start)
    : (target, text, start) => target.write(text, start)
