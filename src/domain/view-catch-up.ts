import { checkOptions } from '../committing/index.ts'
import { ArgumentInvalidError } from '../engine/index.ts'
import { type Clock, type Duration, durationMs, sleep } from '../kernel/index.ts'
import { type ViewBehindDetails, ViewBehindError } from './errors.ts'
import { type CopyProgress, hasReached } from './view-progress.ts'

/** How somebody waits for a copy to catch up. */
export interface SwapOptions {
  /** How long to wait for the copy to take in what was published before the call. Default `'10s'`. */
  readonly timeout?: Duration
  readonly signal?: AbortSignal
}

/**
 * Refuses options of a swap or a roll-back that are none.
 *
 * @param accepted The options that say that something is accepted.
 * @throws ArgumentInvalidError `ARGUMENT_INVALID`; the reason of the signal, if it has aborted
 */
export function checkSwapOptions(options: SwapOptions, ...accepted: readonly ('deadLetters' | 'behind')[]): void {
  checkOptions('options', options, ['timeout', 'signal', ...accepted])
  for (const option of accepted) {
    const value = (options as Readonly<Record<string, unknown>>)[option]
    if (value === undefined || value === 'accept' || value === 'refuse') continue
    throw new ArgumentInvalidError(option, "is not 'accept' or 'refuse'")
  }
  options.signal?.throwIfAborted()
}

/** How somebody waits, and what for. */
export interface CatchUp extends SwapOptions {
  readonly operation: ViewBehindDetails['operation']
  /** Whether it may lack for good what was removed when books were closed. */
  readonly mayLack?: boolean
}

/** Which copy is waited for. */
export interface AwaitedCopy {
  readonly view: string
  /** Its name, such as `v2`. */
  readonly copy: string
  readonly inline: boolean
  readonly paused: boolean
}

/** How long somebody waits unless he says otherwise. */
export const swapTimeout: Duration = '10s'
const lookMinMs = 5
const lookMaxMs = 250

/**
 * Waits until a copy has taken in all that was published before the call. Not at all where nobody works on it.
 *
 * @throws ViewBehindError `VIEW_BEHIND`, the reason of the signal
 */
export async function caughtUp(
  { view, copy, inline, paused }: AwaitedCopy,
  look: () => Promise<CopyProgress>,
  { timeout = swapTimeout, signal, operation, mayLack = false, clock }: CatchUp & { readonly clock: Clock },
): Promise<void> {
  signal?.throwIfAborted()
  const endMs = clock.monotonicMs() + durationMs(timeout)
  let lookMs = lookMinMs
  let now = await look()
  const { ends, eventsDone: doneBefore } = now
  if (now.lacks !== null && !mayLack) {
    const { eventsBehind, lacks } = now
    throw new ViewBehindError({ view, copy, eventsBehind, operation, paused, isRun: false, lacks })
  }
  while (!hasReached(now, ends)) {
    // Inline copies have no members: whether anybody is at work shows in what is done meanwhile.
    const isOver = clock.monotonicMs() >= endMs
    const isRun = !paused && (now.memberCount > 0 || (inline && (!isOver || now.eventsDone > doneBefore)))
    if (!isRun || isOver) {
      throw new ViewBehindError({ view, copy, eventsBehind: now.eventsBehind, operation, paused, isRun })
    }
    await sleep(lookMs, clock, signal)
    lookMs = Math.min(lookMaxMs, lookMs * 2)
    now = await look()
  }
  signal?.throwIfAborted()
}
