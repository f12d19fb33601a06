import { isDeepStrictEqual } from 'node:util'
import { checkText } from '../committing/index.ts'
import { ArgumentInvalidError, type Conflict, type WriteBatch } from '../engine/index.ts'
import { currentContext, identityOf, type Message, runInContext } from '../message/index.ts'
import { evolved, settledState } from './decide.ts'
import type { Decider } from './decider.ts'
import { beforeRetry, type DeskSetup, EventTypes } from './desk-setup.ts'
import { BooksUnbalancedError, EventIdTakenError } from './errors.ts'
import { commitWithViews, type InlineWriter } from './inline-views.ts'
import { foldStream } from './stream-fold.ts'

/** What closing the books of a stream did. */
export interface ClosedBooks {
  /** The event that carries the state forward, and its version: what came before is gone. */
  readonly event: Message
  readonly version: number
}

/**
 * Closes the books of a stream: appends one event that carries its whole state forward, then removes what came before it. The
 * stream goes on; its versions and positions do too.
 *
 * Inline copies of views that follow the event store, as while they are built, still need what is to be removed. So closing waits for
 * them first, up to 10 seconds; for the previous copy of a view only 2 seconds, then that is marked as lacking them. It does not wait
 * for one that is begun later.
 *
 * Without an id of its own the event gets a new one, and closing again closes anew. Under an id that was given before, closing again
 * only finishes what was begun: it answers the event that stands in the stream.
 *
 * The event is checked first: evolving it from nothing, and from the state that it closes, must give that state. A crash in between
 * leaves the earlier events in place; closing the books again removes them.
 *
 * @param parts `carry` makes the event of the state; it runs again if the stream is changed meanwhile.
 * @throws BooksUnbalancedError `BOOKS_UNBALANCED`, BooksNeededError `BOOKS_NEEDED`, CommandConflictError `COMMAND_CONFLICT`, EventIdTakenError
 *   `EVENT_ID_TAKEN`, ArgumentInvalidError `ARGUMENT_INVALID`
 */
export async function closeBooks(
  setup: DeskSetup,
  decider: Decider,
  stream: string,
  parts: {
    readonly carry: (state: unknown) => Message
    readonly views: InlineWriter
  },
): Promise<ClosedBooks> {
  checkText('the stream', stream)
  if (typeof parts.carry !== 'function') throw new ArgumentInvalidError('carry', 'is not a function')
  const { engine, group } = setup
  const types = new EventTypes(decider.events)
  let conflict: Conflict | undefined
  for (let conflictCount = 0; ; conflictCount++) {
    if (conflict !== undefined) await beforeRetry(setup, conflictCount, conflict)
    const begin = { state: decider.initialState, version: 0 }
    const { state, version } = await foldStream({
      events: engine.events,
      decider,
      types,
      handler: group,
      stream,
      from: begin,
    })
    const event = runInContext({ ...currentContext(), source: setup.source }, () => parts.carry(state))
    checkBalance(setup, decider, types, { stream, state, version, event })
    const notes = await parts.views.takenIn(stream, types.names)
    const batch: WriteBatch = {
      append: [{ stream, expected: version, events: [types.tagged(setup.app, event)], repeated: 'refuse' }],
      ...(decider.publish && { publish: types.published([event]) }),
      ...(notes.length > 0 && { state: notes }),
    }
    const outcome = await commitWithViews(engine, parts.views, batch, [event])
    if (outcome.ok) {
      await engine.events.truncateStream(stream, version + 1)
      return { event, version: version + 1 }
    }
    conflict = outcome.conflict
    if (conflict.kind !== 'event-id') continue
    const closed = await closedBefore(setup, decider, stream, event)
    if (notes.length > 0 && !(await engine.commit({ state: notes })).ok) continue
    await engine.events.truncateStream(stream, closed.version)
    return closed
  }
}

/** The closing under that very id, after which what came before it may still stand there. @throws EventIdTakenError `EVENT_ID_TAKEN` */
async function closedBefore(
  { engine, group }: DeskSetup,
  decider: Decider,
  stream: string,
  event: Message,
): Promise<ClosedBooks> {
  for await (const { message, version } of engine.events.readStream(stream, { direction: 'backward' })) {
    if (identityOf(message) !== identityOf(event)) continue
    if (message.type !== decider.carriesForward) break
    return { event: message, version }
  }
  throw new EventIdTakenError(group, stream, event.id)
}

function checkBalance(
  { group }: DeskSetup,
  decider: Decider,
  types: EventTypes,
  books: { readonly stream: string; readonly state: unknown; readonly version: number; readonly event: Message },
): void {
  const { stream, state, version, event } = books
  const refuse = (reason: string): never => {
    throw new BooksUnbalancedError(group, stream, reason)
  }
  if (decider.carriesForward === undefined) refuse('the decider names no event by its option carriesForward')
  if (event?.type !== decider.carriesForward) refuse(`${String(event?.type)} is not ${decider.carriesForward}`)
  if (version === 0) refuse('the stream is empty')
  const place = { handler: group, stream, version: version + 1 }
  for (const from of [decider.initialState, state]) {
    const after = settledState(evolved(decider, types, from, event, place))
    if (!isDeepStrictEqual(after, state)) {
      refuse(
        `evolving it from ${from === state ? 'the state itself' : 'nothing'} gives another state than the stream has`,
      )
    }
  }
}
