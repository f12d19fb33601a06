import type { BatchCommand, StateCommand, TimerCommand, UnitCommand } from '../committing/index.ts'
import type { StoreRequest } from './store/protocol.ts'

/** A batch without its bytes, which travel beside the text. */
type BatchText = Omit<BatchCommand, 'bytes'>

/** Commands without the JSON that they carry, which travels beside the text: within it, it would be written and read twice. */
type StateText = Omit<StateCommand, 'value'>
type TimerText = Omit<TimerCommand, 'payload'>

interface UnitText extends Omit<UnitCommand, 'batches' | 'state' | 'timers'> {
  readonly batches: readonly BatchText[]
  readonly state: readonly StateText[]
  readonly timers: readonly TimerText[]
}

/**
 * A commit on its way to the writer thread: one JSON text for all commands, because cloning a thousand small objects costs
 * several times as much as writing and reading them as text. Names, numbers and JSON are all they hold, so nothing is lost.
 */
export interface CommitMessage {
  readonly kind: 'commit-text'
  readonly timeMs: number
  readonly arena: Uint8Array
  /** Bytes of all batches, in the order of the text. */
  readonly bytes: readonly Uint8Array[]
  /** Values of states and payloads of timers, unit by unit, in the order of the text. */
  readonly values: readonly string[]
  readonly units: string
}

/** What the writer thread is sent. */
export type RequestMessage = CommitMessage | Exclude<StoreRequest, { readonly kind: 'commit' }>

/** Makes a request into what travels, and names the memory that moves with it and comes back with the answer. */
export function requestMessage(request: StoreRequest): {
  readonly message: RequestMessage
  readonly buffers: ArrayBuffer[]
} {
  if (request.kind !== 'commit') return { message: request, buffers: [] }
  const { timeMs, arena } = request
  const bytes: Uint8Array[] = []
  const values: string[] = []
  const units = request.units.map((unit): UnitText => {
    const batches = unit.batches.map((batch): BatchText => {
      bytes.push(batch.bytes)
      const { partitionId, recordCount, timeMaxMs, producer } = batch
      return { partitionId, recordCount, timeMaxMs, ...(producer && { producer }) }
    })
    const state = unit.state.map((command): StateText => {
      if (command.kind !== 'set') return command
      const { value, ...text } = command
      values.push(value)
      return text
    })
    const timers = unit.timers.map((command): TimerText => {
      if (command.kind !== 'schedule') return command
      const { payload, ...text } = command
      values.push(payload)
      return text
    })
    const { appends, progress } = unit
    return { batches, appends, state, timers, progress }
  })
  const message = { kind: 'commit-text', timeMs, arena, bytes, values, units: JSON.stringify(units) } as const
  return { message, buffers: buffersOf(message) }
}

/** The request that travelled. */
export function requestOf(message: RequestMessage): StoreRequest {
  if (message.kind !== 'commit-text') return message
  const { timeMs, arena, bytes, values } = message
  let bytesTaken = 0
  let valuesTaken = 0
  const units = (JSON.parse(message.units) as readonly UnitText[]).map((unit): UnitCommand => {
    const batches = unit.batches.map((batch) => ({ ...batch, bytes: bytes[bytesTaken++] as Uint8Array }))
    const state = unit.state.map((command) =>
      command.kind === 'set' ? { ...command, value: values[valuesTaken++] as string } : command,
    ) as readonly StateCommand[]
    const timers = unit.timers.map((command) =>
      command.kind === 'schedule' ? { ...command, payload: values[valuesTaken++] as string } : command,
    ) as readonly TimerCommand[]
    return { ...unit, batches, state, timers }
  })
  return { kind: 'commit', timeMs, arena, units }
}

/** Answers to commits travel as text too. */
export function answerMessage(request: StoreRequest, answer: unknown): unknown {
  return request.kind === 'commit' ? JSON.stringify(answer) : answer
}

/** The answer that travelled. */
export function answerOf(requestKind: string, answer: unknown): unknown {
  return requestKind === 'commit' ? (JSON.parse(answer as string) as unknown) : answer
}

/** Memory of a commit: it moves to the thread and back without a copy, so that steady work allocates nothing large. */
export function buffersOf(message: Pick<CommitMessage, 'arena' | 'bytes'>): ArrayBuffer[] {
  const buffers = new Set<ArrayBuffer>()
  if (message.arena.byteLength > 0) buffers.add(message.arena.buffer as ArrayBuffer)
  for (const bytes of message.bytes) buffers.add(bytes.buffer as ArrayBuffer)
  return [...buffers]
}
