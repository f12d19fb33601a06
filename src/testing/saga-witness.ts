import { isDeepStrictEqual } from 'node:util'

/** Remembers what bodies said besides what their journals hold, and finds out what they say differently another time. */
export class SagaWitness {
  readonly #tell: (key: string, problem: string) => void
  readonly #said = new Map<string, Map<string, unknown>>()

  constructor(tell: (key: string, problem: string) => void) {
    this.#tell = tell
  }

  hear(key: string, life: string, id: string, said: unknown): void {
    const ofKey = this.#said.get(key) ?? new Map<string, unknown>()
    this.#said.set(key, ofKey)
    const name = `${life} ${id}`
    if (!ofKey.has(name)) ofKey.set(name, said)
    else if (!isDeepStrictEqual(ofKey.get(name), said)) {
      this.#tell(key, `It said ${brief(ofKey.get(name))} as ${id}, now it says ${brief(said)}.`)
      ofKey.set(name, said)
    }
  }

  /** A process has died: what its body said last may never have become real. */
  forget(key: string): void {
    this.#said.delete(key)
  }
}

function brief(said: unknown): string {
  const text = JSON.stringify(said) ?? 'nothing'
  return text.length > 200 ? `${text.slice(0, 200)}…` : text
}
