import type { Engine, StateWrite } from '../engine/index.ts'
import type { Json } from '../kernel/index.ts'
import { dropWrite } from './inline-notes.ts'
import { isSameCopy, type ViewBuild, type ViewCopy, viewGroup, viewNamespace } from './view-copy.ts'

/**
 * Which copies of a view there are, and which of them serves reads. One entry of the state store: whoever changes it expects
 * the revision that was read, so all processes see the same changes in the same order.
 */
export interface ViewRegister {
  /** Serves reads. */
  readonly live: ViewCopy
  /** Was live before, and can be again. */
  readonly previous: ViewCopy | null
  /** Is being built. */
  readonly next: ViewBuild | null
  /** Share of the keys, 0 to 1, that are read from the copy that is being built. */
  readonly canary: number
  /** Highest version that was ever built. */
  readonly highestVersion: number
  /** Highest number of a build, of whatever version. */
  readonly lastBuild: number
}

/** A register as it was read. */
export interface RegisterEntry {
  readonly register: ViewRegister
  readonly revision: number
}

/** By `<app>.<view>`. */
export const registerNamespace = 'views'
/** Copies that are given up, until all that was kept of them is gone, by group. */
export const droppedNamespace = 'dropped-views'

/** Names of apps and views hold no dot. */
export function registerKey(app: string, view: string): string {
  return `${app}.${view}`
}

/** Which names of copies a view has used: they are never used again. */
export type UsedNames = Pick<ViewRegister, 'highestVersion' | 'lastBuild'>

/** What stands in the place of a register, if anything does. */
export interface RegisterPlace {
  /** `undefined`: nobody has built the view before, or it was retired. */
  readonly register: ViewRegister | undefined
  readonly used: UsedNames
  /** 0: nothing stands there. */
  readonly revision: number
}

export async function readPlace(engine: Engine, app: string, view: string): Promise<RegisterPlace> {
  const entry = await engine.state.get(registerNamespace, registerKey(app, view))
  if (entry === undefined) return { register: undefined, used: { highestVersion: 0, lastBuild: 0 }, revision: 0 }
  return { register: registerOf(entry.value), used: entry.value as unknown as UsedNames, revision: entry.revision }
}

/** The write that puts something in the place of a register. */
function placeWrite(app: string, view: string, value: object, expectedRevision: number): StateWrite {
  const key = registerKey(app, view)
  return { kind: 'set', namespace: registerNamespace, key, value: value as Json, expectedRevision }
}

/** The register of a view that nobody builds. */
export function firstRegister(copy: ViewCopy, { highestVersion, lastBuild }: UsedNames): ViewRegister {
  const build = copy.version > highestVersion ? 1 : lastBuild + 1
  return {
    live: { ...copy, build },
    previous: null,
    next: null,
    canary: 0,
    highestVersion: Math.max(highestVersion, copy.version),
    lastBuild: Math.max(lastBuild, build),
  }
}

/** The write that registers a view which nobody builds. */
export function firstWrite(app: string, view: string, register: ViewRegister, { revision }: RegisterPlace): StateWrite {
  return placeWrite(app, view, register, revision)
}

/** The write that retires a view. The entry stays, so that its revisions go on and its names of copies are known. */
export function retireWrite(app: string, view: string, used: UsedNames, { revision }: RegisterPlace): StateWrite {
  return placeWrite(app, view, { retired: true, ...used }, revision)
}

/** The copies of a register. */
export function copiesIn({ live, previous, next }: ViewRegister): readonly ViewCopy[] {
  return [live, previous, next].filter((copy) => copy !== null)
}

export async function readRegister(engine: Engine, app: string, view: string): Promise<RegisterEntry | undefined> {
  const { register, revision } = await readPlace(engine, app, view)
  return register === undefined ? undefined : { register, revision }
}

/** The register that an entry holds; `undefined`: the view was retired. */
export function registerOf(value: Json): ViewRegister | undefined {
  const found = value as unknown as ViewRegister & { readonly retired?: true }
  return found.retired === true ? undefined : found
}

/** Registers that are read in one go. */
const registersMax = 10_000

/** The registers of the views of an app, or of all apps, by `<app>.<view>`. */
export async function registersOf(engine: Engine, app?: string): Promise<ReadonlyMap<string, ViewRegister>> {
  const range = { ...(app !== undefined && { prefix: registerKey(app, '') }), limit: registersMax }
  const found = new Map<string, ViewRegister>()
  for (const { key, value } of await engine.state.range(registerNamespace, range)) {
    const register = registerOf(value)
    if (register !== undefined) found.set(key, register)
  }
  return found
}

/**
 * The writes that put a register in the place of the one that was read, and give up the copies that are not in it.
 *
 * @param nowMs When they are given up, in milliseconds since the epoch.
 */
export function registerWrites(
  app: string,
  view: string,
  before: RegisterEntry,
  after: ViewRegister,
  nowMs: number,
): readonly StateWrite[] {
  const kept = copiesIn(after)
  const dropped = copiesIn(before.register).filter((one) => !kept.some((copy) => isSameCopy(copy, one)))
  return [
    placeWrite(app, view, after, before.revision),
    ...dropped.flatMap((copy) => dropWrites(app, view, copy, nowMs)),
  ]
}

/** What stands about a copy that was given up. */
export interface DropNote {
  readonly app: string
  readonly namespace: string
  readonly inline: boolean
  /** When it was given up, in milliseconds since the epoch. */
  readonly sinceMs: number
}

/** The writes that give up a copy: who still builds it is fenced off at once; what is kept of it is removed later. */
export function dropWrites(
  app: string,
  view: string,
  copy: Pick<ViewCopy, 'version' | 'build' | 'inline'>,
  sinceMs: number,
): readonly StateWrite[] {
  const place = { name: view, ...copy }
  const namespace = viewNamespace(app, place)
  const note: DropNote = { app, namespace, inline: copy.inline, sinceMs }
  const value = note as unknown as Json
  return [
    { kind: 'set', namespace: droppedNamespace, key: viewGroup(app, place), value },
    ...(copy.inline ? [dropWrite(namespace)] : []),
  ]
}

/** A build takes the place of one that was not finished. */
export function withBuild(register: ViewRegister, copy: ViewCopy, how: Omit<ViewBuild, keyof ViewCopy>): ViewRegister {
  const isNew = copy.version > register.highestVersion
  const build = isNew ? 1 : register.lastBuild + 1
  return {
    ...register,
    next: { ...copy, build, ...how },
    canary: 0,
    highestVersion: Math.max(register.highestVersion, copy.version),
    lastBuild: Math.max(register.lastBuild, build),
  }
}

/** The copy that was built is live, the live one is the previous one, and what was that before is given up. */
export function withSwap(register: ViewRegister, next: ViewBuild): ViewRegister {
  const { swap: _swap, eventsPerSecond: _rate, paused: _paused, problem: _problem, sinceMs: _since, ...live } = next
  return { ...register, live, previous: register.live, next: null, canary: 0 }
}

/** The previous copy is live again. */
export function withRollBack(register: ViewRegister, previous: ViewCopy): ViewRegister {
  return { ...register, live: previous, previous: register.live }
}
