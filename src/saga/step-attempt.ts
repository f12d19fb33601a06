import { checkOptions, checkText } from '../committing/index.ts'
import { ArgumentInvalidError } from '../engine/index.ts'
import { durationMs, frozenJson, type Json } from '../kernel/index.ts'
import { type Message, withAttributes } from '../message/index.ts'
import { exponential, nextAttempt, none, type RetryPolicy } from '../runtime/index.ts'
import type { AnyStep, StepAsk, StepAskOptions, StepContext } from './definition.ts'
import { StepRejectedError, StepTimeoutError } from './errors.ts'
import type { ErrorNote, StepEntry, UndoNote } from './journal.ts'
import { errorNote } from './journal.ts'
import type { SagaHost } from './saga-host.ts'

const defaultRetry = exponential()
const defaultUndoRetry = exponential({ initial: '1s', maxDelay: '5m', max: 1_000_000 })
/** How long an undo waits whose policy has given up: it goes on all the same. */
const undoPauseMs = 5 * 60 * 1000

/** How an attempt ended. */
export type StepOutcome =
  /** `undefined`: it answered nothing. */
  | { readonly kind: 'done'; readonly output: Json | undefined }
  | { readonly kind: 'rejected'; readonly note: ErrorNote; readonly facts: Json }
  | { readonly kind: 'failed'; readonly error: unknown; readonly isFinal: boolean }

/** Runs a step once. Never rejects, but for the host's signal. */
export async function attemptStep(host: SagaHost, id: string, step: AnyStep, entry: StepEntry): Promise<StepOutcome> {
  const run = step.run as (input: unknown, ctx: StepContext) => unknown
  const ctx = { key: keyOf(host, entry, id), runKey: keyOf(host, entry, id), attempt: entry.attempts + 1 }
  let output: unknown
  try {
    output = await inTime(host, id, step, ctx, (full) => run(entry.input, full))
  } catch (error) {
    if (host.signal.aborted) throw host.signal.reason
    if (error instanceof StepRejectedError) {
      return { kind: 'rejected', note: errorNote(error), facts: error.details.facts }
    }
    return { kind: 'failed', error, isFinal: false }
  }
  try {
    const kept = output === undefined ? undefined : frozenJson(output as Json, `the output of step ${id}`)
    return { kind: 'done', output: kept }
  } catch (error) {
    // To run it again would do again what it has done.
    return { kind: 'failed', error, isFinal: true }
  }
}

/** Undoes a step once; answers what went wrong. */
export async function attemptUndo(host: SagaHost, step: AnyStep, entry: StepEntry): Promise<unknown> {
  const undo = step.undo as (done: unknown, ctx: StepContext) => unknown
  const isDone = entry.state === 'done' || entry.state === 'skipped'
  const done = { input: entry.input, output: isDone ? entry.output : undefined, outcome: isDone ? 'done' : 'unknown' }
  const runKey = keyOf(host, entry, entry.id)
  const ctx = { key: `${runKey}:undo`, runKey, attempt: (entry.undo?.attempts ?? 0) + 1 }
  try {
    await inTime(host, `${entry.id}:undo`, step, ctx, (full) => undo(done, full))
    return undefined
  } catch (error) {
    if (host.signal.aborted) throw host.signal.reason
    return error ?? new StepRejectedError('it threw nothing')
  }
}

/** The entry of a step after an attempt that failed: it is tried again, or has failed for good. */
export function afterFailure(
  host: SagaHost,
  step: AnyStep,
  { dueMs: _due, ...entry }: StepEntry,
  { error: failure, isFinal }: { readonly error: unknown; readonly isFinal: boolean },
): StepEntry {
  const nowMs = host.clock.nowMs()
  const attempts = entry.attempts + 1
  const failed = { error: failure, attempt: attempts, elapsedMs: nowMs - entry.firstMs }
  const policy = isFinal ? none : (step.retry ?? defaultRetry)
  const { delayMs, error } = nextAttempt(policy, failed, host.random)
  const after = { ...entry, attempts, error: errorNote(error) }
  if (delayMs === undefined) return { ...after, state: 'failed' }
  return { ...after, state: 'retrying', dueMs: nowMs + Math.ceil(delayMs) }
}

/** How the undoing of an entry stands after an attempt that failed. */
export function undoAfterFailure(
  host: SagaHost,
  policy: RetryPolicy | undefined,
  undo: UndoNote | undefined,
  failure: unknown,
): { readonly undo: UndoNote; readonly delayMs: number; readonly error: unknown } {
  const attempts = (undo?.attempts ?? 0) + 1
  const failed = { error: failure, attempt: attempts, elapsedMs: 0 }
  const next = nextAttempt(policy ?? defaultUndoRetry, failed, host.random)
  const { error } = next
  const delayMs = Math.ceil(next.delayMs ?? undoPauseMs)
  const dueMs = host.clock.nowMs() + delayMs
  return { undo: { state: 'retrying', attempts, error: errorNote(error), dueMs }, delayMs, error }
}

/** Tells apart all steps of all lives of all instances. */
function keyOf({ group, key }: SagaHost, entry: StepEntry, id: string): string {
  return `${group}:${key}:${entry.life}:${id}`
}

/** Asks commands of one attempt under its key, so that those of another attempt are known as the same. */
function askUnder({ calls, source }: SagaHost, key: string, signal: AbortSignal): StepAsk {
  let askedCount = 0
  return async (command: Message, options?: StepAskOptions) => {
    if (options !== undefined) checkOptions('options', options, ['key', 'of'])
    const { key: given } = options ?? {}
    if (given === '') throw new ArgumentInvalidError('options.key', 'is empty')
    if (given === undefined) askedCount++
    else checkText('options.key', given)
    if (typeof (command as Partial<Message> | null | undefined)?.type !== 'string') {
      throw new ArgumentInvalidError('the command', 'is no message, as a definition that command() makes creates it')
    }
    const id = given ?? (askedCount === 1 ? key : `${key}:${askedCount}`)
    // Which decider handles it says what its events are: the caller names it, or gets the widest type.
    return (await calls.ask(withAttributes(command, { id, source }), signal)) as never
  }
}

/** Runs it until it is done, takes too long, or nobody waits any more. */
function inTime(
  host: SagaHost,
  id: string,
  { timeout }: AnyStep,
  ctx: { readonly key: string; readonly runKey: string; readonly attempt: number },
  run: (ctx: StepContext) => unknown,
): Promise<unknown> {
  const { clock, signal } = host
  const timeoutMs = durationMs(timeout ?? '30s')
  const abort = new AbortController()
  return new Promise((resolve, reject) => {
    const over = (reason: unknown): void => {
      abort.abort(reason)
      reject(reason)
    }
    const onAbort = (): void => over(signal.reason)
    if (signal.aborted) {
      onAbort()
      return
    }
    signal.addEventListener('abort', onAbort, { once: true })
    const timer = clock.setTimer(() => over(new StepTimeoutError(id, timeoutMs)), timeoutMs, { unref: true })
    const full: StepContext = {
      ...ctx,
      sagaKey: host.key,
      get signal() {
        return abort.signal
      },
      nowMs: () => clock.nowMs(),
      ask: askUnder(host, ctx.key, abort.signal),
      query: async (query, ...[params]) => (await host.calls.query(query, params, abort.signal)) as never,
    }
    const finish = (): void => {
      timer.cancel()
      signal.removeEventListener('abort', onAbort)
    }
    const running = (async () => run(full))()
    running.then(
      (value) => {
        finish()
        resolve(value)
      },
      (error: unknown) => {
        finish()
        reject(error)
      },
    )
  })
}
