import { DatabaseSync } from 'node:sqlite'
import { deployment } from '../bridge/index.ts'
import { accountDecider, Deposited } from '../domain/account.test-support.ts'
import { createInvoice } from '../domain/dcb-scenarios.test-support.ts'
import { view } from '../domain/index.ts'
import { embedded } from '../embedded/index.ts'
import type { Capabilities, EngineSource } from '../engine/index.ts'
import { deadLetterTopic, fixed, none, on, set } from '../runtime/index.ts'
import { saga } from '../saga/index.ts'
import { sqliteTables, tableView } from '../tables/index.ts'
import { Paid, Placed } from './app.test-support.ts'
import { type App, app, explain, service } from './index.ts'

const nothing = (): undefined => undefined

/** A handler of each kind. */
const everything: App = app('every', {
  services: [
    service('s', [
      on(Placed, { name: 'plain' }, nothing),
      on(Placed, { name: 'state', state: { initial: 0 }, retry: fixed({ delay: 5, max: 3 }) }, (_e, n) => set(n + 1)),
      on(Placed, { name: 'parking', retry: none, onDeadLetter: 'park-key', requires: 'exactly-once' }, nothing),
      on(Placed, { name: 'own-key', key: (e) => e.data.id, dedupe: { window: '1h' } }, nothing),
      on([Placed, Paid], { name: 'timers', state: { initial: 0 }, timers: { t: () => [] } }, nothing),
      tableView('table', {
        database: sqliteTables(new DatabaseSync(':memory:')),
        events: [Paid],
        on: { Paid: nothing },
      }),
      accountDecider(),
      createInvoice,
    ]),
  ],
  views: [
    view('keyed', { events: [Paid], key: (e) => e.data.id, initial: 0, on: { Paid: (n) => n + 1 } }),
    view('inline', {
      events: [Deposited],
      key: (e) => e.data.id,
      initial: 0,
      on: { Deposited: (n) => n + 1 },
      inline: true,
    }),
    view('idle', { events: [Paid], key: (e) => e.data.id, initial: 0, on: { Paid: (n) => n + 1 }, inline: true }),
  ],
  sagas: [saga('saga', { start: Paid, steps: {} }, () => Promise.resolve())],
})

const one = embedded({ path: 'one.db' })
const other = embedded({ path: 'other.db' })

function ground(over: Partial<Capabilities>): EngineSource {
  return { ...one, capabilities: { ...one.capabilities, ...over } }
}

/** Each capability that `explain` reasons about, given and not given. */
const grounds: readonly EngineSource[] = [
  one,
  embedded({ path: ':memory:' }),
  ground({ members: 'network', ownedState: true }),
  deployment({ topics: one, store: other }),
  deployment({ topics: ground({ atomic: [['topics'], ['progress']] }), store: other }),
  ground({ atomic: [['topics'], ['progress'], ['state', 'events']] }),
  ground({ keeps: ['topics', 'progress', 'state'], atomic: [['topics', 'progress', 'state']] }),
  ground({ keeps: ['topics', 'progress'], atomic: [['topics', 'progress']] }),
]

/** A sentence without the names and numbers of the case at hand. */
function claimOf(sentence: string): string {
  const named = sentence.replaceAll(/embedded(\+embedded)?/g, 'ENGINE').replaceAll(deadLetterTopic('every'), 'TOPIC')
  return named.replaceAll(/\b\d+(ms|s|m|h|d)?\b/g, 'N').trim()
}

/** All sentences that are said of the app on any ground, and of which handlers each is said. */
export function claimsOfAll(): ReadonlyMap<string, ReadonlySet<string>> {
  const claims = new Map<string, Set<string>>()
  const claim = (who: string, sentence: string): void => {
    const said = claimOf(sentence)
    claims.set(said, (claims.get(said) ?? new Set()).add(who))
  }
  for (const on of grounds) {
    const { durability, handlers, outside, refusals } = explain(everything, on)
    claim('app', `durability ${durability}`)
    claim('app', outside)
    for (const { code, problem } of refusals) claim('app', `${code}: ${problem}`)
    for (const one of handlers) {
      // What cannot run is promised nothing.
      if (one.refusedBy !== null && one.refusedBy !== 'GUARANTEE_MISSING') continue
      const sentences = [
        `delivery ${one.delivery}: ${one.deliveryBecause}`,
        `publications ${one.publications}: ${one.publicationsBecause}`,
        ...one.ordering.split(/(?<=\.) /),
        ...one.retry.split(/(?<=[;.]) /),
        one.deduplication,
        ...one.warnings,
      ]
      for (const sentence of sentences) claim(one.name, sentence)
    }
  }
  return claims
}
