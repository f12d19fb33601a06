// Long because each sentence of `explain` stands here, with all cases that would break it.
import { readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { type TestCase, testCasesIn } from '../../scripts/test-cases.ts'
import { conformanceCases } from '../engine/conformance/index.ts'
import { claimsOfAll } from './explained-app.test-support.ts'

/** A case that fails if a claim does not hold: a file, the title of the case there, and its row if it has several. */
type BreakingCase = readonly [file: string, title: string, row?: string]

/** A case that every engine runs which declares what it is about. */
const conformance = 'conformance'

const killed: BreakingCase = ['src/app/crash.test.ts', 'loses nothing and does nothing twice']
const killedBank: BreakingCase = [
  'src/app/command-crash.test.ts',
  'keeps what it acknowledged, and no command takes effect twice',
]
const killedSagas: BreakingCase = [
  'src/app/saga-crash.test.ts',
  'end with all done or all undone in reverse order, with one key for each effect',
]
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
].map((row) => ['src/app/workers.server.test.ts', 'loses nothing on … and does nothing twice when $name', row])
const refusedCommits: BreakingCase = [
  'src/app/refusals.test.ts',
  'each message has its effects once, in the order of its key (seed %i)',
]
const weakGround: BreakingCase = [
  'src/app/weak-ground.test.ts',
  'handles again what a crash cut in two, and loses nothing',
]
const startAgrees = (row: string): BreakingCase => ['src/app/explain.test.ts', 'agree on app %s on ground: %s', row]

const plain = ['s.plain', 's.parking', 's.own-key']
const stateful = ['s.state', 'view keyed']
const timed = ['s.timers', 'saga saga']
const deciding = ['s.account', 's.create-invoice']
const inline = ['view inline', 'view idle']
const following = [...plain, ...stateful, ...timed, ...deciding]
const all = [...following, 's.table.v1', ...inline]
const byPartitionKey = ['s.plain', 's.state', 's.parking', 's.timers', 's.table.v1', ...deciding, 'saga saga']

interface Claim {
  readonly says: RegExp
  /** Of which handlers it is said, on whatever ground; of the app as a whole. */
  readonly of: readonly string[]
  readonly brokenBy: readonly BreakingCase[]
}

/** Each combination of what belongs together is said of the handlers that have it. */
const combinations = [
  { words: 'dead letters', of: plain, cases: [killed] },
  { words: 'state', of: stateful, cases: [killed] },
  { words: 'state, timers', of: timed, cases: [killedSagas] },
  { words: 'events, outcome, dead letters', of: deciding, cases: [killedBank] },
]

/** The last comma of a list that ends with it is an "and". */
const ended = (words: string): string => words.replace(/, ([^,]+)$/, ' and $1')

const oneCommit: readonly Claim[] = combinations.flatMap(({ words, of, cases }) => [
  {
    says: new RegExp(
      `^(delivery|publications) exactly-once: its progress, ${words} and what it publishes are one commit of ENGINE, whole or not at all$`,
    ),
    of,
    brokenBy: [...cases, ...chaos, refusedCommits],
  },
  {
    says: new RegExp(
      `^delivery exactly-once: its progress on ENGINE is kept in ENGINE, in one commit with its ${ended(words)}$`,
    ),
    of,
    brokenBy: [
      ...cases,
      ...chaos,
      [
        'src/bridge/bridged-groups.test.ts',
        'refuses the commits of an owner that was replaced, whatever the topics say',
      ],
    ],
  },
  {
    says: new RegExp(
      `^(delivery|publications) at-least-once: ENGINE does not commit its ${ended(`progress, ${words}`)} together: after a crash a message may be handled again$`,
    ),
    of,
    brokenBy: [weakGround],
  },
])

