import { type Json, reversalOf } from '../kernel/index.ts'
import { errorNote } from './journal.ts'
import type { Occurred } from './process.ts'
import type { KeptHappening, KeptPast, ProcessState } from './process-state.ts'

/** So many things that happened may be kept of a process. */
export const pastMaxMax = 1000
/** A process is written as a whole with each event, so its past takes no more than this many characters of JSON. */
const charactersMax = 65_536

/**
 * A process with all that occurred in its past: how to come back from each state to the one before, which is less than states, and
 * does not depend on rules, that other programs may have otherwise. What is oldest goes.
 *
 * @param from The process before all of it.
 * @param state The process after it.
 */
export function withPast(
  from: ProcessState | undefined,
  occurred: readonly Occurred[],
  state: ProcessState,
  nowMs: number,
  pastMax: number,
): ProcessState {
  if (occurred.length === 0) return state
  let { goneCount, sinceMs, keptCount, happened } = from?.past ?? emptyPast(from, nowMs)
  if (pastMax === 0) return { ...state, past: nothingOf(goneCount + keptCount + occurred.length, nowMs) }
  let before = bare(from)
  for (const one of occurred) {
    const after = bare(one.state)
    const happening: KeptHappening = { ...noteOf(one, nowMs), undo: reversalOf(before, after) }
    happened += `${JSON.stringify(happening)}\n`
    keptCount++
    before = after
  }
  let start = 0
  while (keptCount > pastMax || happened.length - start > charactersMax) {
    const end = happened.indexOf('\n', start)
    sinceMs = (JSON.parse(happened.slice(start, end)) as KeptHappening).timeMs
    goneCount++
    keptCount--
    start = end + 1
  }
  const past = { goneCount, ...(sinceMs !== undefined && { sinceMs }), keptCount, happened: happened.slice(start) }
  return { ...state, past }
}

/** What a past holds. */
export function happenedIn({ happened }: KeptPast): readonly KeptHappening[] {
  const lines = happened.split('\n').slice(0, -1)
  return lines.map((line) => JSON.parse(line) as KeptHappening)
}

/** Of a process that programs of earlier versions have begun, nobody knows what was before. */
function emptyPast(from: ProcessState | undefined, nowMs: number): KeptPast {
  return from === undefined ? { goneCount: 0, keptCount: 0, happened: '' } : nothingOf(0, nowMs)
}

/** A past of which nothing is kept up to a time. */
function nothingOf(goneCount: number, sinceMs: number): KeptPast {
  return { goneCount, sinceMs, keptCount: 0, happened: '' }
}

function noteOf({ what, event, error }: Occurred, timeMs: number): Omit<KeptHappening, 'undo'> {
  return {
    timeMs,
    what,
    ...(event !== undefined && { type: event.type }),
    ...(event?.id !== undefined && { id: event.id }),
    ...(event?.cause !== undefined && { cause: event.cause }),
    ...(error !== undefined && { error: errorNote(error) }),
  }
}

/** What a past is about. */
export function bare(state: ProcessState | undefined): Json | undefined {
  if (state === undefined) return undefined
  const { past: _past, ...rest } = state
  return rest as unknown as Json
}
