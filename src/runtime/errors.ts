import { type TopicConfig, topicSettingText } from '../engine/index.ts'
import { MillraceError } from '../kernel/index.ts'

/** A topic that was declared twice with different settings. */
export class TopicRedeclaredError extends MillraceError<'TOPIC_REDECLARED', { readonly topic: string }> {
  constructor(topic: string) {
    super({
      code: 'TOPIC_REDECLARED',
      problem: `Topic "${topic}" is declared twice, with different settings.`,
      remedy: 'Declare it once and import the declaration where it is needed.',
      details: { topic },
    })
  }
}

/** A setting of which a declaration says something else than a topic has. */
export interface TopicDifference {
  readonly topic: string
  readonly setting: keyof TopicConfig
  readonly declared: TopicSetting
  /** What the topic has. */
  readonly actual: TopicSetting
}

/** Topics that exist with other settings than the program declares. Thrown, or emitted as a warning of the process. */
export class TopicDiffersError extends MillraceError<
  'TOPIC_DIFFERS',
  { readonly differences: readonly TopicDifference[] }
> {
  constructor(differences: readonly TopicDifference[]) {
    const list = differences.map(
      ({ topic, setting, declared, actual }) =>
        `${setting} of "${topic}" is ${shownSetting(actual)} and declared as ${shownSetting(declared)}`,
    )
    const alterations = alterationsOf(differences)
    const declare = 'declare what the topic has, for a topic that exists is left as it is'
    super({
      code: 'TOPIC_DIFFERS',
      problem: `Topics exist with other settings than the program declares: ${list.join('; ')}.`,
      remedy:
        alterations.length === 0
          ? `Correct topic(): ${declare}.`
          : `Change the topic (${alterations.join('; ')}), or correct topic(): ${declare}.`,
      details: { differences },
    })
  }
}

type TopicSetting = Required<TopicConfig>[keyof TopicConfig]

function shownSetting(value: TopicSetting): string {
  return value === null ? 'without bound' : String(value)
}

/** Commands that give topics what is declared, one for each, without what cannot be altered. */
function alterationsOf(differences: readonly TopicDifference[]): string[] {
  const options = new Map<string, string[]>()
  for (const { topic, setting, declared, actual } of differences) {
    if (setting === 'partitions' && Number(declared) < Number(actual)) continue
    const option = setting.replace(/Ms$/, '').replaceAll(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)
    options.set(topic, [...(options.get(topic) ?? []), `--${option} ${topicSettingText(setting, declared)}`])
  }
  return Array.from(options, ([topic, given]) => `millrace topics alter ${topic} ${given.join(' ')}`)
}

/** An attempt that took longer than the handler's timeout. */
export class HandlerTimeoutError extends MillraceError<
  'HANDLER_TIMEOUT',
  { readonly handler: string; readonly timeoutMs: number }
> {
  constructor(handler: string, timeoutMs: number) {
    super({
      code: 'HANDLER_TIMEOUT',
      problem: `Handler ${handler} did not finish within ${timeoutMs} ms.`,
      remedy: 'Pass ctx.signal on to what it waits for, or raise its timeout.',
      details: { handler, timeoutMs },
    })
  }
}

/** A message over which the process ended, or gave no sign of life for as long as a session lasts, several times in a row. */
export class ProcessEndedError extends MillraceError<
  'PROCESS_ENDED',
  { readonly handler: string; readonly times: number }
> {
  constructor(handler: string, times: number) {
    super({
      code: 'PROCESS_ENDED',
      problem: `The process ended ${times} times in a row while handler ${handler} was handling this message and no other that could be to blame.`,
      remedy:
        'Look what ended it: a promise that was rejected and that nobody awaits, process.exit(), too little memory, or an endless loop. Then redrive the dead letter.',
      details: { handler, times },
    })
  }
}

/** A retry policy that threw instead of saying what follows. */
export class RetryPolicyFailedError extends MillraceError<
  'RETRY_POLICY_FAILED',
  { readonly problem: string; readonly failure: string }
> {
  constructor(policyError: unknown, failure: unknown) {
    const said = { problem: sayOf(policyError), failure: sayOf(failure) }
    super(
      {
        code: 'RETRY_POLICY_FAILED',
        problem: `An attempt failed, and the retry policy threw when it was asked what follows: ${said.problem}. What the attempt failed with: ${said.failure}.`,
        remedy:
          'Correct the function delayMs of the policy, or take one of none, fixed(), exponential() and byError(). Then redrive.',
        details: said,
      },
      { cause: failure },
    )
  }
}

function sayOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}

/** Something that a handler returned and that is no effect. */
export class EffectInvalidError extends MillraceError<
  'EFFECT_INVALID',
  { readonly handler: string; readonly reason: string }
> {
  constructor(handler: string, reason: string, options?: ErrorOptions) {
    super(
      {
        code: 'EFFECT_INVALID',
        problem: `Handler ${handler} returned what is no effect: ${reason}.`,
        remedy: 'Return what publish, append, set, remove, schedule and cancel make, an array of these, or nothing.',
        details: { handler, reason },
      },
      options,
    )
  }
}

/** New state that its schema refuses. */
export class StateInvalidError extends MillraceError<
  'STATE_INVALID',
  { readonly handler: string; readonly key: string; readonly issues: readonly string[] }
> {
  constructor(handler: string, key: string, issues: readonly string[]) {
    super({
      code: 'STATE_INVALID',
      problem: `Handler ${handler} set a state that its schema refuses, under key ${JSON.stringify(key)}: ${issues.join('; ')}.`,
      remedy: 'Correct the handler or the schema, then redrive the message.',
      details: { handler, key, issues },
    })
  }
}