/** What `explain` may say, and what would break it. */
const claims: readonly Claim[] = [
  ...oneCommit,
  {
    says: /^durability synced$/,
    of: ['app'],
    brokenBy: [
      ['src/embedded/embedded.crash.test.ts', 'loses, doubles and invents nothing over … kills under load'],
      killed,
    ],
  },
  {
    says: /^durability memory$/,
    of: ['app'],
    brokenBy: [['src/app/weak-ground.test.ts', 'forgets what was acknowledged when it is closed']],
  },
  {
    says: /^Everything is kept in memory: what was acknowledged is gone with the process\.$/,
    of: all,
    brokenBy: [['src/app/weak-ground.test.ts', 'forgets what was acknowledged when it is closed']],
  },
  {
    says: /^Calls to the outside world belong to no commit: they are made again whenever a handler is run again, after a failed attempt and after a crash\. Hand ctx\.key on to them, which stays the same\.$/,
    of: ['app'],
    brokenBy: [
      ['src/app/outside-calls.test.ts', 'are made again with the attempt, and their effects are not'],
      [
        'src/app/outside-calls.test.ts',
        'is the same for each attempt, and another for a message of the same id from another source',
      ],
      killedSagas,
    ],
  },
  {
    says: /^ENGINE_LACKS: The app cannot run on ENGINE, which does not keep what it needs: (state for every app, )?timers for s\.timers, timers for saga saga\.$/,
    of: ['app'],
    brokenBy: [
      startAgrees('without timers'),
      startAgrees('Kafka without state'),
      ['src/app/kafka-alone.server.test.ts', 'does not start with timers, and says what it lacks'],
    ],
  },
  {
    says: /^STORE_MISSING: s\.account, s\.create-invoice, view inline, view idle cannot run on ENGINE: it does not keep an event store that it commits together with state\.$/,
    of: ['app'],
    brokenBy: [startAgrees('Kafka with state'), startAgrees('an event store apart')],
  },
  {
    says: /^GUARANTEE_MISSING: On ENGINE these handlers would not be exactly-once, as they require: s\.parking \((they stand in that commit too|ENGINE does not commit its progress and dead letters together).+\)\.$/,
    of: ['app'],
    brokenBy: [
      startAgrees('progress apart'),
      ['src/app/explain.test.ts', 'keeps an app from starting where that is not given, and names all handlers'],
    ],
  },
  {
    says: /^publications exactly-once: they stand in that commit too, in an outbox, and a relay brings them to ENGINE in one commit with how far it is$/,
    of: following,
    brokenBy: [
      killed,
      ...chaos,
      ['src/bridge/outbox.test.ts', 'repeats nothing when the relay dies between arriving and clearing up'],
      ['src/bridge/outbox.test.ts', 'repeats nothing either when the last mark of the relay before cannot be seen yet'],
    ],
  },
  {
    says: /^publications at-least-once: they stand in that commit too, in an outbox, but ENGINE cannot keep how far the relay is in one commit with them: after a crash some come again, under the same ids$/,
    of: following,
    brokenBy: [
      ['src/bridge/outbox.test.ts', 'repeats under the same ids what it could not note, in order, and loses nothing'],
    ],
  },
  {
    says: /^publications exactly-once: it publishes nothing$/,
    of: ['s.table.v1', ...inline],
    brokenBy: [
      ['src/app/table-views.test.ts', 'applies each event exactly once'],
      ['src/app/inline-views.test.ts', 'show what was asked as soon as it is answered'],
    ],
  },
  {
    says: /^delivery exactly-once: its statements and the note that a message was applied are one transaction of the SQLite database, so a message that comes again after a crash does nothing$/,
    of: ['s.table.v1'],
    brokenBy: [
      ['src/app/table-views.test.ts', 'applies each event exactly once'],
      ['src/app/table-views.server.test.ts', 'applies each event once though its connections are cut all the time'],
    ],
  },
  {
    says: /^A message id is applied once: the SQLite database notes it for N at least\.$/,
    of: ['s.table.v1'],
    brokenBy: [
      ['src/app/table-views.test.ts', 'takes an event that comes again for the one that it is'],
      [
        'src/app/table-views.test.ts',
        'forgets what it applied long ago, not what it applied lately, nor what another view did',
      ],
    ],
  },
  {
    says: /^delivery exactly-once: it is changed in the commits of s\.account$/,
    of: ['view inline'],
    brokenBy: [
      ['src/app/inline-views.test.ts', 'show what was asked as soon as it is answered'],
      ['src/app/inline-views.test.ts', 'fail a command that they cannot take in, and nothing else'],
      killedBank,
    ],
  },
  {
    says: /^delivery exactly-once: it is changed in the commits of no decider of this app|No decider of this app appends its events, so it stays as it is\.$/,
    of: ['view idle'],
    brokenBy: [['src/app/inline-views.test.ts', 'take nothing of what is published']],
  },
  {
    says: /^In the order in which the events are appended: whoever gets the outcome of a command reads what it changed\.$/,
    of: inline,
    brokenBy: [['src/app/inline-views.test.ts', 'show what was asked as soon as it is answered']],
  },
  {
    says: /^An event that it cannot take fails its command\.$/,
    of: inline,
    brokenBy: [['src/app/inline-views.test.ts', 'fail a command that they cannot take in, and nothing else']],
  },
  {
    says: /^An event changes it once: in the commit that appends it\.$/,
    of: inline,
    brokenBy: [
      [
        'src/app/inline-views.test.ts',
        'stay exact when all streams change one key, by asks, sends and closed books of two starts, as of two processes',
      ],
    ],
  },
  {
    says: /^Messages of one partition key one after the other, each finished before the next begins; of different keys side by side, at most N at once\.$/,
    of: byPartitionKey,
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
    says: /^Messages of one key of its own one after the other, each finished before the next begins; of different keys side by side, at most N at once\.$/,
    of: ['s.own-key', 'view keyed'],
    brokenBy: [
      ['src/app/parking.test.ts', 'is parked wherever its messages come from, and goes on wherever it goes'],
      ['src/app/rebalance.test.ts', 'count right although their keys lie on several partitions'],
    ],
  },
  {
    says: /^Events are appended only if its stream is as it was read; else the command is decided anew\.$/,
    of: ['s.account'],
    brokenBy: [
      ['src/app/commands.test.ts', 'does not reject by what a cache still believes'],
      ['src/app/commands.test.ts', 'holds across two starts of the app, each with a cache of its own'],
    ],
  },
  {
    says: /^Events are appended only if nothing that it read has changed; else the command is decided anew\.$/,
    of: ['s.create-invoice'],
    brokenBy: [['src/app/boundaries.test.ts', 'hold when everybody comes at once, from two starts of the app']],
  },
  {
    says: /^The outcome of a command is remembered by its id for N at least: the same command again has the same outcome and no effect\.$/,
    of: deciding,
    brokenBy: [
      ['src/app/commands.test.ts', 'has the same outcome and no effect'],
      [
        'src/app/commands.test.ts',
        'is forgotten after a while, takes effect again then, and what was remembered is cleared',
      ],
      ['src/app/boundaries.test.ts', 'repeat their outcome for the same command'],
    ],
  },
  {
    says: /^Retries: never;$/,
    of: ['s.parking', 'view keyed'],
    brokenBy: [['src/runtime/retry-policy.test.ts', 'none gives up at once']],
  },
  {
    says: /^Retries: up to N attempts, N apart;$/,
    of: ['s.state'],
    brokenBy: [['src/runtime/retry-policy.test.ts', 'fixed waits the same time between attempts']],
  },
  {
    says: /^Retries: up to N attempts, from N up to N apart;$/,
    of: ['s.plain', 's.own-key', 's.timers', ...deciding],
    brokenBy: [['src/runtime/retry-policy.test.ts', 'exponential waits longer each time, up to a bound']],
  },
  {
    says: /^Retries: by error;|otherwise up to N attempts, from N up to N apart;$/,
    of: ['s.table.v1', 'saga saga'],
    brokenBy: [
      ['src/app/isolation.test.ts', 'stop after the attempts of their policy, which may differ by error'],
      ['src/app/table-views.test.ts', 'does not count attempts at a database that cannot against an event'],
    ],
  },
  {
    says: /^an attempt takes at most N\.$/,
    of: [...following, 's.table.v1'],
    brokenBy: [['src/app/isolation.test.ts', 'follow an attempt that takes too long, whose signal aborts']],
  },
  {
    says: /^Then the message goes to TOPIC, and later messages of its key go on\.$/,
    of: ['s.plain', 's.state', 's.own-key', 's.timers', ...deciding, 'saga saga'],
    brokenBy: [
      ['src/app/dead-letters.test.ts', 'tell what failed, where and why'],
      ['src/app/dead-letters.test.ts', 'let later messages of the key go on, if so wanted'],
    ],
  },
  {
    says: /^Then the message goes to TOPIC, and later messages of its key wait behind it\.$/,
    of: ['s.parking', 's.table.v1', 'view keyed'],
    brokenBy: [
      killed,
      ...chaos,
      ['src/app/dead-letters.test.ts', 'hold later messages of the key back, in order, until they are redriven'],
    ],
  },
  {
    says: /^A message that its source publishes twice is handled twice: ids are not remembered\.$/,
    of: ['s.plain', 's.state', 's.parking', 's.timers', 'view keyed'],
    brokenBy: [
      ['src/app/lifecycle.test.ts', 'handles a message as often as it is published, where ids are not remembered'],
    ],
  },
  {
    says: /^A start whose key has an instance already changes nothing, for as long as that is kept; a signal that its source publishes twice counts twice: ids are not remembered\.$/,
    of: ['saga saga'],
    brokenBy: [
      ['src/app/sagas.test.ts', 'is started once by a start that comes twice, and told twice by such a signal'],
    ],
  },
  {
    says: /^A message id is handled once within N at least\.$/,
    of: ['s.own-key'],
    brokenBy: [
      [
        'src/app/lifecycle.test.ts',
        'handles a message id once within its window, also after a restart, and again long after',
      ],
      ['src/app/deduplication.test.ts', 'has its effects once: %s', 'the first in one window, the second in the next'],
    ],
  },
  {
    says: /^State lives with the partition by which its key comes: if a topic gets more partitions, keys that move begin there without it\.$/,
    of: ['s.state'],
    brokenBy: [
      [
        'src/runtime/state-cache.test.ts',
        'keeps the states of a key apart that comes from two partitions, where each has one',
      ],
      [conformance, 'owned state: it moves with the claim, and a commit under the old claim changes nothing'],
    ],
  },
  {
    says: /^Its key is not the partition key, so one process at a time works on all its partitions, and the others stand by: it does not get faster with more of them\.$/,
    of: ['s.own-key', 'view keyed'],
    brokenBy: [
      [conformance, 'together: one member gets all partitions; when it leaves, another one gets them and goes on'],
    ],
  },
  {
    says: /^Its timers belong to keys of several topics, so one process at a time works on all its partitions, and the others stand by: it does not get faster with more of them\.$/,
    of: timed,
    brokenBy: [
      [conformance, 'together: one member gets all partitions; when it leaves, another one gets them and goes on'],
    ],
  },
]

