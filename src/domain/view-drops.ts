import { type Engine, GroupActiveError, GroupUnknownError, type StateWrite } from '../engine/index.ts'
import {
  chainNamespace,
  deadLetterGroupPrefix,
  deadLetterNamespace,
  parkedKeyNamespace,
  parkedNamespace,
} from '../runtime/index.ts'
import { inlineNamespace } from './inline-notes.ts'
import { droppedNamespace } from './view-register.ts'

/** What stands about a copy that was given up. */
interface DropNote {
  readonly app: string
  readonly namespace: string
  readonly inline: boolean
}

/** Looked at in one go. */
const pageSize = 1000

/**
 * Removes what is kept of the copies of an app that were given up: state, progress, chains, what is parked, dead letters. An engine
 * removes progress apart from commits, so a note stands until all is gone: a crash in between is made good by the next
 * call. A copy that somebody still works on, as he has not heard of it yet, is left for later.
 *
 * @returns Whether nothing is left to remove.
 */
export async function finishDrops(engine: Engine, app: string): Promise<boolean> {
  let isAll = true
  for (const { key: group, value } of await engine.state.range(droppedNamespace, {
    prefix: `${app}.`,
    limit: pageSize,
  })) {
    const note = value as unknown as DropNote
    if (note.inline || (await isGroupGone(engine, group))) await remove(engine, group, note)
    else isAll = false
  }
  return isAll
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

async function remove(engine: Engine, group: string, { app, namespace, inline }: DropNote): Promise<void> {
  for (;;) {
    const letters = await engine.state.range(deadLetterNamespace(app), {
      prefix: deadLetterGroupPrefix(group),
      limit: pageSize,
    })
    if (letters.length === 0) break
    await engine.commit({
      state: letters.map(({ key }) => ({ kind: 'delete', namespace: deadLetterNamespace(app), key })),
    })
  }
  const owner = inline ? {} : { owner: { group } }
  const writes: StateWrite[] = [
    { kind: 'clear', namespace, ...owner },
    { kind: 'delete', namespace: droppedNamespace, key: group },
  ]
  if (inline) writes.push({ kind: 'delete', namespace: inlineNamespace, key: namespace })
  else {
    for (const namespaceOf of [parkedNamespace, parkedKeyNamespace, chainNamespace]) {
      writes.push({ kind: 'clear', namespace: namespaceOf(group), ...owner })
    }
  }
  await engine.commit({ state: writes })
}
