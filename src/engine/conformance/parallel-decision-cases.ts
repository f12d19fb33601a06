import assert from 'node:assert/strict'
import type { EventQuery, EventQueryItem, StoredEvent } from '../events.ts'
import type { AppendWrite, CommitOutcome, WriteBatch } from '../write-batch.ts'
import { type Choices, choosing } from './choices.ts'
import { type ConformanceCase, conditions } from './conformance-case.ts'
import type { Fixture } from './fixture.ts'
import { matches } from './model-events.ts'

/** What a decision was made on. Its first event keeps it, so that the log itself can be held against it. */
interface Basis {
  readonly query: EventQuery
  /** The last event that matched when it was read; 0: there was none. */
  readonly after: number
}

/** Types and tags, few enough that decisions meet each other, with names that nobody else uses. */
interface Domain {
  readonly types: readonly string[]
  readonly tags: readonly string[]
  readonly streams: readonly string[]
}

interface Tally {
  readonly refusedIds: string[]
  readonly acceptedIds: string[]
  committed: number
  refused: number
}

const deciderCount = 8
const roundCount = 12

function domainOf(f: Fixture): Domain {
  const base = f.name('parallel')
  const named = (label: string, count: number): string[] =>
    Array.from({ length: count }, (_, n) => `${base}/${label}${n}`)
  return { types: named('Type', 3), tags: named('tag', 5), streams: named('stream', 6) }
}

function queryOf({ types, tags }: Domain, choices: Choices): EventQuery {
  const item = (): EventQueryItem => {
    const chosen = { types: choices.some(types, 0, 2), tags: choices.some(tags, 0, 2) }
    // An item that names nothing means everything; that is the business of the query without items.
    return chosen.types.length + chosen.tags.length > 0 ? chosen : { tags: choices.some(tags, 1, 2) }
  }
  return { items: Array.from({ length: choices.between(0, 2) }, item) }
}

async function lastMatching(f: Fixture, query: EventQuery): Promise<number> {
  const found = f.engine.events.readAll({ query, direction: 'backward', limit: 1 })
  return (await Array.fromAsync(found))[0]?.position ?? 0
}

/** A batch of events as they come, of which the first keeps its basis, if there is one. */
function decision(f: Fixture, domain: Domain, choices: Choices, basis: Basis | undefined): WriteBatch {
  const appendCount = f.engine.capabilities.events.multiStream ? choices.between(1, 2) : 1
  let data: unknown = basis ?? null
  const append = Array.from({ length: appendCount }, (): AppendWrite => {
    const events = Array.from({ length: choices.between(1, 3) }, () => {
      const message = f.message(choices.either(domain.types), data)
      data = null
      return { message, tags: choices.some(domain.tags, 0, 3) }
    })
    const write = { stream: choices.either(domain.streams), events }
    return basis === undefined ? write : { ...write, condition: basis }
  })
  return { append }
}

/** Decides again and again, sometimes several times on the same basis, sometimes on none. */
async function decide(f: Fixture, domain: Domain, choices: Choices, tally: Tally): Promise<void> {
  for (let round = 0; round < roundCount; round++) {
    const query = queryOf(domain, choices)
    const basis = choices.chance(0.15) ? undefined : { query, after: await lastMatching(f, query) }
    for (let pause = choices.between(0, 2); pause > 0; pause--) await f.turn()
    const batches = Array.from({ length: choices.chance(0.3) ? 3 : 1 }, () => decision(f, domain, choices, basis))
    const outcomes = await Promise.all(batches.map((batch) => f.engine.commit(batch)))
    for (const [index, outcome] of outcomes.entries())
      await note(f, batches[index] as WriteBatch, basis, outcome, tally)
  }
}

async function note(
  f: Fixture,
  batch: WriteBatch,
  basis: Basis | undefined,
  outcome: CommitOutcome,
  tally: Tally,
): Promise<void> {
  const ids = (batch.append ?? []).flatMap(({ events }) => events.map(({ message }) => message.id))
  if (outcome.ok) {
    tally.committed++
    tally.acceptedIds.push(...ids)
    return
  }
  tally.refused++
  tally.refusedIds.push(...ids)
  assert.ok(basis !== undefined, 'a commit without a condition was refused')
  assert.ok(outcome.conflict.kind === 'condition', `a conflict "${outcome.conflict.kind}" where no other can be`)
  const { position } = outcome.conflict
  assert.ok(position > basis.after, `refused because of position ${position}, which does not count`)
  const [event] = await Array.fromAsync(f.engine.events.readAll({ fromPosition: position, limit: 1 }))
  assert.ok(event?.position === position && matchesStored(event, basis.query), `position ${position} does not match`)
}

