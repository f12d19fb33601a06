import type { CommitOutcome, Engine, WriteBatch } from '../engine/index.ts'
import { type Clock, type Duration, durationMs, type OptionProblem, systemClock } from '../kernel/index.ts'
import { connectionProblems } from '../sql/index.ts'
import type { TopicOfTable } from './captured-table.ts'
import type { PublishChange } from './change-events.ts'
import { refuseOptions } from './errors.ts'
import type { CaptureConnection } from './pg-client.ts'

/** Which capture, in which database. */
export interface CapturePlace {
  /** URL, or settings of a `Client` of the package `pg`, of a user with the right REPLICATION. No pooler stands in between. */
  readonly connection: CaptureConnection
  /** Replication slot: 1 to 63 of the characters a-z, 0-9 and underscore. */
  readonly slot: string
  /** Publication, which says of which tables changes are captured. Default: the name of the slot. */
  readonly publication?: string
}

/** Options of {@link captureChanges}. */
export interface CaptureOptions extends CapturePlace {
  /** Where events go. It belongs to the caller, and is not closed. */
  readonly engine: Engine
  /** Topic of a table's events; it is created if it is not there. Default `<schema>.<table>`. */
  readonly topic?: string | TopicOfTable
  /**
   * What is published for a change of a row, instead of an event of its table: any number of messages, of types and to topics that
   * are the caller's, which have to be there. Called once or more for each change, in the order of the commits; what it answers
   * should be the same each time, ids included. Of truncated and altered tables nothing is published then.
   */
  readonly publish?: PublishChange
  /**
   * Makes the commits, in the place of `engine.commit`, whose answer it gives back: so that a caller's own state goes along with
   * what {@link CaptureOptions.publish} brought. It calls `engine.commit` before it waits for anything, so that commits keep their order.
   */
  readonly commit?: (batch: WriteBatch) => Promise<CommitOutcome>
  /** Whether rows that are there already are published too, as events `found`. Default true. */
  readonly snapshot?: boolean
  /** How often the server learns how far an idle capture is, and it is looked whether tables have left, 100 ms to 30 s. Default `'10s'`. */
  readonly heartbeat?: Duration
  /** `source` of the events. Default `/capture/<slot>`. */
  readonly source?: string
  /** Default: the system's. */
  readonly clock?: Clock
}

/** A capture with its names filled in. */
export interface ResolvedPlace {
  readonly connection: CaptureConnection
  readonly slot: string
  readonly publication: string
}

/** Options with every default filled in. */
export interface ResolvedCaptureOptions extends ResolvedPlace {
  readonly engine: Engine
  /** `undefined`: there are no events of tables. */
  readonly topicOf: TopicOfTable | undefined
  readonly publish: PublishChange | undefined
  readonly commit: (batch: WriteBatch) => Promise<CommitOutcome>
  readonly snapshot: boolean
  readonly heartbeatMs: number
  readonly source: string
  readonly clock: Clock
}

const others = ['engine', 'topic', 'publish', 'commit', 'snapshot', 'heartbeat', 'source', 'clock']
const placeOptions = ['connection', 'slot', 'publication']
const slotPattern = /^[a-z0-9_]{1,63}$/
const nameBytesMax = 63
const heartbeatMsMin = 100
const heartbeatMsMax = 30_000

/** @throws OptionsInvalidError naming every bad option */
export function resolveCaptureOptions(options: CaptureOptions): ResolvedCaptureOptions {
  const subject = 'captureChanges()'
  const problems = placeProblems(subject, options, others)
  const { engine, topic = plainTopic, snapshot = true, clock = systemClock } = options
  const { source = `/capture/${options.slot}`, publish, commit = (batch) => engine.commit(batch) } = options
  if (typeof engine?.commit !== 'function') problems.push({ option: 'engine', problem: 'is no open engine' })
  if (typeof topic !== 'string' && typeof topic !== 'function') {
    problems.push({ option: 'topic', problem: 'is neither a name nor a function' })
  }
  if (publish !== undefined && typeof publish !== 'function')
    problems.push({ option: 'publish', problem: 'is no function' })
  if (typeof commit !== 'function') problems.push({ option: 'commit', problem: 'is no function' })
  if (publish !== undefined && options.topic !== undefined) {
    problems.push({ option: 'topic', problem: 'is for events of tables, which publish replaces' })
  }
  if (typeof snapshot !== 'boolean') problems.push({ option: 'snapshot', problem: 'is neither true nor false' })
  if (typeof source !== 'string' || source === '') problems.push({ option: 'source', problem: 'is no text' })
  const heartbeatMs = heartbeatOf(options.heartbeat, problems)
  refuseOptions(subject, problems)
  const topicOf = typeof topic === 'string' ? () => topic : topic
  const ways = publish === undefined ? { topicOf, publish } : { topicOf: undefined, publish }
  return { ...placeOf(options), engine, ...ways, commit, snapshot, heartbeatMs, source, clock }
}

/** @throws OptionsInvalidError naming every bad option */
export function resolvePlace(subject: string, options: CapturePlace, others: readonly string[] = []): ResolvedPlace {
  refuseOptions(subject, placeProblems(subject, options, others))
  return placeOf(options)
}

function placeOf({ connection, slot, publication = slot }: CapturePlace): ResolvedPlace {
  return { connection, slot, publication }
}

function plainTopic({ schema, name }: { readonly schema: string; readonly name: string }): string {
  return `${schema}.${name}`
}

function placeProblems(subject: string, options: CapturePlace, others: readonly string[]): OptionProblem[] {
  if (typeof options !== 'object' || options === null) {
    refuseOptions(subject, [{ option: 'options', problem: 'is no object' }])
  }
  const problems: OptionProblem[] = Object.keys(options)
    .filter((option) => !placeOptions.includes(option) && !others.includes(option))
    .map((option) => ({ option, problem: 'is no option' }))
  const { connection, slot, publication } = options
  const isConnection =
    typeof connection === 'string' ? connection !== '' : typeof connection === 'object' && connection !== null
  if (!isConnection) problems.push({ option: 'connection', problem: 'is neither a URL nor an object of settings' })
  if (typeof connection === 'object' && connection !== null) problems.push(...connectionProblems(connection, 'allowed'))
  if (typeof slot !== 'string' || !slotPattern.test(slot)) {
    problems.push({ option: 'slot', problem: 'is no name of 1 to 63 of the characters a-z, 0-9 and underscore' })
  }
  if (publication !== undefined && !isName(publication))
    problems.push({ option: 'publication', problem: `is no name of 1 to ${nameBytesMax} bytes` })
  return problems
}

/** Whether PostgreSQL keeps it as it is. */
export function isName(name: unknown): name is string {
  if (typeof name !== 'string' || name === '' || !name.isWellFormed() || name.includes('\0')) return false
  return Buffer.byteLength(name) <= nameBytesMax
}

function heartbeatOf(heartbeat: Duration | undefined, problems: OptionProblem[]): number {
  const usualMs = 10_000
  if (heartbeat === undefined) return usualMs
  try {
    const ms = durationMs(heartbeat)
    if (ms >= heartbeatMsMin && ms <= heartbeatMsMax) return ms
    problems.push({ option: 'heartbeat', problem: `is not ${heartbeatMsMin} to ${heartbeatMsMax} ms` })
  } catch {
    problems.push({ option: 'heartbeat', problem: 'is no duration such as "10s"' })
  }
  return usualMs
}
