import type { Engine, StateWrite } from '../engine/index.ts'
import type { Json } from '../kernel/index.ts'

/** How far inline copies are built from the event store, by namespace. */
export const inlineNamespace = 'inline-views'

/** How far an inline copy is. */
export interface InlineNote {
  /** All events up to here are in it. Of no meaning while `done`. */
  readonly position: number
  /** Commits of events write it. Else it is built by following the event store. */
  readonly done: boolean
  /** Why those who followed last cannot go on from there. Absent: nothing is known. */
  readonly problem?: string
  /** A stream whose books were closed before the copy had taken in its events: it lacks some of them for good. */
  readonly lacks?: string
  /** Its functions have forgotten keys: commits mind {@link forgottenNamespace}. */
  readonly forgets?: true
  /** The copy was given up: nobody writes it any more. Such a note stays, so that who comes late finds it. */
  readonly dropped?: true
}

/** A note as it was read; revision 0: there is none, so the copy stands at the beginning. */
export interface InlineNoteEntry {
  readonly note: InlineNote
  readonly revision: number
}

export async function readNote(engine: Engine, namespace: string): Promise<InlineNoteEntry> {
  const entry = await engine.state.get(inlineNamespace, namespace)
  const note = (entry?.value as unknown as InlineNote | undefined) ?? { position: 0, done: false }
  return { note, revision: entry?.revision ?? 0 }
}

/** A note that is moved on: what the copy lacks, or has forgotten, it goes on to. */
export function movedNote(
  { lacks, forgets }: InlineNote,
  to: { readonly position: number; readonly done: boolean; readonly forgets?: boolean },
): InlineNote {
  const { position, done } = to
  const hasForgotten = forgets === true || to.forgets === true
  return { position, done, ...(lacks !== undefined && { lacks }), ...(hasForgotten && { forgets: true }) }
}

/**
 * How often an inline copy has forgotten its keys: one entry for each that it ever forgot, with that as its revision. The revisions of
 * a key that is made anew begin again, so they do not tell who still knows it from before.
 */
export function forgottenNamespace(namespace: string): string {
  return `forgotten:${namespace}`
}

/** The write of a note that holds its commit to the one that was read. */
export function noteWrite(namespace: string, note: InlineNote, expectedRevision: number): StateWrite {
  return { kind: 'set', namespace: inlineNamespace, key: namespace, value: note as unknown as Json, expectedRevision }
}

/** The write that fences off whoever is still building a copy that is given up. */
export function dropWrite(namespace: string): StateWrite {
  const note: InlineNote = { position: 0, done: false, dropped: true }
  return { kind: 'set', namespace: inlineNamespace, key: namespace, value: note as unknown as Json }
}
