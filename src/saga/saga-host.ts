import type { CommandOutcome } from '../domain/index.ts'
import type { Clock, Random } from '../kernel/index.ts'
import type { AnyQueryDefinition, Message } from '../message/index.ts'
import type { Effect } from '../runtime/index.ts'
import type { SagaDefinition } from './definition.ts'
import type { Journal } from './journal.ts'

/** How steps ask the handlers of commands and queries. */
export interface SagaCalls {
  ask(command: Message, signal: AbortSignal): Promise<CommandOutcome>
  query(query: AnyQueryDefinition, params: unknown, signal: AbortSignal): Promise<unknown>
}

/** Where one instance is at work: its surroundings, and the way its journal becomes durable. */
export interface SagaHost {
  readonly definition: SagaDefinition
  readonly app: string
  /** Consumer group of the saga: what its idempotency keys begin with. */
  readonly group: string
  /** Source of the messages that the instance publishes. */
  readonly source: string
  readonly key: string
  readonly clock: Clock
  /** For pauses between attempts only. */
  readonly random: Random
  /** Aborts when nobody waits for this work any more. */
  readonly signal: AbortSignal
  readonly calls: SagaCalls
  /** Whether what it is told was tried before and failed: its last commit may have been refused. */
  readonly isAgain: boolean
  /** Hears what the body says besides what the journal holds: of this life, under an id, this. */
  readonly witness?: (life: string, id: string, said: unknown) => void
  /** Whether the instance is to be compensated as soon as the steps that run are over. */
  readonly isCalledOff: () => boolean
  /** Makes a journal durable, together with effects; resolves when it is. */
  readonly checkpoint: (journal: Journal, effects: readonly Effect[]) => Promise<void>
}
