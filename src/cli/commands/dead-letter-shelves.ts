import type { Engine } from '../../engine/index.ts'
import {
  type DeadLetter,
  type DeadLetters,
  DeadLetterUnknownError,
  deadLetterNamespace,
  deadLettersOf,
} from '../../runtime/index.ts'

/** The dead letters of one app in a file that may hold several. */
export interface Shelf {
  readonly app: string
  readonly deadLetters: DeadLetters
}

/** A dead letter and the app that it belongs to. */
export interface FoundLetter {
  readonly app: string
  readonly letter: DeadLetter
}

/** Which dead letters of a shelf; all of them if nothing is said. */
export interface Selection {
  readonly handler?: string | undefined
  /** Only those after this id. */
  readonly after?: string | undefined
}

/** Dead letters that are read at once. */
const pageSize = 200

/** A shelf for each app that has dead letters, or the one of this app. */
export async function shelvesOf(engine: Engine, app: string | undefined): Promise<readonly Shelf[]> {
  const prefix = deadLetterNamespace('')
  const apps =
    app === undefined ? (await engine.state.namespaces(prefix)).map((name) => name.slice(prefix.length)) : [app]
  return apps.map((name) => ({ app: name, deadLetters: deadLettersOf(engine, name) }))
}

/** Dead letters of a shelf, page by page. Those of a page may be changed before the next one is asked for. */
export async function* pagesOf(
  { app, deadLetters }: Shelf,
  selection: Selection,
): AsyncGenerator<readonly FoundLetter[]> {
  let { after } = selection
  const { handler } = selection
  for (;;) {
    const page = await deadLetters.list({
      limit: pageSize,
      ...(handler !== undefined && { handler }),
      ...(after !== undefined && { after }),
    })
    if (page.length === 0) return
    yield page.map((letter) => ({ app, letter }))
    after = page.at(-1)?.id
  }
}

/** At most `limit` dead letters over all shelves. */
export async function firstLetters(
  shelves: readonly Shelf[],
  selection: Selection,
  limit: number,
): Promise<readonly FoundLetter[]> {
  const found: FoundLetter[] = []
  for (const shelf of shelves) {
    for await (const page of pagesOf(shelf, selection)) {
      found.push(...page.slice(0, limit - found.length))
      if (found.length >= limit) return found
    }
  }
  return found
}

/** @throws DeadLetterUnknownError `DEAD_LETTER_UNKNOWN` */
export async function findLetter(shelves: readonly Shelf[], id: string): Promise<FoundLetter> {
  for (const { app, deadLetters } of shelves) {
    const letter = await deadLetters.show(id)
    if (letter !== undefined) return { app, letter }
  }
  throw new DeadLetterUnknownError(id)
}

/** How many a selection takes. */
export async function countLetters(
  shelves: readonly Shelf[],
  selection: Selection,
  signal: AbortSignal,
): Promise<number> {
  let count = 0
  for (const shelf of shelves) {
    if (selection.handler === undefined && selection.after === undefined) {
      count += await shelf.deadLetters.count()
      continue
    }
    for await (const page of pagesOf(shelf, selection)) {
      signal.throwIfAborted()
      count += page.length
    }
  }
  return count
}
