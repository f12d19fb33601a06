import type { Engine, StateEntry, StateWrite } from '../engine/index.ts'
import { handlerRegisterNamespace } from '../runtime/index.ts'
import { HandlerTakenError, type TakenHandler } from './errors.ts'
import { groupOf } from './names.ts'
import type { AppParts } from './parts.ts'

/** A race with other apps that start, so often, is none any more. */
const triesMax = 10

/**
 * Says in the engine which group handles which command and query, so that apps that do not know each other do not both handle one. An
 * entry counts as long as its group has members: who handles a type may change between two deployments.
 *
 * @throws HandlerTakenError `HANDLER_TAKEN`
 */
export async function registerHandlers(app: AppParts, engine: Engine): Promise<void> {
  const own = groupsByType(app)
  for (let tries = 0; own.size > 0 && tries < triesMax; tries++) {
    const writes: StateWrite[] = []
    const taken: TakenHandler[] = []
    const found = await engine.state.getMany(handlerRegisterNamespace, [...own.keys()])
    for (const [index, [type, group]] of [...own].entries()) {
      const entry = found[index]
      const other = groupIn(entry)
      if (other === group) continue
      if (other !== undefined && (await isAtWork(engine, other))) taken.push({ type, group: other, by: group })
      writes.push(registration(type, group, entry))
    }
    if (taken.length > 0) throw new HandlerTakenError(taken)
    if (writes.length === 0 || (await engine.commit({ state: writes })).ok) return
  }
}

/**
 * Looks, once this app has joined its groups, whether another one has begun meanwhile, and writes its entries again: one that looked
 * before this app had members then fails to replace them, and looks again. Of two that start together one goes on.
 *
 * @throws HandlerTakenError `HANDLER_TAKEN`
 */
export async function confirmHandlers(app: AppParts, engine: Engine): Promise<void> {
  const own = groupsByType(app)
  for (let tries = 0; own.size > 0 && tries < triesMax; tries++) {
    const found = await engine.state.getMany(handlerRegisterNamespace, [...own.keys()])
    const entries = [...own].map(([type, group], index) => ({ type, group, entry: found[index] }))
    const taken = entries.flatMap(({ type, group, entry }): TakenHandler[] => {
      const other = groupIn(entry)
      return other === undefined || other === group ? [] : [{ type, group: other, by: group }]
    })
    if (taken.length > 0) throw new HandlerTakenError(taken)
    const writes = entries.map(({ type, group, entry }) => registration(type, group, entry))
    if ((await engine.commit({ state: writes })).ok) return
  }
}

/** Replaces what was found, and nothing that was written since. */
function registration(type: string, group: string, found: StateEntry | undefined): StateWrite {
  const expectedRevision = found?.revision ?? 0
  return { kind: 'set', namespace: handlerRegisterNamespace, key: type, value: { group }, expectedRevision }
}

function groupIn(entry: StateEntry | undefined): string | undefined {
  return (entry?.value as unknown as Registered | undefined)?.group
}

interface Registered {
  readonly group: string
}

async function isAtWork(engine: Engine, group: string): Promise<boolean> {
  return ((await engine.groups.describe(group))?.members.length ?? 0) > 0
}

/** The group that handles each command and query of an app. */
function groupsByType({ name, services }: AppParts): ReadonlyMap<string, string> {
  const groups = new Map<string, string>()
  for (const service of services) {
    const add = (types: readonly { readonly type: string }[], handler: string): void => {
      for (const { type } of types) groups.set(type, groupOf(name, service.name, handler))
    }
    for (const one of service.handlers)
      add(
        one.events.filter(({ messageKind }) => messageKind !== 'event'),
        one.name,
      )
    for (const one of service.deciders) add(one.commands, one.name)
    for (const one of service.answers) add([one.query], one.name)
  }
  return groups
}
