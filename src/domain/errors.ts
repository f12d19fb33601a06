import type { Conflict } from '../engine/index.ts'
import { MillraceError } from '../kernel/index.ts'

/** A command that met others again and again: each time what it had read was changed before its events were appended. */
export class CommandConflictError extends MillraceError<
  'COMMAND_CONFLICT',
  { readonly handler: string; readonly attempts: number; readonly conflict: Conflict }
> {
  constructor(handler: string, attempts: number, conflict: Conflict) {
    super({
      code: 'COMMAND_CONFLICT',
      problem: `A command of ${handler} was decided ${attempts} times, and each time what it had read was changed meanwhile.`,
      remedy: 'Send it again, or let fewer commands work on the same stream or tags at once.',
      details: { handler, attempts, conflict },
    })
  }
}

/** A decision that is neither events of the decider nor a rejection. */
export class DecisionInvalidError extends MillraceError<
  'DECISION_INVALID',
  { readonly handler: string; readonly command: string; readonly reason: string }
> {
  constructor(handler: string, command: string, reason: string) {
    super({
      code: 'DECISION_INVALID',
      problem: `${handler} decided on ${command} what cannot be appended: ${reason}.`,
      remedy:
        'Return events that the decider lists, an array of these, what reject() makes, or nothing; not a promise.',
      details: { handler, command, reason },
    })
  }
}

/** A stream holds an event that its decider does not know. */
export class StreamEventUnknownError extends MillraceError<
  'STREAM_EVENT_UNKNOWN',
  { readonly handler: string; readonly stream: string; readonly version: number; readonly type: string }
> {
  constructor(handler: string, stream: string, version: number, type: string) {
    super({
      code: 'STREAM_EVENT_UNKNOWN',
      problem: `Stream "${stream}" holds a ${type} at version ${version}, which ${handler} does not know, so its state cannot be told.`,
      remedy: 'List the event in the decider, with a function in evolve; one that changes nothing returns the state.',
      details: { handler, stream, version, type },
    })
  }
}

/** The beginning of a stream is gone, and nothing says what the state was. */
export class StreamBeginningGoneError extends MillraceError<
  'STREAM_BEGINNING_GONE',
  { readonly handler: string; readonly stream: string; readonly firstVersion: number }
> {
  constructor(handler: string, stream: string, firstVersion: number) {
    super({
      code: 'STREAM_BEGINNING_GONE',
      problem: `Stream "${stream}" begins at version ${firstVersion}: what came before was truncated, so ${handler} cannot tell its state.`,
      remedy: 'Close the books by an event that carries the state forward, named by the option carriesForward.',
      details: { handler, stream, firstVersion },
    })
  }
}

/** An inline view that forgets a key. */
export class InlineViewForgetsError extends MillraceError<
  'INLINE_VIEW_FORGETS',
  { readonly view: string; readonly key: string }
> {
  constructor(view: string, key: string) {
    super({
      code: 'INLINE_VIEW_FORGETS',
      problem: `Inline view "${view}" answered undefined for key ${JSON.stringify(key)}, and inline views forget no key.`,
      remedy:
        'Return a state that says that it is over, or make the view follow the topics: leave out its option inline.',
      details: { view, key },
    })
  }
}

/** The event that should carry a state forward does not. */
export class BooksUnbalancedError extends MillraceError<
  'BOOKS_UNBALANCED',
  { readonly handler: string; readonly stream: string; readonly reason: string }
> {
  constructor(handler: string, stream: string, reason: string) {
    super({
      code: 'BOOKS_UNBALANCED',
      problem: `The books of stream "${stream}" of ${handler} were not closed: ${reason}. Nothing was appended or removed.`,
      remedy:
        'Let the event named by carriesForward hold the whole state, and its function in evolve make the state of it alone.',
      details: { handler, stream, reason },
    })
  }
}
