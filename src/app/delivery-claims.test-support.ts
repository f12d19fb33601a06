import {
  all,
  type Claim,
  chaos,
  deciding,
  following,
  inline,
  killed,
  killedBank,
  killedSagas,
  plain,
  refusedCommits,
  startAgrees,
  stateful,
  timed,
  weakGround,
} from './claim.test-support.ts'

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

/** What `explain` may say of how often messages take effect and what is kept, and what would break it. */
export const deliveryClaims: readonly Claim[] = [
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
      ['src/app/inline-views-cases.test-support.ts', 'show what was asked as soon as it is answered'],
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
      ['src/app/inline-views-cases.test-support.ts', 'show what was asked as soon as it is answered'],
      ['src/app/inline-views-cases.test-support.ts', 'fail a command that they cannot take in, and nothing else'],
      killedBank,
    ],
  },
  {
    says: /^delivery exactly-once: it is changed in the commits of no decider of this app|No decider of this app appends its events, so it stays as it is\.$/,
    of: ['view idle'],
    brokenBy: [['src/app/inline-views-cases.test-support.ts', 'take nothing of what is published']],
  },
  {
    says: /^Events that handlers append by themselves do not change it: a handler that sends a command to a decider does\.$/,
    of: inline,
    brokenBy: [
      [
        'src/app/inline-counting-cases.test-support.ts',
        'counts what its app decided, and neither events of other apps nor those that handlers append',
      ],
    ],
  },
  {
    says: /^In the order in which the events are appended: whoever gets the outcome of a command reads what it changed\.$/,
    of: inline,
    brokenBy: [['src/app/inline-views-cases.test-support.ts', 'show what was asked as soon as it is answered']],
  },
  {
    says: /^An event that it cannot take fails its command\.$/,
    of: inline,
    brokenBy: [
      ['src/app/inline-views-cases.test-support.ts', 'fail a command that they cannot take in, and nothing else'],
    ],
  },
  {
    says: /^An event changes it once: in the commit that appends it\.$/,
    of: inline,
    brokenBy: [
      [
        'src/app/inline-views-cases.test-support.ts',
        'stay exact when all streams change one key, by asks, sends and closed books of two starts, as of two processes',
      ],
    ],
  },
]
