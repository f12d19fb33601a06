import type { EventStore, StoredEvent } from '../engine/index.ts'
import { evolved, settledState } from './decide.ts'
import type { Decider } from './decider.ts'
import type { EventTypes } from './desk-setup.ts'
import { StreamBeginningGoneError } from './errors.ts'

/** A state and the version that it stands for. */
interface Folded {
  readonly state: unknown
  readonly version: number
}

/** What is folded. */
export interface StreamFold {
  readonly events: EventStore
  readonly decider: Decider
  readonly types: EventTypes
  /** Name for errors. */
  readonly handler: string
  readonly stream: string
  readonly from: Folded
  /** Whether an event still belongs to it; the first that does not ends it. */
  readonly until?: (event: StoredEvent) => boolean
}

/**
 * The state after the events of a stream that come after what is known.
 *
 * @throws StreamBeginningGoneError `STREAM_BEGINNING_GONE`, StreamEventUnknownError `STREAM_EVENT_UNKNOWN`, and what reading an event
 *   of an old version throws
 */
export async function foldStream(fold: StreamFold): Promise<Folded> {
  const { events, decider, types, handler, stream, from, until } = fold
  let { state, version } = from
  for await (const event of events.readStream(stream, { fromVersion: version + 1 })) {
    const isGap = event.version !== version + 1
    if (until?.(event) === false) {
      // What belongs to it was truncated, if anything did.
      if (isGap) throw new StreamBeginningGoneError(handler, stream, event.version)
      break
    }
    if (isGap) {
      // When the books are closed, an event carries all that came before. After a deletion nothing did.
      const carries = event.message.type === decider.carriesForward
      if (!carries && !(await beganAnew(events, event))) {
        throw new StreamBeginningGoneError(handler, stream, event.version)
      }
      state = decider.initialState
    }
    state = evolved(decider, types, state, event.message, { handler, stream, version: event.version })
    version = event.version
  }
  return version === from.version ? from : { state: settledState(state), version }
}

/** Whether nothing but a deletion came before an event, or at all if it was deleted again since it was read. */
async function beganAnew(events: EventStore, { stream, version }: StoredEvent): Promise<boolean> {
  return ((await events.describeStream(stream))?.deletedAt ?? 0) >= version - 1
}
