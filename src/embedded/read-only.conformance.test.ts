import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'
import { conformanceCases, type Ground, runCase, verdictOf } from '../engine/conformance/index.ts'
import type { Engine } from '../engine/index.ts'
import { embedded } from './index.ts'

const directory = mkdtempSync(join(tmpdir(), 'millrace-read-only-'))
afterAll(() => rmSync(directory, { recursive: true, force: true }))

/** What is asked of an engine that only reads: everything that concerns what a reader sees. */
const areas = [
  'reading',
  'content',
  'event reading',
  'queries',
  'iteration',
  'subscriptions',
  'stream ends',
  'state',
  'ranges',
  'watch',
  'timers',
  'atomicity',
  'parallel',
]
const cases = conformanceCases.filter(({ name }) => areas.includes(name.split(':')[0] ?? ''))

/** What `reading` has, but for what is named: that comes from `writing`. */
function composed<T extends object>(reading: T, writing: Partial<T>, fromWriting: readonly (keyof T)[]): T {
  return new Proxy(reading, {
    get: (_target, name): unknown => {
      const from = fromWriting.includes(name as keyof T) ? writing : reading
      const member: unknown = Reflect.get(from, name, from)
      return typeof member === 'function' ? (member.bind(from) as unknown) : member
    },
  })
}

/** Writes through one engine and reads through another on the same file, as a second process does. */
function beside(writer: Engine, reader: Engine): Engine {
  const topicWrites = ['create', 'ensure', 'alter', 'delete', 'truncate', 'registerProducer', 'maintain'] as const
  const close = async (): Promise<void> => {
    await reader.close()
    await writer.close()
  }
  const parts = {
    state: reader.state,
    topics: composed(reader.topics, writer.topics, topicWrites),
    events: composed(reader.events, writer.events, ['truncateStream', 'deleteStream']),
    // Who fires timers listens to them, and that is a process that writes.
    timers: composed(reader.timers, writer.timers, ['onScheduled']),
    close,
    [Symbol.asyncDispose]: close,
  }
  return composed<Engine>(writer, parts, ['topics', 'events', 'state', 'timers', 'close', Symbol.asyncDispose])
}

const path = join(directory, 'beside.db')

let kept: Engine | undefined

// Both live by the system's clock, by which one that only reads looks for changes. They stay open from case to case.
const ground: Ground = {
  open: async () => {
    const isOpen = await kept?.events.lastPosition().then(
      () => true,
      () => false,
    )
    if (isOpen === true && kept !== undefined) return kept
    await kept?.close()
    const writer = await embedded({ path }).open()
    kept = beside(writer, await embedded({ path, readOnly: true }).open())
    return kept
  },
  release: async () => {},
}
afterAll(() => kept?.close())

describe('an engine that only reads, beside the one that writes', async () => {
  const engine = await ground.open()
  const offer = { capabilities: engine.capabilities, movesTime: false }
  await engine.close()
  for (const one of cases) {
    const verdict = verdictOf(one, offer)
    it(`${one.name}`, async (context) => {
      if (verdict !== true) context.skip(verdict)
      await runCase(one, ground)
    }, 20_000)
  }

  it('is asked something of every area', () => {
    for (const area of areas) expect(cases.some(({ name }) => name.startsWith(`${area}:`))).toBe(true)
  })
})