function matchesStored({ message, tags }: StoredEvent, query: EventQuery): boolean {
  return matches({ type: message.type, tags }, query)
}

/** Every decision in the log was made on the last event that matched its query before it. */
function checkBases(log: readonly StoredEvent[], lastBefore: number): void {
  for (const [index, event] of log.entries()) {
    assert.ok(event.position > (log[index - 1]?.position ?? lastBefore), 'positions rise')
    const basis = event.message.data as Basis | null
    if (basis === null) continue
    // Only a query without items can have met what stood there before the case.
    const standing = basis.query.items.length === 0 ? lastBefore : 0
    const last = log.slice(0, index).findLast((earlier) => matchesStored(earlier, basis.query))?.position ?? standing
    assert.equal(basis.after, last, `the decision at position ${event.position} overlooked the event at ${last}`)
  }
}

/** Parallel writers under append conditions (dcb.events): no two decisions that contradict each other become real. */
export const parallelDecisionCases: readonly ConformanceCase[] = [
  choosing({
    name: 'parallel: every decision was made on all that its query named before it',
    requires: conditions,
    async run(f, choices) {
      const lastBefore = await lastMatching(f, { items: [] })
      const domain = domainOf(f)
      const tally: Tally = { refusedIds: [], acceptedIds: [], committed: 0, refused: 0 }
      await Promise.all(Array.from({ length: deciderCount }, () => decide(f, domain, choices.fork(), tally)))
      const log = await Array.fromAsync(f.engine.events.readAll({ fromPosition: lastBefore + 1 }))
      checkBases(log, lastBefore)
      const ids = log.map(({ message }) => message.id)
      assert.deepEqual(ids.toSorted(), tally.acceptedIds.toSorted(), 'what was acknowledged is there, once')
      assert.ok(tally.refusedIds.every((id) => !ids.includes(id)))
      // Otherwise nobody met anybody, and nothing was tried.
      assert.ok(tally.committed > 0 && tally.refused > 0, `${tally.committed} committed, ${tally.refused} refused`)
      for (const stream of domain.streams) {
        const versions = (await f.stream(stream)).map(({ version }) => version)
        assert.deepEqual(
          versions,
          versions.map((_, index) => index + 1),
        )
      }
    },
  }),
  choosing({
    name: 'parallel: writers that have nothing to do with each other never refuse each other',
    requires: conditions,
    async run(f, choices) {
      const type = f.name('Type')
      const writer = async (own: Choices): Promise<void> => {
        for (let turn = 0; turn < 10; turn++) {
          const tag = f.name('tag')
          const query = { items: [{ types: [type], tags: [tag] }] }
          // What it read may be older than what it looks for, and older than what the others wrote meanwhile.
          const after = own.chance(0.5) ? 0 : await f.engine.events.lastPosition()
          for (let pause = own.between(0, 2); pause > 0; pause--) await f.turn()
          const events = [{ message: f.message(type), tags: [tag, type] }]
          await f.commit({ append: [{ stream: f.name('stream'), events, condition: { query, after } }] })
          await f.conflict(
            {
              append: [
                { stream: f.name('stream'), events: [{ message: f.message(type) }], condition: { query, after: 0 } },
              ],
            },
            'condition',
          )
        }
      }
      await Promise.all(Array.from({ length: 20 }, () => writer(choices.fork())))
      const found = await Array.fromAsync(f.engine.events.readAll({ query: { items: [{ tags: [type] }] } }))
      assert.equal(found.length, 200)
    },
  }),
  choosing({
    name: 'parallel: of many that want the same of several scarce things, each is given away once',
    requires: conditions,
    async run(f, choices) {
      const things = Array.from({ length: 6 }, () => f.name('thing'))
      const takenBy = new Map<string, string>()
      const taker = async (own: Choices): Promise<void> => {
        for (const thing of own.some(things, things.length, things.length)) {
          const query = { items: [{ types: ['Taken'], tags: [thing] }] }
          const after = await lastMatching(f, query)
          if (after > 0) continue
          const message = f.message('Taken', thing)
          const events = [{ message, tags: [thing] }]
          const stream = own.chance(0.5) ? thing : f.name('stream')
          const outcome = await f.engine.commit({ append: [{ stream, events, condition: { query, after } }] })
          if (!outcome.ok) continue
          assert.equal(takenBy.get(thing), undefined, 'given away twice')
          takenBy.set(thing, message.id)
        }
      }
      await Promise.all(Array.from({ length: 15 }, () => taker(choices.fork())))
      for (const thing of things) {
        const found = await Array.fromAsync(f.engine.events.readAll({ query: { items: [{ tags: [thing] }] } }))
        assert.deepEqual(
          found.map(({ message }) => message.id),
          [takenBy.get(thing)],
        )
      }
    },
  }),
]
