import { checkEngine } from '../committing/index.ts'
import type { CommitOutcome, Engine, StateEntry, StateWrite, Timer, TimerWrite } from '../engine/index.ts'
import { type Json, OptionsInvalidError } from '../kernel/index.ts'
import type { DeadLetter, DeadLetterSelection, DeadLetters } from './dead-letters.ts'
import { DeadLetterUnknownError } from './errors.ts'
import { deadLetterNamespace, delayedSendOwner, escapedSegment } from './namespaces.ts'
import { tellRequests } from './request-listeners.ts'

/** How many are read at once, and changed in one commit: each may hold a message of several MiB. */
const pageSize = 32

/** What a call does with one dead letter. */
interface Change {
  /** Absent: it is so already. */
  readonly state?: StateWrite
  readonly timers?: readonly TimerWrite[]
}

/**
 * The dead letters of an app on an open engine, whether the app runs or not.
 *
 * @throws ArgumentInvalidError `ARGUMENT_INVALID`
 *
 * @example
 * ```ts
 * const deadLetters = deadLettersOf(engine, 'shop')
 * for (const letter of await deadLetters.list()) console.log(letter.id, letter.error.message)
 * await deadLetters.redrive('all')
 * ```
 */
export function deadLettersOf(engine: Engine, app: string): DeadLetters {
  checkEngine(engine)
  return new DeadLetterStore(engine, app)
}

class DeadLetterStore implements DeadLetters {
  readonly #engine: Engine
  readonly #app: string
  readonly #namespace: string

  constructor(engine: Engine, app: string) {
    this.#engine = engine
    this.#app = app
    this.#namespace = deadLetterNamespace(app)
  }

  async list(
    options: { readonly handler?: string; readonly after?: string; readonly limit?: number } = {},
  ): Promise<readonly DeadLetter[]> {
    if (typeof options !== 'object' || options === null) throw listInvalid('options', 'is no object')
    const { handler, after, limit = 100, ...others } = options
    for (const option of Object.keys(others)) throw listInvalid(option, 'is no option')
    if (handler !== undefined && typeof handler !== 'string') throw listInvalid('handler', 'is not a string')
    const entries = await this.#page(handler, after, limit)
    return entries.map(letterOf)
  }

  async show(id: string): Promise<DeadLetter | undefined> {
    const entry = await this.#engine.state.get(this.#namespace, id)
    return entry === undefined ? undefined : letterOf(entry)
  }

  count(): Promise<number> {
    return this.#engine.state.count(this.#namespace)
  }

  redrive(which: DeadLetterSelection): Promise<number> {
    return this.#changed(which, (entry) => this.#sentAgain(entry) ?? this.#request(entry, 'redrive'))
  }

