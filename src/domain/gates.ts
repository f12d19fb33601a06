/** Who works on what, in this process: work that has a name in common is done one after the other. */
export class Gates {
  /** Resolves when the last work that was asked for under a name is over; never rejects. */
  readonly #last = new Map<string, Promise<void>>()

  /** Runs when all that came before and has a name in common is done. Waits for earlier ones only, so nobody waits for ever. */
  async run<Result>(names: readonly string[], work: () => Promise<Result>): Promise<Result> {
    const { promise: over, resolve } = Promise.withResolvers<void>()
    const before: Promise<void>[] = []
    for (const name of names) {
      const last = this.#last.get(name)
      if (last !== undefined && last !== over) before.push(last)
      this.#last.set(name, over)
    }
    if (before.length > 0) await Promise.all(before)
    try {
      return await work()
    } finally {
      resolve()
      for (const name of names) if (this.#last.get(name) === over) this.#last.delete(name)
    }
  }
}
