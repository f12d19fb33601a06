import { crashNames } from '../../src/embedded/fixtures/crash-load.ts'
import type { EmbeddedEngine } from '../../src/embedded/index.ts'
import type { EventQuery, StoredEvent } from '../../src/engine/index.ts'
import { MillraceError } from '../../src/kernel/index.ts'

/** What a file answers, piece by piece: the texts of what is in it, or the code of the error. */
export type Dump = Readonly<Record<string, { readonly items: readonly string[] } | { readonly code: string }>>

async function recordsOf(engine: EmbeddedEngine, topic: string, partition: number): Promise<unknown[]> {
  const found: unknown[] = []
  let offset = await engine.topics.locate(topic, partition, 'earliest')
  for (const end = await engine.topics.locate(topic, partition, 'latest'); offset < end; ) {
    const page = await engine.topics.read({ topic, partition, offset })
    found.push(...page.records)
    offset = page.nextOffset
  }
  return found
}

const messageOf = ({ version, message }: StoredEvent): unknown => [version, message]
/** What stands beside the bytes of an event, in columns of its own. */
const labelsOf = ({ position, stream, tags, timestampMs }: StoredEvent): unknown => [
  position,
  stream,
  tags,
  timestampMs,
]

/** Everything that the load of the crash tests writes, and the ways to ask for it. */
function questionsOf(engine: EmbeddedEngine): Readonly<Record<string, () => Promise<readonly unknown[]>>> {
  const { counters, latest, owner, group, cut, streams } = crashNames
  const partitions = crashNames.topics.flatMap(([topic, count]) =>
    Array.from({ length: count }, (_, partition) => [topic, partition] as const),
  )
  const all = (query?: EventQuery): Promise<StoredEvent[]> =>
    Array.fromAsync(engine.events.readAll(query === undefined ? {} : { query }))
  const ofStream = (name: string): Promise<StoredEvent[]> => Array.fromAsync(engine.events.readStream(name))
  return {
    ...Object.fromEntries(partitions.map(([topic, n]) => [`${topic}/${n}`, () => recordsOf(engine, topic, n)])),
    ...Object.fromEntries([...streams, cut].map((name) => [name, async () => (await ofStream(name)).map(messageOf)])),
    'all events': async () => (await all()).map(messageOf),
    'events of a type': async () => (await all({ items: [{ types: ['Crashed'] }] })).map(messageOf),
    labels: async () => (await all()).map(labelsOf),
    topics: async () => (await engine.topics.list()).map(({ name, config }) => [name, config]),
    // Each version is a thing of its own: a stream without its last event is one that lacks something, not one that was altered.
    streams: async () =>
      (await engine.events.listStreams()).flatMap(({ version, ...stream }) => [
        stream,
        ...Array.from({ length: version }, (_, index) => [stream.stream, index + 1]),
      ]),
    counters: () => engine.state.range(counters),
    latest: () => engine.state.range(latest),
    timers: () => engine.timers.list({ owner, limit: 10_000 }),
    groups: () => engine.groups.list(),
    namespaces: () => engine.state.namespaces(),
    'last position': async () => [await engine.events.lastPosition()],
    'next timer': async () => {
      const dueMs = await engine.timers.nextDueMs(owner)
      return dueMs === undefined ? [] : [dueMs]
    },
    // Without how old what is left is, which goes by the clock.
    progress: async () =>
      ((await engine.groups.describe(group))?.lag ?? []).map(({ topic, partition, next, latest: end, lagMessages }) => {
        return { topic, partition, next, end, lagMessages }
      }),
  }
}

/** Asks for everything. Rejects with what Millrace has no name for. */
export async function dumpOf(engine: EmbeddedEngine): Promise<Dump> {
  const dump: Record<string, { items: string[] } | { code: string }> = {}
  for (const [name, question] of Object.entries(questionsOf(engine))) {
    try {
      dump[name] = { items: (await question()).map((item) => JSON.stringify(item)) }
    } catch (error) {
      if (!(error instanceof MillraceError)) throw error
      dump[name] = { code: String(error.code) }
    }
  }
  return dump
}

/** How the answers of a harmed file differ from those of the whole one, errors aside. */
export interface Differences {
  /** Pieces that hold what was never written there. */
  readonly altered: readonly string[]
  /** Pieces that lack something, or have it in another order. */
  readonly incomplete: readonly string[]
}

export function differences(dump: Dump, reference: Dump): Differences {
  const found = { altered: [] as string[], incomplete: [] as string[] }
  for (const [name, piece] of Object.entries(dump)) {
    const expected = reference[name]
    if ('code' in piece || expected === undefined || 'code' in expected) continue
    if (JSON.stringify(piece.items) === JSON.stringify(expected.items)) continue
    const known = new Set(expected.items)
    if (piece.items.some((item) => !known.has(item))) found.altered.push(name)
    else found.incomplete.push(name)
  }
  return found
}
