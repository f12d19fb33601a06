import type { Json } from '../kernel/index.ts'
import type { ProcessState, ProcessStatus } from './process-state.ts'

/** One process of a choreography, as it was committed last. */
export interface ProcessInstance {
  readonly choreography: string
  readonly key: string
  readonly status: ProcessStatus
  /** Data of the last event of each type that has come. */
  readonly seen: Readonly<Record<string, Json>>
  /** When the first event of each type came, in milliseconds since 1970. */
  readonly cameMs: Readonly<Record<string, number>>
  /** Names of the rules that have applied. */
  readonly applied: readonly string[]
  /** Types of events that wait: for the beginning, or until the end is forgotten. */
  readonly waiting: readonly string[]
  /** How it ended. */
  readonly outcome: string | null
  /** When it began; of one that is expected, since when events wait for it. In milliseconds since 1970. */
  readonly startedMs: number
  readonly endedMs: number | null
  /** When a time makes a difference next (a time-out, the end of what is kept), in milliseconds since 1970. */
  readonly dueMs: number | null
}

/** What the state of a process tells to those who look. */
export function processInstanceOf(choreography: string, key: string, state: ProcessState): ProcessInstance {
  const { status, seen, cameMs, applied, held, outcome, startedMs, changedMs, lookMs } = state
  return {
    choreography,
    key,
    status,
    seen,
    cameMs,
    applied,
    waiting: held.map(({ type }) => type),
    outcome,
    startedMs,
    endedMs: status === 'ended' ? changedMs : null,
    dueMs: lookMs ?? null,
  }
}
