import { isDeepStrictEqual } from 'node:util'
import type { Json } from '../kernel/index.ts'
import type { JournalDraft, JournalEntry, ParkReport } from './journal.ts'

/** More entries, or characters in them, than one journal takes: it is written as a whole. */
const entriesMax = 10_000
const sizeMax = 4 * 1024 * 1024
/** So much of what a body has shown is kept: the last. */
const showsMax = 100
const showsSizeMax = 16 * 1024

/** Something to ask the journal for. */
export interface Question {
  readonly id: string
  /** The entry, if there is none yet. */
  readonly make: (nowMs: number) => JournalEntry
  /** What is meant, to be compared with the entry that is there. */
  readonly same: Readonly<Record<string, unknown>>
}

/** What is wrong with an instance, before it is known what it was at. */
export type Trouble = Omit<ParkReport, 'from'>

/** The journal of one run of a body: finds entries by id, and knows which of them the body has come by. */
export class JournalBook {
  readonly draft: JournalDraft
  /** Whether it holds something that is not durable and has to be. */
  isDirty = false
  readonly #index = new Map<string, number>()
  /** Entries that the body has come by in this run. */
  readonly #met = new Set<string>()
  /** Entries that this run has made. */
  readonly #fresh = new Set<string>()
  readonly #shownBefore: Pick<JournalDraft, 'shown' | 'shows'>
  /** Characters that the input and the entries take, about. */
  #size: number
  /** Those of each entry. */
  readonly #sizes = new Map<string, number>()

  constructor(draft: JournalDraft) {
    this.draft = draft
    const { shown, shows } = draft
    this.#shownBefore = { ...(shown !== undefined && { shown }), ...(shows !== undefined && { shows }) }
    this.#size = sizeOf(draft.input)
    for (const [index, entry] of draft.entries.entries()) {
      this.#index.set(entry.id, index)
      this.#measure(entry)
    }
  }

  entry(id: string): JournalEntry | undefined {
    const index = this.#index.get(id)
    return index === undefined ? undefined : this.draft.entries[index]
  }

  /** Whether this run has made the entry: then no earlier one can have begun what it stands for. */
  isFresh(id: string): boolean {
    return this.#fresh.has(id)
  }

  /** An entry that the body has not come by in this run, if there is one: it was beyond this place before. */
  get unmet(): JournalEntry | undefined {
    return this.draft.entries.find(({ id }) => !this.#met.has(id))
  }

  /** What is wrong with a question; `undefined`: it is answered by the entry that is there, or by a new one. */
  problemOf({ id, same }: Question): Trouble | undefined {
    const entry = this.entry(id)
    if (entry === undefined) return undefined
    for (const [field, value] of Object.entries(same)) {
      const kept = (entry as unknown as Readonly<Record<string, unknown>>)[field]
      if (isDeepStrictEqual(kept, value)) continue
      const what = field === 'op' ? `What is meant by ${id}` : `The ${field} of ${id}`
      return {
        reason: 'not-deterministic',
        problem: `${what} was ${shownJson(kept)}, now it is ${shownJson(value)}.`,
        remedy:
          'The body has to ask for the same things each time it runs: take times and lots from the saga, and give new ways a patched().',
      }
    }
    return undefined
  }

  /** The body has come by an entry; `true`: it was made for that. `mustBeKept`: what follows relies on it. */
  meet(
    question: Question,
    { nowMs, toldCount }: { readonly nowMs: number; readonly toldCount: number },
    mustBeKept: (entry: JournalEntry) => boolean,
  ): boolean {
    const { id } = question
    this.#met.add(id)
    if (this.#index.has(id)) return false
    const made = question.make(nowMs)
    const entry = toldCount === 0 ? made : { ...made, after: toldCount }
    this.#fresh.add(id)
    this.#index.set(id, this.draft.entries.length)
    this.draft.entries.push(entry)
    this.#measure(entry)
    if (mustBeKept(entry)) this.isDirty = true
    return true
  }

  replace(entry: JournalEntry): void {
    const index = this.#index.get(entry.id) as number
    this.draft.entries[index] = entry
    this.#measure(entry)
    this.isDirty = true
  }

  /** The outcome of an entry is known. */
  complete(entry: JournalEntry, nowMs: number): void {
    this.replace({ ...entry, order: ++this.draft.orderCount, atMs: nowMs })
  }

  /** An entry is new, or another than before. */
  #measure(entry: JournalEntry): void {
    const size = sizeOf(entry)
    this.#size += size - (this.#sizes.get(entry.id) ?? 0)
    this.#sizes.set(entry.id, size)
  }

  /** More than one journal takes. */
  get overflow(): Trouble | undefined {
    const { entries } = this.draft
    if (entries.length <= entriesMax && this.#size <= sizeMax) return undefined
    return {
      reason: 'journal-full',
      problem: `Its journal has ${entries.length} entries and about ${this.#size} characters.`,
      remedy: 'Let child sagas do parts of the work, and keep outputs small.',
    }
  }

  /** The body shows something, as it does each time it runs: of what it showed between two outcomes the last is kept. */
  show(after: number, value: Json): void {
    const { draft } = this
    draft.shown = value
    const { shows = [] } = draft
    // What came before the first that is kept was let go, and stays away.
    if (after < (shows[0]?.after ?? 0)) return
    const index = shows.findIndex((one) => one.after >= after)
    const known = shows[index]
    if (known?.after === after && isDeepStrictEqual(known.value, value)) return
    const place = index < 0 ? shows.length : index
    const noted = shows.toSpliced(place, known?.after === after ? 1 : 0, { after, value })
    while (noted.length > showsMax || (noted.length > 1 && sizeOf(noted) > showsSizeMax)) noted.shift()
    draft.shows = noted
  }

  /** Leaves out the steps that this run was asked for and has not begun: none is running any more. */
  leaveOut(): void {
    const isUnbegun = (entry: JournalEntry): boolean =>
      entry.op === 'step' && entry.state === 'begun' && entry.order === undefined && this.#fresh.has(entry.id)
    this.draft.entries = this.draft.entries.filter((entry) => !isUnbegun(entry))
  }

  /** Takes back what this run has added and shown. */
  takeBack(): void {
    const { draft } = this
    draft.entries = draft.entries.filter(({ id }) => !this.#fresh.has(id))
    delete draft.shown
    delete draft.shows
    Object.assign(draft, this.#shownBefore)
  }
}

function sizeOf(value: unknown): number {
  return JSON.stringify(value).length
}

/** A value as a report shows it. */
export function shownJson(value: unknown): string {
  const shown = value === undefined ? 'nothing' : JSON.stringify(value)
  return shown.length > 200 ? `${shown.slice(0, 200)}…` : shown
}
