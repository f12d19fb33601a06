import type { Engine } from '../engine/index.ts'
import { deadLetterGroupPrefix, deadLetterNamespace } from '../runtime/index.ts'
import { readNote } from './inline-notes.ts'
import { type ViewCopy, viewGroup, viewNamespace } from './view-copy.ts'

/** How far a copy is. Of an inline copy, positions of the event store take the place of events. */
export interface CopyProgress {
  readonly eventsTotal: number
  readonly eventsDone: number
  readonly eventsBehind: number
  /** How many members of whatever process are at work on it; of an inline copy 0, as nobody can tell. */
  readonly memberCount: number
  /** Events that its functions could not take, up to 1,000. */
  readonly deadLetterCount: number
  /** Why it cannot go on, or is not what it should be, of an inline copy; null: nothing is known. */
  readonly problem: string | null
  /** A stream of which it lacks events for good, of an inline copy; null: of none. */
  readonly lacks: string | null
  /** Where it goes on, and where the end is, by place. */
  readonly next: ReadonlyMap<string, number>
  readonly ends: ReadonlyMap<string, number>
}

/** Looked at no further. */
const deadLettersMax = 1000
/** The one place of a copy that is built from the event store. */
const storePlace = 'store'

/** How far a copy of a view is by now. */
export async function progressOf(engine: Engine, app: string, view: string, copy: ViewCopy): Promise<CopyProgress> {
  return copy.inline
    ? inlineProgress(engine, viewNamespace(app, { name: view, ...copy }))
    : followedProgress(engine, app, { group: viewGroup(app, { name: view, ...copy }), topics: copy.topics })
}

/** Whether a copy has taken in all that stood there when it was looked at earlier. */
export function hasReached(now: CopyProgress, ends: ReadonlyMap<string, number>): boolean {
  return [...ends].every(([place, end]) => (now.next.get(place) ?? 0) >= end)
}

async function inlineProgress(engine: Engine, namespace: string): Promise<CopyProgress> {
  const { note } = await readNote(engine, namespace)
  const end = await engine.events.lastPosition()
  const done = note.done ? end : Math.min(end, note.position)
  return {
    eventsTotal: end,
    eventsDone: done,
    eventsBehind: end - done,
    memberCount: 0,
    deadLetterCount: 0,
    problem: note.problem ?? (note.lacks === undefined ? null : lackText(note.lacks)),
    lacks: note.lacks ?? null,
    next: new Map([[storePlace, done]]),
    ends: new Map([[storePlace, end]]),
  }
}

function lackText(stream: string): string {
  return `The books of stream "${stream}" were closed before it had taken in its events.`
}

/** How far a consumer group of an app is on its topics, and what it could not take. */
export async function followedProgress(
  engine: Engine,
  app: string,
  { group, topics }: { readonly group: string; readonly topics: readonly string[] },
): Promise<CopyProgress> {
  const { lag = [], members = [] } = (await engine.groups.describe(group)) ?? {}
  const next = new Map<string, number>()
  const ends = new Map<string, number>()
  let eventsTotal = 0
  let eventsBehind = 0
  for (const topic of topics) {
    for (const { partition, earliest, latest } of (await engine.topics.describe(topic))?.partitions ?? []) {
      const place = `${topic}/${partition}`
      const known = lag.find((one) => one.topic === topic && one.partition === partition)
      ends.set(place, latest)
      next.set(place, known?.next ?? earliest)
      eventsTotal += latest - earliest
      eventsBehind += known?.lagMessages ?? latest - earliest
    }
  }
  const prefix = deadLetterGroupPrefix(group)
  const letters = await engine.state.range(deadLetterNamespace(app), { prefix, limit: deadLettersMax })
  return {
    eventsTotal,
    eventsDone: Math.max(0, eventsTotal - eventsBehind),
    eventsBehind,
    memberCount: members.length,
    deadLetterCount: letters.length,
    problem: null,
    lacks: null,
    next,
    ends,
  }
}

/** Looks that are kept, and how long they count. */
const looksMax = 64
const lookAgeMs = 10_000

/** How fast a build goes, by the looks at it in the last 10 seconds. */
export class SpeedMeter {
  #looks: { readonly atMs: number; readonly done: number }[] = []
  #name = ''

  /** @param name Of the copy: another one begins anew. */
  look(name: string, atMs: number, done: number): void {
    if (name !== this.#name) this.#looks = []
    this.#name = name
    this.#looks = this.#looks.filter((one) => atMs - one.atMs < lookAgeMs).slice(1 - looksMax)
    this.#looks.push({ atMs, done })
  }

  /** `undefined`: it cannot be told yet. */
  get eventsPerSecond(): number | undefined {
    const first = this.#looks[0]
    const last = this.#looks.at(-1)
    if (first === undefined || last === undefined || last.atMs <= first.atMs) return undefined
    return Math.max(0, ((last.done - first.done) * 1000) / (last.atMs - first.atMs))
  }
}
