/** Who works on what, in this process: work that has a name in common is done one after the other. */
export class Gates {
  readonly #last = new Map<string, Promise<unknown>>()

  /** Runs when all that came before and has a name in common is done. Waits for earlier ones only, so nobody waits for ever. */
  async run<Result>(names: readonly string[], work: () => Promise<Result>): Promise<Result> {
    const before = [...new Set(names.flatMap((name) => this.#last.get(name) ?? []))]
    const done = before.length === 0 ? work() : Promise.allSettled(before).then(work)
    const settled = done.catch(() => undefined)
    for (const name of names) this.#last.set(name, settled)
    try {
      return await done
    } finally {
      for (const name of names) if (this.#last.get(name) === settled) this.#last.delete(name)
    }
  }
}
