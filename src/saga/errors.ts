import { isoTime, type Json, MillraceError } from '../kernel/index.ts'
import type { ErrorNote } from './error-note.ts'

/** A text at the end of a sentence. */
function ended(text: string): string {
  return /[.!?…]$/.test(text) ? text : `${text}.`
}

/** A step that failed for good: what its body is told. */
export class StepFailedError extends MillraceError<
  'SAGA_STEP_FAILED',
  { readonly step: string; readonly attempts: number; readonly error: ErrorNote }
> {
  constructor(step: string, attempts: number, error: ErrorNote) {
    super({
      code: 'SAGA_STEP_FAILED',
      problem: `Step ${step} failed for good after ${attempts} ${attempts === 1 ? 'attempt' : 'attempts'}: ${ended(error.message)}`,
      remedy: 'Let the error through and the saga is compensated, or catch it and go on another way.',
      details: { step, attempts, error },
    })
  }
}

/**
 * A step that was refused by the outside world: this attempt has left nothing behind there. It is not tried again, and there is
 * nothing to undo, unless an earlier attempt failed or was interrupted. Throw it in `run`; the body is told.
 *
 * @example
 * ```ts
 * if (receipt.declined) throw new StepRejectedError('the card was declined', { code: receipt.code })
 * ```
 */
export class StepRejectedError extends MillraceError<
  'SAGA_STEP_REJECTED',
  { readonly reason: string; readonly facts: Json }
> {
  constructor(reason: string, facts: Json = null) {
    super({
      code: 'SAGA_STEP_REJECTED',
      problem: `The step was refused: ${ended(reason)}`,
      remedy: 'Let the error through and the saga is compensated, or catch it and go on another way.',
      details: { reason, facts },
    })
  }
}

/** An attempt of a step that took too long; whether it has reached the outside world is not known. */
export class StepTimeoutError extends MillraceError<
  'SAGA_STEP_TIMEOUT',
  { readonly step: string; readonly timeoutMs: number }
> {
  constructor(step: string, timeoutMs: number) {
    super({
      code: 'SAGA_STEP_TIMEOUT',
      problem: `Step ${step} did not finish within ${timeoutMs} ms.`,
      remedy: 'Pass its signal on to what it waits for, or raise its timeout.',
      details: { step, timeoutMs },
    })
  }
}

/** `compensated` of a saga has returned what is no effect that it may have. */
export class CompensatedEffectsError extends MillraceError<'SAGA_COMPENSATED_EFFECTS', { readonly saga: string }> {
  constructor(saga: string) {
    super({
      code: 'SAGA_COMPENSATED_EFFECTS',
      problem: `What \`compensated\` of saga ${saga} returned is not what publish() and send() make.`,
      remedy: 'Return these, one or an array, and no promise. What is done outside belongs into steps.',
      details: { saga },
    })
  }
}

/** A child saga that was compensated, or refused and never began: what the body of its parent is told. */
export class ChildFailedError extends MillraceError<
  'SAGA_CHILD_FAILED',
  { readonly child: string; readonly failure: ErrorNote }
> {
  constructor(child: string, failure: ErrorNote) {
    super({
      code: 'SAGA_CHILD_FAILED',
      problem: `Child saga ${child} did not complete: ${ended(failure.message)}`,
      remedy: 'Let the error through and the parent is compensated too, or catch it and go on another way.',
      details: { child, failure },
    })
  }
}

/** A saga that should start a child under a key where there is another instance: its own failure tells. */
export class SagaKeyTakenError extends MillraceError<
  'SAGA_KEY_TAKEN',
  { readonly saga: string; readonly key: string }
> {
  constructor(saga: string, key: string) {
    super({
      code: 'SAGA_KEY_TAKEN',
      problem: `Saga ${saga} has an instance under key ${JSON.stringify(key)} that was started by somebody else.`,
      remedy: 'Give the child a key of its own, or wait until the other instance is not kept any more.',
      details: { saga, key },
    })
  }
}

/** More signals than an instance of a saga keeps, or more events than wait for one process of a choreography. */
export class InboxFullError extends MillraceError<
  'SAGA_INBOX_FULL',
  { readonly saga: string; readonly key: string; readonly countMax: number }
> {
  constructor(saga: string, key: string, countMax: number) {
    super({
      code: 'SAGA_INBOX_FULL',
      problem: `${saga} has no room under key ${JSON.stringify(key)} for one more signal or event that waits: ${countMax}, or 1,000,000 characters.`,
      remedy: 'Ask for signals as they come, or send fewer; redrive this one when there is room.',
      details: { saga, key, countMax },
    })
  }
}