/** The cases of a file, or of all that each engine is asked that declares what they are about. */
function casesOf(file: string): readonly TestCase[] {
  if (file !== conformance) return testCasesIn(readFileSync(new URL(`../../${file}`, import.meta.url), 'utf8'))
  return conformanceCases.map(({ name }) => ({ title: name, rows: new Set(), skippedBy: null }))
}

describe('what explain claims', () => {
  const said = claimsOfAll()

  it.each([...said.keys()])('has a case that would break it: %s', (claim) => {
    expect(claims.filter(({ says }) => says.test(claim))).toHaveLength(1)
  })

  it.each(claims)('is said of whom it holds: $says', ({ says, of, brokenBy }) => {
    const found = [...said].flatMap(([claim, handlers]) => (says.test(claim) ? [...handlers] : []))
    expect([...new Set(found)].toSorted()).toEqual([...of].toSorted())
    expect(brokenBy.length).toBeGreaterThan(0)
  })

  const named = new Map(claims.flatMap(({ brokenBy }) => brokenBy.map((one) => [one.join(': '), one] as const)))
  it.each([...named])('names a case that runs: %s', (_name, [file, title, row]) => {
    const found = casesOf(file).filter((one) => one.title === title && (row === undefined || one.rows.has(row)))
    expect(found.length).toBeGreaterThan(0)
    expect(found.filter(({ skippedBy }) => skippedBy !== null)).toEqual([])
  })
})
