import { createHash } from 'node:crypto'

const tailLength = 60

/** What happened in a run, in order: as one hash that two runs of a seed must share, and the last lines for those who look. */
export class Trace {
  readonly #hash = createHash('sha256')
  readonly #tail: string[] = []
  readonly #echo: ((line: string) => void) | undefined
  #lineCount = 0

  /** @param echo Gets each line as it comes. */
  constructor(echo?: (line: string) => void) {
    this.#echo = echo
  }

  get lineCount(): number {
    return this.#lineCount
  }

  /** The last lines, oldest first. */
  get tail(): readonly string[] {
    return [...this.#tail]
  }

  write(line: string): void {
    this.#lineCount++
    this.#hash.update(line).update('\n')
    this.#tail.push(line)
    if (this.#tail.length > tailLength) this.#tail.shift()
    this.#echo?.(line)
  }

  /** Ends the trace. */
  digest(): string {
    return this.#hash.digest('hex')
  }
}

/** A short name for a lot of data, for lines of a trace. */
export function digestOf(...parts: readonly (string | Uint8Array)[]): string {
  const hash = createHash('sha256')
  for (const part of parts) hash.update(part)
  return hash.digest('hex').slice(0, 12)
}
