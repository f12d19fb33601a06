import { commitWithViews, InlineViews, type View, viewNamespace } from '../domain/index.ts'
import type { Engine } from '../engine/index.ts'
import type { Message } from '../message/index.ts'
import type { AppParts } from './parts.ts'

/** Where it stands how far inline views were built from the event store, by app, name and version. */
const inlineBuildNamespace = 'inline-views'
/** Events of one commit. */
const eventsTogether = 500

/**
 * Builds inline views that are new, or new in their version, from the event store, before commands are taken. After a crash it goes
 * on where it was. Once built, the commits of the events keep them up to date.
 *
 * Another process that still runs an older program does not know the view: what it appends meanwhile is missing.
 */
export async function buildInlineViews(engine: Engine, app: AppParts): Promise<void> {
  for (const view of app.views) if (view.inline) await build(engine, app.name, view)
}

interface BuildNote {
  readonly position: number
  readonly done: boolean
}

async function build(engine: Engine, app: string, view: View): Promise<void> {
  const namespace = viewNamespace(app, view)
  const entry = await engine.state.get(inlineBuildNamespace, namespace)
  const note = (entry?.value as unknown as BuildNote | undefined) ?? { position: 0, done: false }
  if (note.done) return
  const views = new InlineViews(engine.state, [{ view, namespace }])
  const query = { items: [{ types: view.handler.events.map(({ type }) => type) }] }
  let revision = entry?.revision ?? 0
  let position = note.position
  let messages: Message[] = []
  /** `false`: another start of the app builds the same view at the same time. */
  const commit = async (done: boolean): Promise<boolean> => {
    const value = { position, done }
    const expectedRevision = revision++
    const note = { kind: 'set', namespace: inlineBuildNamespace, key: namespace, value, expectedRevision } as const
    const outcome = await commitWithViews(engine, views, { state: [note] }, messages)
    messages = []
    return outcome.ok
  }
  for await (const event of engine.events.readAll({ query, fromPosition: position + 1 })) {
    messages.push(event.message)
    position = event.position
    if (messages.length >= eventsTogether && !(await commit(false))) return build(engine, app, view)
  }
  // Who was overtaken looks again how far the other one is.
  if (!(await commit(true))) await build(engine, app, view)
}
