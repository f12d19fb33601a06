import type {
  Appended,
  Claim,
  Conflict,
  EventQuery,
  ExpectedVersion,
  ProducerSequence,
  StateOwner,
} from '../engine/index.ts'

/** One sealed record batch on its way to the log; whoever writes it gives it its base offset and checksum. */
export interface BatchCommand {
  readonly partitionId: number
  readonly bytes: Uint8Array
  readonly recordCount: number
  readonly timeMaxMs: number
  readonly producer?: ProducerSequence
}

export interface EventCommand {
  /** The event's UUID, or source and id of any other CloudEvent. */
  readonly identity: string
  readonly type: string
  readonly tags: readonly string[]
  /** Where its bytes (a record batch of one record) stand in the arena of the request. */
  readonly start: number
  readonly end: number
}

export interface AppendCommand {
  readonly stream: string
  readonly expected: ExpectedVersion
  readonly events: readonly EventCommand[]
  readonly condition?: { readonly query: EventQuery; readonly after: number }
  /** Events that all stand there already are a conflict. */
  readonly refusesRepeated?: true
}

export type StateCommand =
  | {
      readonly kind: 'set'
      readonly namespace: string
      readonly key: string
      readonly value: string
      readonly expected: number
      readonly owner?: Claim
    }
  | {
      readonly kind: 'delete'
      readonly namespace: string
      readonly key: string
      readonly expected: number
      readonly owner?: Claim
    }
  | { readonly kind: 'clear'; readonly namespace: string; readonly owner?: StateOwner }

/** Stands for "no revision expected" in a {@link StateCommand}. */
export const anyRevision = -1

export type TimerCommand =
  | {
      readonly kind: 'schedule'
      readonly owner: string
      readonly id: string
      readonly dueMs: number
      readonly payload: string
    }
  | { readonly kind: 'cancel'; readonly owner: string; readonly id: string }
  | { readonly kind: 'fire'; readonly owner: string; readonly id: string; readonly revision: number }

export interface ProgressCommand {
  /** Under which it is made. */
  readonly claim: Claim
  readonly partitionId: number
  /** Pairs: from, to (exclusive). */
  readonly done: readonly number[]
  /** It rests on what was not written yet: how often such a thing was taken back on this partition, as far as was known. */
  readonly rollbackCount?: number
}

/** What is committed or refused as a whole; several units share one transaction and one sync. */
export interface UnitCommand {
  readonly batches: readonly BatchCommand[]
  readonly appends: readonly AppendCommand[]
  readonly state: readonly StateCommand[]
  readonly timers: readonly TimerCommand[]
  readonly progress: readonly ProgressCommand[]
}

/** Why a unit was refused with an error rather than a conflict. */
export type Refusal =
  /** The topic was deleted since the commit was staged. */
  | { readonly kind: 'partition-gone'; readonly partitionId: number }
  | {
      readonly kind: 'out-of-sequence'
      readonly producerId: number
      readonly partitionId: number
      readonly expected: number
      readonly sequence: number
    }
  | {
      readonly kind: 'producer-unknown'
      readonly producerId: number
    }
  | {
      readonly kind: 'producer-fenced'
      readonly producerId: number
      readonly epoch: number
      readonly currentEpoch: number
    }
  /** For a reason that only the engine knows. */
  | { readonly kind: 'engine'; readonly error: Error }

export type UnitResult =
  | { readonly kind: 'committed'; readonly baseOffsets: readonly number[]; readonly appended: readonly Appended[] }
  | { readonly kind: 'conflict'; readonly conflict: Conflict }
  | { readonly kind: 'refused'; readonly refusal: Refusal }

/** Units that become real with one sync, or none of them if that fails. */
export interface CommitGroup {
  readonly timeMs: number
  /** Bytes of the events of all units. */
  readonly arena: Uint8Array
  readonly units: readonly UnitCommand[]
}
