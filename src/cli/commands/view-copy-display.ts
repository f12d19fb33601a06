import type { BuildStatus, CopyStatus, ViewDifference } from '../../domain/index.ts'
import { sleep } from '../../kernel/index.ts'
import type { CliEnvironment } from '../environment.ts'
import type { Output } from '../output.ts'
import { shown, shownJson } from '../text.ts'

/** What is shown of a copy. */
export type ShownCopy = Pick<CopyStatus, 'copy' | 'eventsTotal' | 'eventsDone' | 'eventsBehind' | 'deadLetterCount'>

/** What is shown of one that is being built. */
export type ShownBuild = Pick<
  BuildStatus,
  | 'paused'
  | 'problem'
  | 'eventsBehind'
  | 'memberCount'
  | 'speedEventsPerSecond'
  | 'secondsLeft'
  | 'eventsPerSecond'
  | 'swap'
>

/** Between two looks, to see how fast a build goes that somebody works on. */
const lookMs = 500

/** How the copies of a view stand, with the speed of a build. */
export async function statusOf<
  Status extends { readonly next: Pick<BuildStatus, 'eventsBehind' | 'memberCount'> | null },
>(copies: { status(): Promise<Status> }, { clock, signal }: CliEnvironment): Promise<Status> {
  const first = await copies.status()
  if (first.next === null || first.next.eventsBehind === 0 || first.next.memberCount === 0) return first
  await sleep(lookMs, clock, signal)
  return copies.status()
}

/** Prints copies as a table. */
export async function showCopies(output: Output, rows: readonly (readonly string[])[]): Promise<void> {
  await output.table(
    [
      { title: 'COPY' },
      { title: 'ROLE' },
      { title: 'DONE', align: 'right' },
      { title: 'OF', align: 'right' },
      { title: 'BEHIND', align: 'right' },
      { title: 'DEAD LETTERS', align: 'right' },
      { title: 'STATE' },
    ],
    rows,
  )
}

/** A copy as one row of the table. */
export function copyRow(role: string, copy: ShownCopy, state: string): readonly string[] {
  const { eventsDone, eventsTotal, eventsBehind, deadLetterCount } = copy
  return [
    copy.copy,
    role,
    String(eventsDone),
    String(eventsTotal),
    String(eventsBehind),
    String(deadLetterCount),
    state,
  ]
}

/** What a copy is for, and why it cannot go on. */
export function withProblem(state: string, { problem }: CopyStatus): string {
  return problem === null ? state : `${state}, cannot go on: ${shown(problem)}`
}

/** How a build stands. */
export function stateOf(next: ShownBuild, canary: number): string {
  const { paused, problem, eventsBehind, memberCount, speedEventsPerSecond, secondsLeft, eventsPerSecond, swap } = next
  const facts = [
    ...(paused ? [`paused${problem === null ? '' : `: ${shown(problem)}`}`] : []),
    ...(paused || eventsBehind === 0 ? [] : [memberCount > 0 ? 'being built' : 'built when the app runs']),
    ...(eventsBehind === 0 ? ['caught up'] : []),
    ...(speedEventsPerSecond === undefined ? [] : [`${Math.round(speedEventsPerSecond)} events/s`]),
    ...(secondsLeft === undefined ? [] : [`${Math.ceil(secondsLeft)} s left`]),
    ...(eventsPerSecond === null ? [] : [`at most ${eventsPerSecond} events/s`]),
    ...(canary === 0 ? [] : [`serves ${Math.round(canary * 1000) / 10} % of the keys`]),
    swap === 'manual' ? 'swap by hand' : 'swaps by itself',
  ]
  return facts.join(', ')
}

/** One side of a difference. */
export function sideOf(value: unknown): string {
  return value === undefined ? '-' : shownJson(value)
}

/** @param what What was compared: keys or rows. */
export function sumOf(
  { copies, sameCount, differingCount, onlyLiveCount, onlyOtherCount }: Omit<ViewDifference, 'first'>,
  what: string,
): string {
  const { live, other } = copies
  return `${sameCount} ${what} are the same, ${differingCount} differ, ${onlyLiveCount} only in ${live}, ${onlyOtherCount} only in ${other}.`
}
