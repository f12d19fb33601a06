import {
  byPartitionKey,
  type Claim,
  chaos,
  conformance,
  deciding,
  following,
  killed,
  timed,
} from './claim.test-support.ts'

/** What `explain` may say of the order in which messages are handled, of attempts and of repetitions, and what would break it. */
export const handlingClaims: readonly Claim[] = [
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
      ['src/app/commands-cases.test-support.ts', 'does not reject by what a cache still believes'],
      ['src/app/commands-cases.test-support.ts', 'holds across two starts of the app, each with a cache of its own'],
    ],
  },
  {
    says: /^Events are appended only if nothing that it read has changed; else the command is decided anew\.$/,
    of: ['s.create-invoice'],
    brokenBy: [
      ['src/app/boundaries-cases.test-support.ts', 'hold when everybody comes at once, from two starts of the app'],
    ],
  },
  {
    says: /^The outcome of a command is remembered by its id for N at least: the same command again has the same outcome and no effect\.$/,
    of: deciding,
    brokenBy: [
      ['src/app/commands-cases.test-support.ts', 'has the same outcome and no effect'],
      [
        'src/app/commands-cases.test-support.ts',
        'is forgotten after a while, takes effect again then, and what was remembered is cleared',
      ],
      ['src/app/boundaries-cases.test-support.ts', 'repeat their outcome for the same command'],
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
      [
        'src/app/sagas-cases.test-support.ts',
        'is started once by a start that comes twice, and told twice by such a signal',
      ],
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
