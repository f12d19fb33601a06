/** A case that fails if a claim does not hold: a file, the title of the case there, and its row if it has several. */
export type BreakingCase = readonly [file: string, title: string, row?: string]

/** A case that every engine runs which declares what it is about. */
export const conformance = 'conformance'

export const killed: BreakingCase = ['src/app/crash.test.ts', 'loses nothing and does nothing twice']
export const killedBank: BreakingCase = [
  'src/app/command-crash.test.ts',
  'keeps what it acknowledged, and no command takes effect twice',
]
export const killedSagas: BreakingCase = [
  'src/app/saga-crash.test.ts',
  'end with all done or all undone in reverse order, with one key for each effect',
]
export const chaos: readonly BreakingCase[] = [
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
].map((row) => [
  'src/app/workers-on-ground.test-support.ts',
  'loses nothing on … and does nothing twice when $name',
  row,
])
export const refusedCommits: BreakingCase = [
  'src/app/refusals.test.ts',
  'each message has its effects once, in the order of its key (seed %i)',
]
export const weakGround: BreakingCase = [
  'src/app/weak-ground.test.ts',
  'handles again what a crash cut in two, and loses nothing',
]
export const startAgrees = (row: string): BreakingCase => [
  'src/app/explain.test.ts',
  'agree on app %s on ground: %s',
  row,
]

// Handlers of the app that is explained, by what is said of them.
export const plain: readonly string[] = ['s.plain', 's.parking', 's.own-key']
export const stateful: readonly string[] = ['s.state', 'view keyed']
export const timed: readonly string[] = ['s.timers', 'saga saga']
export const deciding: readonly string[] = ['s.account', 's.create-invoice']
export const inline: readonly string[] = ['view inline', 'view idle']
export const following: readonly string[] = [...plain, ...stateful, ...timed, ...deciding]
export const all: readonly string[] = [...following, 's.table.v1', ...inline]
export const byPartitionKey: readonly string[] = [
  's.plain',
  's.state',
  's.parking',
  's.timers',
  's.table.v1',
  ...deciding,
  'saga saga',
]

export interface Claim {
  readonly says: RegExp
  /** Of which handlers it is said, on whatever ground; of the app as a whole. */
  readonly of: readonly string[]
  readonly brokenBy: readonly BreakingCase[]
}
