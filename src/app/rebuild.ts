import type { Engine } from '../engine/index.ts'
import { GroupUnknownError } from '../engine/index.ts'
import type { Json } from '../kernel/index.ts'
import {
  deadLetterGroupPrefix,
  deadLetterNamespace,
  parkedKeyNamespace,
  parkedNamespace,
  rebuildNamespace,
  topicsOf,
} from '../runtime/index.ts'
import type { Part } from './parts.ts'

/**
 * Takes a view back to zero: state, what is parked, dead letters and progress. An engine resets progress apart from commits,
 * so a note is kept until both are done: after a crash in between {@link finishRebuild} does it again.
 *
 * @throws GroupActiveError `GROUP_ACTIVE`: the view is being built by another start of the app.
 */
export async function beginRebuild(engine: Engine, app: string, part: Part): Promise<void> {
  const description = await engine.groups.describe(part.group)
  if (description !== undefined && description.members.length > 0) {
    // Resetting is refused while somebody works: let the engine say so, before anything has changed.
    await engine.groups.reset(part.group, topicsOf(part.handler.events)[0] as string, 'earliest')
  }
  const note = { app, group: part.group, namespace: part.stateNamespace, topics: topicsOf(part.handler.events) }
  await engine.commit({
    state: [{ kind: 'set', namespace: rebuildNamespace, key: part.group, value: note as unknown as Json }],
  })
  await rebuild(engine, app, part)
}

/** Does what a crash has left of a rebuild. */
export async function finishRebuild(engine: Engine, parts: readonly Part[]): Promise<void> {
  for (const part of parts) {
    const note = await engine.state.get(rebuildNamespace, part.group)
    if (note !== undefined) await rebuild(engine, (note.value as { readonly app: string }).app, part)
  }
}

async function rebuild(engine: Engine, app: string, part: Part): Promise<void> {
  const { group, stateNamespace } = part
  for (const topic of topicsOf(part.handler.events)) {
    try {
      await engine.groups.reset(group, topic, 'earliest')
    } catch (error) {
      if (!(error instanceof GroupUnknownError)) throw error
    }
  }
  for (;;) {
    const letters = await engine.state.range(deadLetterNamespace(app), {
      prefix: deadLetterGroupPrefix(group),
      limit: 1000,
    })
    if (letters.length === 0) break
    await engine.commit({
      state: letters.map(({ key }) => ({ kind: 'delete', namespace: deadLetterNamespace(app), key })),
    })
  }
  await engine.commit({
    state: [
      { kind: 'clear', namespace: stateNamespace, owner: { group } },
      { kind: 'clear', namespace: parkedNamespace(group), owner: { group } },
      { kind: 'clear', namespace: parkedKeyNamespace(group), owner: { group } },
      { kind: 'delete', namespace: rebuildNamespace, key: group },
    ],
  })
}
