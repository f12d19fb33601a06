import { crashNames } from '../../src/embedded/fixtures/crash-load.ts'
import type { EmbeddedEngine } from '../../src/embedded/index.ts'
import { MillraceError } from '../../src/kernel/index.ts'

/** What a file answers, piece by piece: the text of the answer, or the code of the error. */
export type Dump = Readonly<Record<string, { readonly text: string } | { readonly code: string }>>

async function topicText(engine: EmbeddedEngine, topic: string, partition: number): Promise<unknown[]> {
  const found: unknown[] = []
  let offset = await engine.topics.locate(topic, partition, 'earliest')
  for (const end = await engine.topics.locate(topic, partition, 'latest'); offset < end; ) {
    const page = await engine.topics.read({ topic, partition, offset })
    found.push(...page.records)
    offset = page.nextOffset
  }
  return found
}

/** Everything that the load of the crash tests writes, and the ways to ask for it. */
function questionsOf(engine: EmbeddedEngine): Readonly<Record<string, () => Promise<unknown>>> {
  const partitions = crashNames.topics.flatMap(([topic, count]) =>
    Array.from({ length: count }, (_, partition) => [topic, partition] as const),
  )
  const { counters, latest, owner, group, cut, streams } = crashNames
  return {
    topics: async () => (await engine.topics.list()).map(({ partitions: _, ...rest }) => rest),
    ...Object.fromEntries(partitions.map(([topic, n]) => [`${topic}/${n}`, () => topicText(engine, topic, n)])),
    ...Object.fromEntries(
      [...streams, cut].map((name) => [name, () => Array.fromAsync(engine.events.readStream(name))]),
    ),
    streams: () => engine.events.listStreams(),
    'all events': () => Array.fromAsync(engine.events.readAll()),
    'events of a type': () => Array.fromAsync(engine.events.readAll({ query: { items: [{ types: ['Crashed'] }] } })),
    counters: () => engine.state.range(counters),
    latest: () => engine.state.range(latest),
    timers: () => engine.timers.list({ owner, limit: 10_000 }),
    // Without how old what is left is, which goes by the clock.
    progress: async () =>
      (await engine.groups.describe(group))?.lag.map(({ topic, partition, next, latest: end, lagMessages }) => {
        return { topic, partition, next, end, lagMessages }
      }),
  }
}

/** Asks for everything. Rejects with what Millrace has no name for. */
export async function dumpOf(engine: EmbeddedEngine): Promise<Dump> {
  const dump: Record<string, { text: string } | { code: string }> = {}
  for (const [name, question] of Object.entries(questionsOf(engine))) {
    try {
      dump[name] = { text: JSON.stringify(await question()) ?? 'undefined' }
    } catch (error) {
      if (!(error instanceof MillraceError)) throw error
      dump[name] = { code: String(error.code) }
    }
  }
  return dump
}

/** Names of the pieces that are answered otherwise than in the reference, and not by an error. */
export function servedOtherwise(dump: Dump, reference: Dump): string[] {
  return Object.entries(dump).flatMap(([name, answer]) => {
    const expected = reference[name]
    const isSame = 'code' in answer || (expected !== undefined && 'text' in expected && expected.text === answer.text)
    return isSame ? [] : [name]
  })
}
