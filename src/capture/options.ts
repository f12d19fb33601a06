import type { Engine } from '../engine/index.ts'
import { type Clock, type Duration, durationMs, type OptionProblem, systemClock } from '../kernel/index.ts'
import type { TopicOfTable } from './captured-table.ts'
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
  /** Whether rows that are there already are published too, as events `found`. Default true. */
  readonly snapshot?: boolean
  /** How often the server learns how far an idle capture is, 100 ms to 30 s. Default `'10s'`. */
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
  readonly topicOf: TopicOfTable
  readonly snapshot: boolean
  readonly heartbeatMs: number
  readonly source: string
  readonly clock: Clock
}

const placeOptions = ['connection', 'slot', 'publication']
const slotPattern = /^[a-z0-9_]{1,63}$/
const nameBytesMax = 63
const heartbeatMsMin = 100
const heartbeatMsMax = 30_000

/** @throws OptionsInvalidError naming every bad option */
export function resolveCaptureOptions(options: CaptureOptions): ResolvedCaptureOptions {
  const subject = 'captureChanges()'
  const problems = placeProblems(subject, options, ['engine', 'topic', 'snapshot', 'heartbeat', 'source', 'clock'])
  const { engine, topic = plainTopic, snapshot = true, clock = systemClock } = options
  const { source = `/capture/${options.slot}` } = options
  if (typeof engine?.commit !== 'function') problems.push({ option: 'engine', problem: 'is no open engine' })
  if (typeof topic !== 'string' && typeof topic !== 'function') {
    problems.push({ option: 'topic', problem: 'is neither a name nor a function' })
  }
  if (typeof snapshot !== 'boolean') problems.push({ option: 'snapshot', problem: 'is neither true nor false' })
  if (typeof source !== 'string' || source === '') problems.push({ option: 'source', problem: 'is no text' })
  const heartbeatMs = heartbeatOf(options.heartbeat, problems)
  refuseOptions(subject, problems)
  const topicOf = typeof topic === 'string' ? () => topic : topic
  return { ...placeOf(options), engine, topicOf, snapshot, heartbeatMs, source, clock }
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
