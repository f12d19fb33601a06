import { topicsOf } from '../runtime/index.ts'
import type { RebuildPolicy, View } from './view.ts'

/**
 * One copy of a view: what one version makes of the events, in a namespace of its own. A version that is built once more, to
 * repair it, has several; names are never used again.
 */
export interface ViewCopy {
  readonly version: number
  /** 1, or more for a version that was built before. */
  readonly build: number
  /** Whether commits of events write it while it is live. Else it follows its topics. */
  readonly inline: boolean
  /** Types of its events. */
  readonly types: readonly string[]
  /** Topics that it follows; none for an inline copy, which is built from the event store. */
  readonly topics: readonly string[]
}

/** A copy that is being built beside the live one. */
export interface ViewBuild extends ViewCopy {
  readonly swap: RebuildPolicy
  /** At most so many events a second, over all processes; null: no limit. */
  readonly eventsPerSecond: number | null
  readonly paused: boolean
  /** Why it cannot go on, until it is resumed; null: nothing is known. Of inline copies; the others have dead letters. */
  readonly problem: string | null
  /** When it began, in milliseconds since the epoch. */
  readonly sinceMs: number
}

/** A copy by its version and build, as it is written: `v2`, and `v2.3` when it is built again. */
export function copyName({ version, build }: { readonly version: number; readonly build: number }): string {
  return build === 1 ? `v${version}` : `v${version}.${build}`
}

/** Which copy; without a build, the first one of the version. */
export interface CopyPlace {
  readonly name: string
  readonly version: number
  readonly build?: number
}

/** Namespace in which an engine keeps the state of a view of an app. */
export function viewNamespace(app: string, { name, version, build = 1 }: CopyPlace): string {
  return `view:${app}.${name}:${copyName({ version, build })}`
}

/** Consumer group of a copy that follows topics. */
export function viewGroup(app: string, { name, version, build = 1 }: CopyPlace): string {
  return `${app}.view:${name}.${copyName({ version, build })}`
}

/** The first copy of what a program declares. */
export function copyOf(view: View): ViewCopy {
  return {
    version: view.version,
    build: 1,
    inline: view.inline,
    types: view.handler.events.map(({ type }) => type),
    topics: view.inline ? [] : topicsOf(view.handler.events),
  }
}

/** Whether two are the same copy. */
export function isSameCopy(
  a: { readonly version: number; readonly build: number } | null,
  b: { readonly version: number; readonly build: number } | null,
): boolean {
  return a !== null && b !== null && a.version === b.version && a.build === b.build
}
