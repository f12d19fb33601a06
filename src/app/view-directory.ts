import {
  isSameCopy,
  type RegisterEntry,
  readRegister,
  registerKey,
  registerNamespace,
  registerOf,
  type ViewRegister,
} from '../domain/index.ts'
import type { Engine } from '../engine/index.ts'

/** The registers of the views of a running app, as this process knows them: a moment behind what other processes change. */
export class ViewDirectory {
  readonly #engine: Engine
  readonly #app: string
  readonly #entries = new Map<string, RegisterEntry>()
  /** Views that were retired while this process declares them, and the revision that did it. */
  readonly #retired = new Map<string, number>()
  readonly #listeners = new Map<string, Set<() => void>>()

  constructor(engine: Engine, app: string) {
    this.#engine = engine
    this.#app = app
  }

  /** @returns `undefined`: the view was not looked up yet. */
  get(view: string): RegisterEntry | undefined {
    return this.#entries.get(view)
  }

  /** The register of a view that runs. */
  registerOf(view: string): ViewRegister {
    return (this.#entries.get(view) as RegisterEntry).register
  }

  /** Takes in what was read or written; what is older than what is known counts no more. */
  put(view: string, entry: RegisterEntry): void {
    const known = this.#entries.get(view)
    if (known !== undefined && known.revision >= entry.revision) return
    if ((this.#retired.get(view) ?? 0) > entry.revision) return
    this.#entries.set(view, entry)
    this.#retired.delete(view)
    this.#tell(view)
  }

  /** Whether a view was retired since: the last register that was known of it is what is left to read. */
  isRetired(view: string): boolean {
    return this.#retired.has(view)
  }

  /** Reads the register anew. */
  async look(view: string): Promise<RegisterEntry | undefined> {
    const entry = await readRegister(this.#engine, this.#app, view)
    if (entry !== undefined) this.put(view, entry)
    return this.#entries.get(view)
  }

  /** Whom to tell of changes of a view; until the signal aborts. */
  listen(view: string, listener: () => void, signal: AbortSignal): void {
    const listeners = this.#listeners.get(view) ?? new Set()
    this.#listeners.set(view, listeners.add(listener))
    signal.addEventListener('abort', () => listeners.delete(listener), { once: true })
  }

  /** Resolves when another copy of a view is live than at the call; never after the signal has aborted. */
  moved(view: string, signal: AbortSignal): Promise<void> {
    const { live } = this.registerOf(view)
    return new Promise((resolve) => {
      const look = (): void => {
        if (!isSameCopy(this.registerOf(view).live, live)) resolve()
      }
      this.listen(view, look, signal)
    })
  }

  /** Follows what others change, until the signal aborts. */
  async follow(signal: AbortSignal): Promise<void> {
    const prefix = registerKey(this.#app, '')
    for await (const { key, value, revision } of this.#engine.state.watch(registerNamespace, { prefix, signal })) {
      const register = value === undefined ? undefined : registerOf(value)
      const view = key.slice(prefix.length)
      if (register !== undefined) this.put(view, { register, revision })
      else if (revision > (this.#entries.get(view)?.revision ?? 0)) {
        this.#retired.set(view, revision)
        this.#tell(view)
      }
    }
  }

  #tell(view: string): void {
    for (const listener of [...(this.#listeners.get(view) ?? [])]) listener()
  }
}
