import { checkEngine, checkName, checkOptions } from '../committing/index.ts'
import type { Engine, StateWrite } from '../engine/index.ts'
import { type Clock, systemClock } from '../kernel/index.ts'
import { ViewInUseError, ViewNeverRunError } from './errors.ts'
import { InlineEpochs } from './inline-epochs.ts'
import { copyName, type ViewCopy, viewGroup } from './view-copy.ts'
import { copiesIn, droppedNamespace, dropWrites, readPlace, retireWrite, type ViewRegister } from './view-register.ts'

/** Which view is to be retired. */
export interface RetireOptions {
  readonly app: string
  /** Name of the view. */
  readonly view: string
  /** Says since when its copies are given up. Default: the system's clock. */
  readonly clock?: Clock
}

/** A copy by what names it. */
type NamedCopy = Pick<ViewCopy, 'version' | 'build' | 'inline'>

/** What comes after the name of the view in the namespace of a copy. */
const copyPattern = /^v(\d+)(?:\.(\d+))?$/

/**
 * Retires a view that no program declares any more: all its copies are given up, with their progress and their state. Programs of the
 * app remove what was kept of them, a minute later. A program that declares the view again builds it anew.
 *
 * Who declares a view that follows topics is a member of its groups while it runs. Of an inline view nobody can tell who runs
 * it: a program that still does writes it no more, and reads what is left of it.
 *
 * @returns The copies that were given up, such as `v2`.
 * @throws ViewInUseError `VIEW_IN_USE`: a program works on it, ViewNeverRunError `VIEW_NEVER_RUN`, ArgumentInvalidError `ARGUMENT_INVALID`
 *
 * @example
 * ```ts
 * await retireView(engine, { app: 'shop', view: 'daily-revenue' })
 * ```
 */
export async function retireView(engine: Engine, options: RetireOptions): Promise<readonly string[]> {
  checkEngine(engine)
  checkOptions('options', options)
  const { app, view, clock = systemClock } = options
  checkName('app', app)
  checkName('view', view)
  for (;;) {
    const place = await readPlace(engine, app, view)
    const copies = await copiesOf(engine, options, place.register)
    if (copies.length === 0) throw new ViewNeverRunError(view, app)
    await checkUnused(engine, options, copies)
    const used = {
      highestVersion: Math.max(place.used.highestVersion, ...copies.map(({ version }) => version)),
      lastBuild: Math.max(place.used.lastBuild, ...copies.map(({ build }) => build)),
    }
    const writes: readonly StateWrite[] = [
      retireWrite(app, view, used, place),
      ...copies.flatMap((copy) => dropWrites(app, view, copy, clock.nowMs())),
    ]
    const isMade = copies.some(({ inline }) => inline)
      ? await new InlineEpochs(engine, app, clock).cut(async () => writes)
      : (await engine.commit({ state: writes })).ok
    if (isMade) return copies.map(copyName)
  }
}

/** The copies in the register, and those that were kept before there were registers. */
async function copiesOf(
  engine: Engine,
  { app, view }: RetireOptions,
  register: ViewRegister | undefined,
): Promise<readonly NamedCopy[]> {
  const copies: NamedCopy[] = register === undefined ? [] : [...copiesIn(register)]
  const prefix = `view:${app}.${view}:`
  for (const namespace of await engine.state.namespaces(prefix)) {
    const [, version, build = '1'] = copyPattern.exec(namespace.slice(prefix.length)) ?? []
    const copy = { version: Number(version), build: Number(build), inline: false }
    if (version === undefined || copies.some((one) => copyName(one) === copyName(copy))) continue
    const group = viewGroup(app, { name: view, ...copy })
    if ((await engine.state.get(droppedNamespace, group)) === undefined) copies.push(copy)
  }
  return copies
}

async function checkUnused(engine: Engine, { app, view }: RetireOptions, copies: readonly NamedCopy[]): Promise<void> {
  for (const copy of copies) {
    const found = copy.inline ? undefined : await engine.groups.describe(viewGroup(app, { name: view, ...copy }))
    const memberCount = found?.members.length ?? 0
    if (memberCount > 0) throw new ViewInUseError(view, app, copyName(copy), memberCount)
  }
}
