import { existsSync, readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { deployment } from '../bridge/index.ts'
import { view } from '../domain/index.ts'
import { embedded } from '../embedded/index.ts'
import type { Capabilities, EngineSource } from '../engine/index.ts'
import { deadLetterTopic, fixed, none, on, set } from '../runtime/index.ts'
import { Paid, Placed } from './app.test-support.ts'
import { app, explain, service } from './index.ts'

/** A case that fails if a claim does not hold: a file, and words of the name of the case or of its row there. */
type BreakingCase = readonly [file: string, title: string]

const killed: BreakingCase = ['src/app/crash.test.ts', 'loses nothing and does nothing twice']
const chaos: readonly BreakingCase[] = [
  'processes are killed, and stopped for longer than a session',
  'the broker is killed and started',
  'the broker does not answer for longer than a session',
  'the database is killed and started',
  'the database does not answer for longer than a session',
  'connections are cut again and again',
  'answers take their time, more and less',
  'connections stay open and nothing comes through any more',
  'members join and leave all the time',
  'there are records that nobody can read',
].map((title) => ['src/app/workers.server.test.ts', title])

/** What `explain` may say, and what would break it. */
const claims: readonly { readonly says: RegExp; readonly brokenBy: readonly BreakingCase[] }[] = [
  {
    says: /^durability synced$/,
    brokenBy: [['src/embedded/embedded.crash.test.ts', 'loses, doubles and invents nothing over'], killed],
  },
  {
    says: /^durability memory$|^Everything is kept in memory/,
    brokenBy: [['src/app/weak-ground.test.ts', 'forgets what was acknowledged when it is closed']],
  },
  {
    says: /^(delivery|publications) exactly-once: its progress, .+ and what it publishes are one commit of ENGINE/,
    brokenBy: [
      killed,
      ...chaos,
      ['src/app/refusals.test.ts', 'each message has its effects once, in the order of its key'],
    ],
  },
  {
    says: /^delivery exactly-once: its progress on ENGINE is kept in ENGINE, in one commit with its/,
    brokenBy: [
      killed,
      ...chaos,
      [
        'src/bridge/bridged-groups.test.ts',
        'refuses the commits of an owner that was replaced, whatever the topics say',
      ],
    ],
  },
  {
    says: /^publications exactly-once: they stand in that commit too, in an outbox, and a relay brings them/,
    brokenBy: [
      killed,
      ...chaos,
      ['src/bridge/outbox.test.ts', 'repeats nothing when the relay dies between arriving and clearing up'],
      ['src/bridge/outbox.test.ts', 'repeats nothing either when the last mark of the relay before cannot be seen yet'],
    ],
  },
  {
    says: /^publications at-least-once: they stand .+ after a crash some come again, under the same ids$/,
    brokenBy: [
      ['src/bridge/outbox.test.ts', 'repeats under the same ids what it could not note, in order, and loses nothing'],
    ],
  },
  {
    says: /^(delivery|publications) at-least-once: ENGINE does not commit progress and .+ a message may be handled again$/,
    brokenBy: [['src/app/weak-ground.test.ts', 'handles again what a crash cut in two, and loses nothing']],
  },
  {
    says: /^Messages of one partition key one after the other, .+ side by side, at most N at once\.$/,
    brokenBy: [
      killed,
      ...chaos,
      ['src/app/redelivery.test.ts', 'keeps the next one of its key from being begun, and nothing else'],
      [
        'src/app/exactly-once.test.ts',
        'keeps the order of a key with asynchronous handlers, and runs keys side by side',
      ],
    ],
  },
  {
    says: /^Messages of one key of its own one after the other/,
    brokenBy: [
      ['src/app/parking.test.ts', 'is parked wherever its messages come from, and goes on wherever it goes'],
      ['src/app/rebalance.test.ts', 'count right although their keys lie on several partitions'],
    ],
  },
  {
    says: /^Retries: (never|up to N attempts, N ms apart|up to N attempts, from N ms up to N ms apart);$/,
    brokenBy: [
      ['src/app/isolation.test.ts', 'stop after the attempts of their policy, which may differ by error'],
      ['src/runtime/retry-policy.test.ts', 'fixed waits the same time between attempts'],
      ['src/runtime/retry-policy.test.ts', 'exponential waits longer each time, up to a bound'],
      ['src/runtime/retry-policy.test.ts', 'none gives up at once'],
    ],
  },
  {
    says: /^an attempt takes at most N ms\.$/,
    brokenBy: [['src/app/isolation.test.ts', 'follow an attempt that takes too long, whose signal aborts']],
  },
  {
    says: /^Then the message goes to TOPIC, and later messages of its key go on\.$/,
    brokenBy: [
      ['src/app/dead-letters.test.ts', 'tell what failed, where and why'],
      ['src/app/dead-letters.test.ts', 'let later messages of the key go on, if so wanted'],
    ],
  },
  {
    says: /^Then the message goes to TOPIC, and later messages of its key wait behind it\.$/,
    brokenBy: [
      killed,
      ...chaos,
      ['src/app/dead-letters.test.ts', 'hold later messages of the key back, in order, until they are redriven'],
    ],
  },
  {
    says: /^A message that its source publishes twice is handled twice/,
    brokenBy: [
      ['src/app/lifecycle.test.ts', 'handles a message as often as it is published, where ids are not remembered'],
    ],
  },
  {
    says: /^A message id is handled once within N ms at least\.$/,
    brokenBy: [
      [
        'src/app/lifecycle.test.ts',
        'handles a message id once within its window, also after a restart, and again long after',
      ],
      ['src/app/deduplication.test.ts', 'a message that two members handle at the border of two windows'],
    ],
  },
  {
    says: /^It requires exactly-once, which this ground does not give: the app will not start\.$/,
    brokenBy: [
      ['src/app/explain.test.ts', 'keeps an app from starting where that is not given, and names all handlers'],
    ],
  },
  {
    says: /so one process at a time works on all its partitions, and the others stand by/,
    brokenBy: [
      [
        'src/engine/conformance/together-cases.ts',
        'together: one member gets all partitions; when it leaves, another one gets them and goes on',
      ],
    ],
  },
]

const one = embedded({ path: 'one.db' })
const other = embedded({ path: 'other.db' })

function ground(over: Partial<Capabilities>): EngineSource {
  return { ...one, capabilities: { ...one.capabilities, ...over } }
}

const grounds: readonly EngineSource[] = [
  one,
  embedded({ path: ':memory:' }),
  ground({ members: 'network' }),
  deployment({ topics: one, store: other }),
  deployment({ topics: ground({ atomic: [['topics'], ['progress']] }), store: other }),
  ground({ atomic: [['topics'], ['progress'], ['state']] }),
]

const nothing = (): undefined => undefined
const everything = app('every', {
  services: [
    service('s', [
      on(Placed, { name: 'plain' }, nothing),
      on(Placed, { name: 'state', state: { initial: 0 }, retry: fixed({ delay: 5, max: 3 }) }, (_e, n) => set(n + 1)),
      on(Placed, { name: 'parking', retry: none, onDeadLetter: 'park-key', requires: 'exactly-once' }, nothing),
      on(Placed, { name: 'own-key', key: (e) => e.data.id, dedupe: { window: '1h' } }, nothing),
      on([Placed, Paid], { name: 'timers', state: { initial: 0 }, timers: { t: () => [] } }, nothing),
    ]),
  ],
  views: [view('v', { events: [Paid], key: (e) => e.data.id, initial: 0, on: { Paid: (n) => n + 1 } })],
})

/** A sentence without the names and numbers of the case at hand. */
function claimOf(sentence: string): string {
  const named = sentence.replaceAll(/embedded/g, 'ENGINE').replaceAll(deadLetterTopic('every'), 'TOPIC')
  return named.replaceAll(/\d+/g, 'N').trim()
}

/** All that is claimed of the app on one ground. */
function claimsOn(on: EngineSource): readonly string[] {
  const { durability, handlers } = explain(everything, on)
  return [
    `durability ${durability}`,
    ...handlers.flatMap((one) => [
      `delivery ${one.delivery}: ${one.deliveryBecause}`,
      `publications ${one.publications}: ${one.publicationsBecause}`,
      one.ordering,
      ...one.retry.split(/(?<=[;.]) /),
      one.deduplication,
      ...one.warnings,
    ]),
  ].map(claimOf)
}

describe('what explain claims', () => {
  const said = [...new Set(grounds.flatMap(claimsOn))]

  it.each(said)('has a case that would break it: %s', (claim) => {
    expect(claims.filter(({ says }) => says.test(claim))).toHaveLength(1)
  })

  it.each(claims)('is all that cases are named for: $says', ({ says, brokenBy }) => {
    expect(said.some((claim) => says.test(claim))).toBe(true)
    expect(brokenBy.length).toBeGreaterThan(0)
  })

  it.each([...new Map(claims.flatMap(({ brokenBy }) => brokenBy.map((one) => [one.join(': '), one])))])(
    'names a case that there is: %s',
    (_name, [file, title]) => {
      const path = new URL(`../../${file}`, import.meta.url)
      expect(existsSync(path)).toBe(true)
      expect(readFileSync(path, 'utf8')).toContain(title)
    },
  )
})
