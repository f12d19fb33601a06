import { type Engine, GroupActiveError, GroupUnknownError } from '../engine/index.ts'
import {
  attemptsNamespace,
  chainNamespace,
  crashNamespace,
  deadLetterGroupPrefix,
  deadLetterNamespace,
  parkedKeyNamespace,
  parkedNamespace,
} from '../runtime/index.ts'
import { forgottenNamespace } from './inline-notes.ts'
import { type DropNote, droppedNamespace } from './view-register.ts'

/**
 * How long what is kept of a copy stays after it was given up: processes that have not heard of it yet read it meanwhile, and a list
 * that somebody reads page by page comes to its end.
 */
export const dropGraceMs = 60_000

/** Notes that are looked at in one go. */
const notesMax = 1000
/** Keys that one commit removes, so that what is written at once stays small, however large the copy is. */
const keysTogether = 500

/** What is left to remove. */
export interface DropsLeft {
  /** When the next copy may be removed, in milliseconds since the epoch; `undefined`: none waits for its time. */
  readonly nextMs: number | undefined
  /** Whether somebody still works on one whose time has come, as he has not heard of it yet. */
  readonly isHeld: boolean
}

/**
 * Removes what is kept of the copies of an app that were given up more than a minute ago: state, progress, chains, what is parked, dead
 * letters; page by page. A note stands until all is gone, so a crash in between is made good by the next call, and the time of
 * grace goes on through a restart.
 *
 * @param nowMs The time, in milliseconds since the epoch.
 * @param signal Ends it between two pages, by its reason.
 */
export async function finishDrops(
  engine: Engine,
  app: string,
  {
    nowMs,
    signal,
    graceMs = dropGraceMs,
  }: { readonly nowMs: number; readonly signal?: AbortSignal; readonly graceMs?: number },
): Promise<DropsLeft> {
  let nextMs: number | undefined
  let isHeld = false
  const range = { prefix: `${app}.`, limit: notesMax }
  for (const { key: group, value } of await engine.state.range(droppedNamespace, range)) {
    const note = value as unknown as DropNote
    const dueMs = note.sinceMs + graceMs
    if (dueMs > nowMs) nextMs = Math.min(nextMs ?? dueMs, dueMs)
    else if (note.inline || (await isGroupGone(engine, group))) await remove(engine, group, note, signal)
    else isHeld = true
  }
  return { nextMs, isHeld }
}

async function isGroupGone(engine: Engine, group: string): Promise<boolean> {
  try {
    await engine.groups.delete(group)
  } catch (error) {
    if (error instanceof GroupActiveError) return false
    if (!(error instanceof GroupUnknownError)) throw error
  }
  return true
}

async function remove(
  engine: Engine,
  group: string,
  { app, namespace, inline }: DropNote,
  signal: AbortSignal | undefined,
): Promise<void> {
  await removeKeys(engine, deadLetterNamespace(app), { prefix: deadLetterGroupPrefix(group), signal })
  const namespaces = inline
    ? [namespace, forgottenNamespace(namespace)]
    : [
        namespace,
        ...[parkedNamespace, parkedKeyNamespace, attemptsNamespace, crashNamespace, chainNamespace].map((of) =>
          of(group),
        ),
      ]
  for (const one of namespaces) {
    // State that lives with its owner goes as a whole: nobody else could remove a part of it.
    if (engine.capabilities.ownedState === true && !inline) {
      await engine.commit({ state: [{ kind: 'clear', namespace: one, owner: { group } }] })
    } else await removeKeys(engine, one, { signal })
  }
  await engine.commit({ state: [{ kind: 'delete', namespace: droppedNamespace, key: group }] })
}

async function removeKeys(
  engine: Engine,
  namespace: string,
  { prefix, signal }: { readonly prefix?: string; readonly signal: AbortSignal | undefined },
): Promise<void> {
  const range = { ...(prefix !== undefined && { prefix }), limit: keysTogether }
  for (;;) {
    signal?.throwIfAborted()
    const page = await engine.state.range(namespace, range)
    if (page.length === 0) return
    await engine.commit({ state: page.map(({ key }) => ({ kind: 'delete', namespace, key })) })
    if (page.length < keysTogether) return
  }
}