  discard(which: DeadLetterSelection): Promise<number> {
    return this.#changed(which, (entry) =>
      letterOf(entry).parksKey ? this.#request(entry, 'discard') : { state: this.#deletion(entry) },
    )
  }

  /** Changes them and answers how many, once every running start of the app in this process has taken it up. */
  async #changed(which: DeadLetterSelection, change: (entry: StateEntry) => Change): Promise<number> {
    checkSelection(which)
    const requested: string[] = []
    const noted = (entry: StateEntry): Change => {
      const made = change(entry)
      if (made.state?.kind !== 'delete' && requested.length <= pageSize) requested.push(entry.key)
      return made
    }
    const count = await this.#forEach(which, noted)
    const ids = requested.length > pageSize ? undefined : requested
    if (requested.length > 0) await tellRequests(this.#engine, this.#app, ids)
    return count
  }

  #request(entry: StateEntry, requested: 'redrive' | 'discard'): Change {
    const { key, revision: expectedRevision } = entry
    const letter = letterOf(entry)
    // Whoever carries it out shall not find it changed.
    if (letter.requested === requested) return {}
    const value = { ...letter, requested } as unknown as Json
    return { state: { kind: 'set', namespace: this.#namespace, key, value, expectedRevision } }
  }

  #deletion({ key, revision: expectedRevision }: StateEntry): StateWrite {
    return { kind: 'delete', namespace: this.#namespace, key, expectedRevision }
  }

  /** A delayed command has no handler that could take it again: its timer is put back. */
  #sentAgain(entry: StateEntry): Change | undefined {
    const { original } = letterOf(entry)
    if (original.kind !== 'timer' || original.owner !== delayedSendOwner(this.#app)) return undefined
    const { id, dueMs, payload } = original.timer as unknown as Timer
    return { state: this.#deletion(entry), timers: [{ kind: 'schedule', owner: original.owner, id, dueMs, payload }] }
  }

  async #forEach(which: DeadLetterSelection, change: (entry: StateEntry) => Change): Promise<number> {
    if (typeof which === 'string' && which !== 'all') return this.#changeOne(which, change)
    if (Array.isArray(which)) return this.#changeEach(which as readonly string[], change)
    const handler = which === 'all' ? undefined : (which as { readonly handler: string }).handler
    let count = 0
    let after: string | undefined
    for (;;) {
      const entries = await this.#page(handler, after, pageSize)
      if (entries.length === 0) return count
      after = (entries.at(-1) as StateEntry).key
      const outcome = await this.#commit(entries.map(change))
      if (outcome.ok) count += entries.length
      // One of them changed meanwhile: each for itself, and those that are gone need nothing.
      else for (const entry of entries) count += await this.#changeOne(entry.key, change, true)
    }
  }

  /** Those of a list: each once, and none if one of them is not there. */
  async #changeEach(which: readonly string[], change: (entry: StateEntry) => Change): Promise<number> {
    const ids = [...new Set(which)]
    for (let start = 0; start < ids.length; start += pageSize) {
      const some = ids.slice(start, start + pageSize)
      const found = await this.#engine.state.getMany(this.#namespace, some)
      const unknown = some.find((_, index) => found[index] === undefined)
      if (unknown !== undefined) throw new DeadLetterUnknownError(unknown)
    }
    let count = 0
    for (const id of ids) count += await this.#changeOne(id, change, true)
    return count
  }

  /** A conflict means that the app was faster: look again at what is left. */
  async #changeOne(id: string, change: (entry: StateEntry) => Change, mayBeGone = false): Promise<number> {
    for (let firstLook = true; ; firstLook = false) {
      const entry = await this.#engine.state.get(this.#namespace, id)
      if (entry === undefined) {
        if (mayBeGone || !firstLook) return 0
        throw new DeadLetterUnknownError(id)
      }
      const outcome = await this.#commit([change(entry)])
      if (outcome.ok) return 1
    }
  }

  #commit(changes: readonly Change[]): Promise<CommitOutcome> {
    const timers = changes.flatMap((one) => one.timers ?? [])
    const state = changes.flatMap((one) => one.state ?? [])
    return this.#engine.commit({ state, ...(timers.length > 0 && { timers }) })
  }

  #page(handler: string | undefined, after: string | undefined, limit: number): Promise<readonly StateEntry[]> {
    return this.#engine.state.range(this.#namespace, {
      limit,
      ...(handler !== undefined && { prefix: `${escapedSegment(handler)}/` }),
      ...(after !== undefined && { after }),
    })
  }
}

function listInvalid(option: string, problem: string): OptionsInvalidError {
  return new OptionsInvalidError('the list of dead letters', [{ option, problem }])
}

/** What is meant to name some must never be taken to mean all. */
function checkSelection(which: unknown): void {
  const named = Array.isArray(which) ? (which as readonly unknown[]) : [which]
  const isId = (one: unknown): boolean => typeof one === 'string' && one !== ''
  if (named.every(isId)) return
  const { handler, ...others } = (which ?? {}) as { readonly handler?: unknown }
  if (!Array.isArray(which) && isId(handler) && Object.keys(others).length === 0) return
  const problem = "is no id, no list of ids, no { handler } and not 'all'"
  throw new OptionsInvalidError('the choice of dead letters', [{ option: 'which', problem }])
}

/** Only the runtime writes to this namespace. */
export function letterOf(entry: StateEntry): DeadLetter {
  return entry.value as unknown as DeadLetter
}
