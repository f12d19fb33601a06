import { closeSync, fstatSync, openSync, readSync } from 'node:fs'

const bytesMax = 16_384
const linesMax = 25

/** The last lines of a log; empty if there is none. */
export function logTail(path: string): string {
  let file: number
  try {
    file = openSync(path, 'r')
  } catch {
    return ''
  }
  try {
    const { size } = fstatSync(file)
    const bytes = Buffer.alloc(Math.min(size, bytesMax))
    const count = readSync(file, bytes, 0, bytes.length, size - bytes.length)
    return bytes.subarray(0, count).toString().trimEnd().split('\n').slice(-linesMax).join('\n')
  } finally {
    closeSync(file)
  }
}