/** A message without a key for a handler that keeps state or timers by key. */
export class KeyMissingError extends MillraceError<
  'KEY_MISSING',
  { readonly handler: string; readonly messageId: string }
> {
  constructor(handler: string, messageId: string) {
    super({
      code: 'KEY_MISSING',
      problem: `Message ${messageId} has no key, but handler ${handler} keeps state or timers by key.`,
      remedy: 'Give the event definition a key, or the handler the option key.',
      details: { handler, messageId },
    })
  }
}

/** A handler that holds back as many keys behind dead letters as it can: a message that would park another one waits. */
export class ParkedKeysFullError extends MillraceError<
  'PARKED_KEYS_FULL',
  { readonly handler: string; readonly keysMax: number }
> {
  constructor(handler: string, keysMax: number, cause: unknown) {
    super(
      {
        code: 'PARKED_KEYS_FULL',
        problem: `Handler ${handler} holds back ${keysMax.toLocaleString('en-US')} keys behind dead letters, and can hold back no more: a message that it cannot handle is tried until it can, or until there is room.`,
        remedy: 'See what the dead letters have in common, correct it, and redrive or discard them.',
        details: { handler, keysMax },
      },
      { cause },
    )
  }
}

/** A key under which a handler cannot keep state or park messages. */
export class KeyInvalidError extends MillraceError<
  'KEY_INVALID',
  { readonly handler: string; readonly messageId: string; readonly reason: string }
> {
  constructor(handler: string, messageId: string, reason: string) {
    super({
      code: 'KEY_INVALID',
      problem: `The key of message ${messageId} ${reason}, but handler ${handler} keeps state or parks messages by key.`,
      remedy: 'Give the handler an option key that makes a short text of it, then redrive; or correct the producer.',
      details: { handler, messageId, reason },
    })
  }
}

/** A checkpoint that was not made: its handler is over, or somebody else has changed what it builds on. */
export class CheckpointRefusedError extends MillraceError<
  'CHECKPOINT_REFUSED',
  { readonly handler: string; readonly reason: string }
> {
  constructor(handler: string, reason: string) {
    super({
      code: 'CHECKPOINT_REFUSED',
      problem: `A checkpoint of handler ${handler} was not made: ${reason}.`,
      remedy:
        'Await each checkpoint before the handler returns, and let the error through: the message is tried again.',
      details: { handler, reason },
    })
  }
}

/** An append whose expectation failed again and again. */
export class AppendConflictError extends MillraceError<
  'APPEND_CONFLICT',
  { readonly handler: string; readonly conflict: string; readonly runCount: number }
> {
  constructor(handler: string, conflict: string, runCount: number) {
    super({
      code: 'APPEND_CONFLICT',
      problem: `Handler ${handler} ran ${runCount} times, and each time its effects met a conflict: ${conflict}.`,
      remedy: 'Read what the expectation is about inside the handler, each time that it runs, or expect less.',
      details: { handler, conflict, runCount },
    })
  }
}

/** A call that was not made because too many before it failed. */
export class BreakerOpenError extends MillraceError<'BREAKER_OPEN', { readonly handler: string }> {
  constructor(handler: string, options?: ErrorOptions) {
    super(
      {
        code: 'BREAKER_OPEN',
        problem: `The circuit breaker of handler ${handler} is open: too many calls failed lately.`,
        remedy: 'Let the error through: the message is tried again when the breaker lets calls pass.',
        details: { handler },
      },
      options,
    )
  }
}

/** A timer that is due although the handler no longer has a function for it. */
export class TimerUnknownError extends MillraceError<
  'TIMER_UNKNOWN',
  { readonly handler: string; readonly timer: string }
> {
  constructor(handler: string, timer: string) {
    super({
      code: 'TIMER_UNKNOWN',
      problem: `Handler ${handler} has no timer "${timer}".`,
      remedy: 'Add a function of that name to its option timers, then redrive.',
      details: { handler, timer },
    })
  }
}

/** A dead letter that is not, or no longer, there. */
export class DeadLetterUnknownError extends MillraceError<'DEAD_LETTER_UNKNOWN', { readonly id: string }> {
  constructor(id: string) {
    super({
      code: 'DEAD_LETTER_UNKNOWN',
      problem: `There is no dead letter ${JSON.stringify(id)}.`,
      remedy: 'List the dead letters; it may have been redriven or discarded meanwhile.',
      details: { id },
    })
  }
}

/** The app stopped while somebody waited for it. */
export class AppStoppedError extends MillraceError<'APP_STOPPED', { readonly app: string }> {
  constructor(app: string) {
    super({
      code: 'APP_STOPPED',
      problem: `App "${app}" was stopped.`,
      remedy:
        'Start it again: it goes on where it was. Await what is under way before stop(), idle() where all messages are to be handled.',
      details: { app },
    })
  }
}

/** A record that was to be read again and that its topic no longer keeps. */
export class RecordGoneError extends MillraceError<
  'RECORD_GONE',
  { readonly topic: string; readonly partition: number; readonly offset: number }
> {
  constructor(topic: string, partition: number, offset: number) {
    super({
      code: 'RECORD_GONE',
      problem: `Topic "${topic}" no longer keeps the record at offset ${offset} of partition ${partition}.`,
      remedy: 'Discard the dead letter; if it holds the bytes of the record, save them first.',
      details: { topic, partition, offset },
    })
  }
}