/** A message to a saga that is none of its inputs. */
export class SagaInputInvalidError extends MillraceError<
  'SAGA_INPUT_INVALID',
  { readonly saga: string; readonly reason: string }
> {
  constructor(saga: string, reason: string) {
    super({
      code: 'SAGA_INPUT_INVALID',
      problem: `Saga ${saga} cannot use what it was sent: ${reason}.`,
      remedy: 'Send it what its declaration names: a start, one of its signals, with data that fits the schema.',
      details: { saga, reason },
    })
  }
}

/** What an instance of a saga was told that nothing has started. */
export class SagaNotStartedError extends MillraceError<
  'SAGA_NOT_STARTED',
  { readonly saga: string; readonly key: string; readonly told: readonly string[] }
> {
  constructor(saga: string, key: string, told: readonly string[]) {
    super({
      code: 'SAGA_NOT_STARTED',
      problem: `Nothing has started saga ${saga} under key ${JSON.stringify(key)}, which was told: ${told.join(', ')}.`,
      remedy: 'Start it, then redrive this; or discard this.',
      details: { saga, key, told },
    })
  }
}

/** A signal to an instance that has ended, or is being compensated. */
export class SagaLateError extends MillraceError<
  'SAGA_LATE',
  { readonly saga: string; readonly key: string; readonly told: readonly string[]; readonly status: string }
> {
  constructor(saga: string, key: string, told: readonly string[], status: string) {
    super({
      code: 'SAGA_LATE',
      problem: `Saga ${saga} under key ${JSON.stringify(key)} was told ${told.join(', ')} when it was ${status}.`,
      remedy: 'Do by hand what is still to be done, then discard it; or let the option late be ignore.',
      details: { saga, key, told, status },
    })
  }
}

/** A step of an instance that cannot be skipped, as the instance is now. */
export class SagaSkipRefusedError extends MillraceError<
  'SAGA_SKIP_REFUSED',
  { readonly saga: string; readonly key: string; readonly step: string; readonly reason: string }
> {
  constructor(saga: string, key: string, step: string, reason: string) {
    super({
      code: 'SAGA_SKIP_REFUSED',
      problem: `${step} of saga ${saga} under key ${JSON.stringify(key)} cannot be skipped: ${reason}.`,
      remedy: 'Look at the instance, and name what it waits for as it stands there.',
      details: { saga, key, step, reason },
    })
  }
}

/** Events for a process that has not begun. */
export class CorrelationMissingError extends MillraceError<
  'CORRELATION_MISSING',
  { readonly choreography: string; readonly key: string; readonly types: readonly string[] }
> {
  constructor(choreography: string, key: string, types: readonly string[]) {
    super({
      code: 'CORRELATION_MISSING',
      problem: `Choreography ${choreography} has no process under key ${JSON.stringify(key)} for ${types.join(', ')}.`,
      remedy: 'Look for the event that should have begun it, then redrive; or discard this one.',
      details: { choreography, key, types },
    })
  }
}

/** An event for a process that has ended. */
export class CorrelationLateError extends MillraceError<
  'CORRELATION_LATE',
  { readonly choreography: string; readonly key: string; readonly type: string; readonly outcome: string }
> {
  constructor(choreography: string, key: string, type: string, outcome: string) {
    super({
      code: 'CORRELATION_LATE',
      problem: `${type} came when the process of choreography ${choreography} under key ${JSON.stringify(key)} had ended: ${outcome}.`,
      remedy: 'Do by hand what is still to be done, then discard it; or let the policy be ignore.',
      details: { choreography, key, type, outcome },
    })
  }
}

/** A point in the past of a process of which nothing is kept: older happenings go, and earlier versions of Millrace kept none. */
export class ProcessPastGoneError extends MillraceError<
  'PROCESS_PAST_GONE',
  {
    readonly choreography: string
    readonly key: string
    readonly since: { readonly happenings: number; readonly timeMs: number | null }
  }
> {
  constructor(
    choreography: string,
    key: string,
    since: { readonly happenings: number; readonly timeMs: number | null },
  ) {
    const { happenings, timeMs } = since
    const from = timeMs === null ? 'the next thing that happens to it' : isoTime(timeMs)
    super({
      code: 'PROCESS_PAST_GONE',
      problem: `The past of the process of choreography ${choreography} under key ${JSON.stringify(key)} is known from ${from} on, not before.`,
      remedy: `Ask for a later point: in happenings, from ${happenings} on. The option past of the choreography says how many are kept.`,
      details: { choreography, key, since },
    })
  }
}
