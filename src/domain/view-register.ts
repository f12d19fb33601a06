import type { Engine, StateWrite } from '../engine/index.ts'
import type { Json } from '../kernel/index.ts'
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

/** The register of a view nobody has built before. */
export function firstRegister(copy: ViewCopy): ViewRegister {
  const { version, build } = copy
  return { live: copy, previous: null, next: null, canary: 0, highestVersion: version, lastBuild: build }
}

/** The copies of a register. */
export function copiesIn({ live, previous, next }: ViewRegister): readonly ViewCopy[] {
  return [live, previous, next].filter((copy) => copy !== null)
}

export async function readRegister(engine: Engine, app: string, view: string): Promise<RegisterEntry | undefined> {
  const entry = await engine.state.get(registerNamespace, registerKey(app, view))
  return entry === undefined ? undefined : { register: registerOf(entry.value), revision: entry.revision }
}

export function registerOf(value: Json): ViewRegister {
  return value as unknown as ViewRegister
}

/** The write that puts a register in the place of the one that was read, with notes of the copies that it gives up. */
export function registerWrites(
  app: string,
  view: string,
  before: RegisterEntry | undefined,
  after: ViewRegister,
): readonly StateWrite[] {
  const kept = copiesIn(after)
  const dropped =
    before === undefined ? [] : copiesIn(before.register).filter((one) => !kept.some((copy) => isSameCopy(copy, one)))
  return [
    {
      kind: 'set',
      namespace: registerNamespace,
      key: registerKey(app, view),
      value: after as unknown as Json,
      expectedRevision: before?.revision ?? 0,
    },
    ...dropped.map((copy): StateWrite => {
      const place = { name: view, ...copy }
      const note = { app, namespace: viewNamespace(app, place), inline: copy.inline }
      return { kind: 'set', namespace: droppedNamespace, key: viewGroup(app, place), value: note }
    }),
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
