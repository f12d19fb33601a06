import type { Conflict } from '../engine/index.ts'
import { MillraceError } from '../kernel/index.ts'
import type { Message } from '../message/index.ts'

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

/** An event under an id that another event has already. */
export class EventIdTakenError extends MillraceError<
  'EVENT_ID_TAKEN',
  { readonly handler: string; readonly stream: string; readonly id: string }
> {
  constructor(handler: string, stream: string, id: string) {
    super({
      code: 'EVENT_ID_TAKEN',
      problem: `${handler} made an event for stream "${stream}" whose id, ${JSON.stringify(id)}, another event has. Nothing was appended.`,
      remedy: 'Give each event an id of its own, made of what caused it; or leave it to Millrace, by naming none.',
      details: { handler, stream, id },
    })
  }
}

/** A command under an id that a command of another type has already. */
export class CommandIdTakenError extends MillraceError<
  'COMMAND_ID_TAKEN',
  { readonly handler: string; readonly type: string; readonly id: string; readonly earlierType: string }
> {
  constructor(handler: string, { type, id }: Message, earlierType: string) {
    super({
      code: 'COMMAND_ID_TAKEN',
      problem: `${handler} was given a ${type} under the id ${JSON.stringify(id)}, under which it has handled a ${earlierType}. It did nothing.`,
      remedy: 'Give each command an id of its own; one that comes again keeps its id, its type and its data.',
      details: { handler, type, id, earlierType },
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

/** Events that a past state is made of are gone. */
export class HistoryIncompleteError extends MillraceError<
  'HISTORY_INCOMPLETE',
  { readonly what: string; readonly stream?: string; readonly topic?: string }
> {
  /** @param where The stream that lacks events, or the topic. */
  constructor(what: string, where: { readonly stream: string } | { readonly topic: string }) {
    const gone =
      'stream' in where
        ? `events of stream "${where.stream}" are gone, by a deletion or because its books were closed`
        : `topic "${where.topic}" does not keep all that was published to it, by its retention, by compaction or because it was truncated`
    super({
      code: 'HISTORY_INCOMPLETE',
      problem: `The past of ${what} cannot be told: ${gone}.`,
      remedy: "Read the view as it is now, or pass { gone: 'pass-over' } to make it of the events that are left.",
      details: { what, ...where },
    })
  }
}

/** A view is asked for at a position of the event store, where an event that counts in it has none. */
export class ViewHistoryMissingError extends MillraceError<
  'VIEW_HISTORY_MISSING',
  { readonly view: string; readonly topic: string; readonly type: string }
> {
  constructor(view: string, topic: string, type: string) {
    super({
      code: 'VIEW_HISTORY_MISSING',
      problem: `The past of view "${view}" cannot be told at a position: an event ${type} that counts in it stands on topic "${topic}" and not in the event store.`,
      remedy: "Ask for a time, which all events have, or pass { gone: 'pass-over' } to leave such events out.",
      details: { view, topic, type },
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

/** Nothing is being built of a view that was to be swapped, paused, compared or read in part. */
export class ViewBuildMissingError extends MillraceError<'VIEW_BUILD_MISSING', { readonly view: string }> {
  constructor(
    view: string,
    remedy = 'Raise the version of the view and start the app, or call rebuild() to build the same version again.',
  ) {
    super({
      code: 'VIEW_BUILD_MISSING',
      problem: `No copy of view "${view}" is being built.`,
      remedy,
      details: { view },
    })
  }
}

/** A build of a view that was to begin while another one is under way. */
export class ViewBuildUnderWayError extends MillraceError<
  'VIEW_BUILD_UNDER_WAY',
  { readonly view: string; readonly copy: string }
> {
  constructor(view: string, copy: string) {
    super({
      code: 'VIEW_BUILD_UNDER_WAY',
      problem: `Copy ${copy} of view "${view}" is being built already.`,
      remedy: 'Wait for it and swap it in, or drop it first.',
      details: { view, copy },
    })
  }
}

/** A program that would build a version below the live one. */
export class ViewVersionDownError extends MillraceError<
  'VIEW_VERSION_DOWN',
  { readonly view: string; readonly liveVersion: number; readonly version: number }
> {
  constructor(view: string, liveVersion: number, version: number) {
    super({
      code: 'VIEW_VERSION_DOWN',
      problem: `Version ${liveVersion} of view "${view}" is live, and this program declares version ${version}.`,
      remedy: 'Roll back to the previous copy, or declare a version above the live one.',
      details: { view, liveVersion, version },
    })
  }
}

/** What a copy that lacks events was wanted for, and why it does not catch up. */
export interface ViewBehindDetails {
  readonly view: string
  readonly copy: string
  readonly eventsBehind: number
  readonly operation: 'swap' | 'roll-back' | 'canary'
  /** It is a build that was paused. */
  readonly paused: boolean
  /** A program works on it. */
  readonly isRun: boolean
  /** A stream of which it lacks events for good, since its books were closed. Absent: of none. */
  readonly lacks?: string
}

const acceptLack = 'accept that: { behind: "accept" }, --accept-behind.'
const carryOn = 'Have the view take the event that carries the state forward, in a version of its own'

/** What can be done about events that are gone for good. */
const lackRemedies: Readonly<Record<ViewBehindDetails['operation'], string>> = {
  'roll-back': `Drop the copy, or ${acceptLack}`,
  swap: `${carryOn}; or ${acceptLack}`,
  canary: `${carryOn}.`,
}

/** A copy that was to serve reads before it has taken in what was published. */
export class ViewBehindError extends MillraceError<'VIEW_BEHIND', ViewBehindDetails> {
  constructor(details: ViewBehindDetails) {
    const { view, copy, eventsBehind, operation, paused, isRun, lacks } = details
    if (lacks !== undefined) {
      super({
        code: 'VIEW_BEHIND',
        problem: `Copy ${copy} of view "${view}" lacks events of stream "${lacks}" for good, as its books were closed. The live copy stays.`,
        remedy: lackRemedies[operation],
        details,
      })
      return
    }
    const unrun = paused ? ', and its build is paused' : ', and no program that knows its version is running'
    const start = 'Start a program that declares this version'
    const acceptable = `${start}, or accept that reads go back in time: { behind: "accept" }, --accept-behind.`
    const unrunRemedy = paused
      ? 'Go on with the build: resume(), millrace views resume.'
      : operation === 'roll-back'
        ? acceptable
        : `${start}.`
    super({
      code: 'VIEW_BEHIND',
      problem: `Copy ${copy} of view "${view}" is ${eventsBehind} events behind${isRun ? '' : unrun}. The live copy stays.`,
      remedy: isRun ? 'Wait for it, or raise or lift its rate limit.' : unrunRemedy,
      details,
    })
  }
}

/** A copy that was to serve reads without events that its functions could not take. */
export class ViewDeadLettersError extends MillraceError<
  'VIEW_DEAD_LETTERS',
  { readonly view: string; readonly copy: string; readonly deadLetterCount: number }
> {
  constructor(view: string, copy: string, deadLetterCount: number) {
    super({
      code: 'VIEW_DEAD_LETTERS',
      problem: `Copy ${copy} of view "${view}" lacks what stands in ${deadLetterCount} dead ${deadLetterCount === 1 ? 'letter' : 'letters'}. The live copy stays.`,
      remedy:
        'Mend the view and build it anew, or redrive them (millrace dead-letters); or accept that: { deadLetters: "accept" }, --accept-dead-letters.',
      details: { view, copy, deadLetterCount },
    })
  }
}

/** A view without a previous copy that was to be rolled back. */
export class ViewPreviousMissingError extends MillraceError<'VIEW_PREVIOUS_MISSING', { readonly view: string }> {
  constructor(view: string) {
    super({
      code: 'VIEW_PREVIOUS_MISSING',
      problem: `View "${view}" has no previous copy: it was never swapped, or the copy was dropped.`,
      remedy: 'Build the version that is wanted anew, under a higher number.',
      details: { view },
    })
  }
}

/** A view that no app has run on this engine, or none since it was retired. */
export class ViewNeverRunError extends MillraceError<
  'VIEW_NEVER_RUN',
  { readonly view: string; readonly app: string }
> {
  constructor(view: string, app: string) {
    super({
      code: 'VIEW_NEVER_RUN',
      problem: `No app "${app}" has run a view "${view}" on this engine, or none since it was retired.`,
      remedy: 'Start the app once, or correct the name.',
      details: { view, app },
    })
  }
}

/** An event that the functions of an inline view cannot take, met while a copy is built from the event store. */
export class ViewEventFailedError extends MillraceError<
  'VIEW_EVENT_FAILED',
  { readonly view: string; readonly type: string; readonly position: number }
> {
  constructor(view: string, type: string, position: number, cause: unknown) {
    super(
      {
        code: 'VIEW_EVENT_FAILED',
        problem: `View "${view}" cannot take the ${type} at position ${position} of the event store: ${cause instanceof Error ? cause.message : String(cause)}.`,
        remedy: 'Mend the function of the view and raise its version; it is built anew from the first event.',
        details: { view, type, position },
      },
      { cause },
    )
  }
}

/** What a command or query led to could not be committed together with the reply. Nothing of it was written. */
export class ReplyNotCommittedError extends MillraceError<
  'REPLY_NOT_COMMITTED',
  { readonly type: string; readonly message: string }
> {
  constructor(type: string, message: string) {
    super({
      code: 'REPLY_NOT_COMMITTED',
      problem: `What ${type} ${message} led to could not be committed together with the reply to it; nothing was written.`,
      remedy: 'The channel `millrace:failed` of the app that handles it says why. Mend that, and ask again.',
      details: { type, message },
    })
  }
}

/** A program whose view takes other events, or from other topics, than a copy of the same version was built from. */
export class ViewEventsChangedError extends MillraceError<
  'VIEW_EVENTS_CHANGED',
  {
    readonly view: string
    readonly copy: string
    readonly added: readonly string[]
    readonly removed: readonly string[]
    readonly nextVersion: number
  }
> {
  constructor(
    view: string,
    copy: string,
    change: { readonly added: readonly string[]; readonly removed: readonly string[]; readonly nextVersion: number },
  ) {
    const { added, removed, nextVersion } = change
    const changes = [
      ...(added.length > 0 ? [`it was built without ${added.join(', ')}`] : []),
      ...(removed.length > 0 ? [`this program leaves out ${removed.join(', ')}`] : []),
    ]
    super({
      code: 'VIEW_EVENTS_CHANGED',
      problem: `View "${view}" takes other events than its copy ${copy} was built from, under the same version: ${changes.join('; ')}.`,
      remedy: `Declare version ${nextVersion}: it is built anew beside the live copy. Or declare the events as they were.`,
      details: { view, copy, ...change },
    })
  }
}

/** A view that was to be retired while a program works on it. */
export class ViewInUseError extends MillraceError<
  'VIEW_IN_USE',
  { readonly view: string; readonly app: string; readonly copy: string; readonly memberCount: number }
> {
  constructor(view: string, app: string, copy: string, memberCount: number) {
    super({
      code: 'VIEW_IN_USE',
      problem: `View "${view}" of app "${app}" was not retired: ${memberCount === 1 ? 'a program works' : `${memberCount} programs work`} on its copy ${copy}.`,
      remedy: 'Take the view out of the program, start that, and stop the programs that declare it.',
      details: { view, app, copy, memberCount },
    })
  }
}

/** Books that cannot be closed yet: a copy of an inline view still has to take in the events that would be removed. */
export class BooksNeededError extends MillraceError<
  'BOOKS_NEEDED',
  { readonly stream: string; readonly view: string; readonly copy: string }
> {
  constructor(stream: string, view: string, copy: string) {
    super({
      code: 'BOOKS_NEEDED',
      problem: `The books of stream "${stream}" were not closed: copy ${copy} of view "${view}" has not taken in its events yet. Nothing was appended or removed.`,
      remedy:
        'Close them once the copy has caught up. Go on with a build that is paused, start a program of its version, or drop it.',
      details: { stream, view, copy },
    })
  }
}
