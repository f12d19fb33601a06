import type { CaptureConnection } from '../capture/index.ts'
import type { Engine } from '../engine/index.ts'
import { type Clock, type Duration, durationMs, type OptionProblem, systemClock } from '../kernel/index.ts'
import { objectProblems, refuseOptions } from './errors.ts'
import { usualOutbox } from './outbox-table.ts'
import type { RelayPool } from './relay-pool.ts'
import { type TableName, type TableOptions, tableName } from './table-name.ts'

/** Options of {@link relayOutbox}. */
export interface RelayOptions extends TableOptions {
  /** A pool of the package `pg`. The relay takes one connection of it, and keeps it. */
  readonly pool: RelayPool
  /** Where messages go. It belongs to the caller, and is not closed. */
  readonly engine: Engine
  /**
   * How long rows stay that were published, marked with the time, before they are deleted. Default: they are deleted at once.
   */
  readonly keep?: Duration
  /** How often an empty outbox is looked at, 1 ms to 1 h. Default `'200ms'`. */
  readonly poll?: Duration
  /** Rows of one commit, 1 to 10,000. Default 1,000. */
  readonly batchRowsMax?: number
  /** Whether topics that are not there are created, with the engine's defaults; else their rows wait, and those of other topics go on. Default true. */
  readonly createTopics?: boolean
  /** Default: the system's. */
  readonly clock?: Clock
}

/** Options of {@link relayOutboxLog}. */
export interface LogRelayOptions extends Omit<RelayOptions, 'poll' | 'batchRowsMax'> {
  /** The same database, for a connection that replicates: see `captureChanges()` of `millrace/capture`. */
  readonly connection: CaptureConnection
  /** Replication slot, whose publication has the outbox and no other table: see `createCapture()`. */
  readonly slot: string
}

/** Options with every default filled in. */
export interface ResolvedRelayOptions {
  readonly name: TableName
  readonly pool: RelayPool
  readonly engine: Engine
  readonly keepMs: number | undefined
  readonly pollMs: number
  readonly batchRowsMax: number
  readonly createTopics: boolean
  readonly clock: Clock
}

/** See {@link LogRelayOptions}. */
export interface ResolvedLogRelayOptions extends ResolvedRelayOptions {
  readonly connection: CaptureConnection
  readonly slot: string
}

const known: ReadonlySet<string> = new Set([
  'schema',
  'table',
  'pool',
  'engine',
  'keep',
  'poll',
  'batchRowsMax',
  'createTopics',
  'clock',
])
const pollMsMax = 3_600_000
const keepMsMax = 10 * 365 * 24 * 3_600_000
const batchRowsMost = 10_000

/** @throws OptionsInvalidError naming every bad option. Connection and slot are left to the capture. */
export function resolveLogRelayOptions(given: LogRelayOptions): ResolvedLogRelayOptions {
  const subject = 'relayOutboxLog()'
  refuseOptions(subject, objectProblems(given))
  const { connection, slot, ...options } = given
  const ofPolling = ['poll', 'batchRowsMax'].filter((option) => Object.hasOwn(options, option))
  refuseOptions(
    subject,
    ofPolling.map((option) => ({ option, problem: 'is no option' })),
  )
  return { ...resolveRelayOptions(options, subject), connection, slot }
}

/** @throws OptionsInvalidError naming every bad option */
export function resolveRelayOptions(options: RelayOptions, subject = 'relayOutbox()'): ResolvedRelayOptions {
  refuseOptions(subject, objectProblems(options))
  const problems: OptionProblem[] = Object.keys(options)
    .filter((option) => !known.has(option))
    .map((option) => ({ option, problem: 'is no option' }))
  const { pool, engine, createTopics = true, batchRowsMax = 1_000, clock = systemClock } = options
  if (typeof pool?.connect !== 'function') problems.push({ option: 'pool', problem: 'is no pool of the package pg' })
  if (typeof engine?.commit !== 'function') problems.push({ option: 'engine', problem: 'is no open engine' })
  if (typeof createTopics !== 'boolean') problems.push({ option: 'createTopics', problem: 'is neither true nor false' })
  if (!Number.isInteger(batchRowsMax) || batchRowsMax < 1 || batchRowsMax > batchRowsMost) {
    problems.push({ option: 'batchRowsMax', problem: `is no whole number from 1 to ${batchRowsMost}` })
  }
  const duration = (option: 'keep' | 'poll', minMs: number, maxMs: number, usualMs: number): number => {
    const value = options[option]
    if (value === undefined) return usualMs
    try {
      const ms = durationMs(value)
      if (ms >= minMs && ms <= maxMs) return ms
      problems.push({ option, problem: `is not ${minMs} to ${maxMs} ms` })
    } catch {
      problems.push({ option, problem: 'is no duration such as "15m"' })
    }
    return usualMs
  }
  const pollMs = duration('poll', 1, pollMsMax, 200)
  const keepMs = options.keep === undefined ? undefined : duration('keep', 0, keepMsMax, 0)
  refuseOptions(subject, problems)
  const name = tableName(subject, options, usualOutbox)
  return { name, pool, engine, keepMs, pollMs, batchRowsMax, createTopics, clock }
}
