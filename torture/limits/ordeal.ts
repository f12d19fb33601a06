import { once } from 'node:events'
import { InvariantError, sleep, systemClock } from '../../src/kernel/index.ts'
import type { JumpingClock } from './jumping-clock.ts'

/** What a load goes through: its process is stopped for a while, or its wall clock jumps so many times. */
export type Ordeal = { readonly kind: 'stop' } | { readonly kind: 'jumps'; readonly roundCount: number }

/** How much was done of each kind of work. */
export type Counts = Readonly<Record<string, number>>

const hourMs = 3_600_000
/** Somebody who has stopped is never done; somebody on a busy machine is. */
const progressMsMax = 90_000

/** `stop`, or `jumps` and how often. */
export function parseOrdeal(text: string): Ordeal {
  const [kind, rounds] = text.split(':')
  return kind === 'stop' ? { kind } : { kind: 'jumps', roundCount: Number(rounds) }
}

/**
 * Goes through an ordeal, and sees each time that all kinds of work go on.
 *
 * A process that is to be stopped says `ready` for that, and is told by a line when it is over.
 *
 * @param counts What was done so far.
 * @param targets What it has to come to for new work to have been done, as it stands now.
 */
export async function goThrough(
  ordeal: Ordeal,
  clock: JumpingClock,
  counts: () => Promise<Counts>,
  targets: () => Promise<Counts>,
): Promise<void> {
  await comesTo('at the beginning', counts, await targets())
  if (ordeal.kind === 'stop') {
    process.stdout.write('ready\n')
    await once(process.stdin, 'data')
    process.stdin.destroy()
    await comesTo('after it was stopped', counts, await targets())
    return
  }
  for (let round = 0; round < ordeal.roundCount; round++) {
    for (const aheadMs of [hourMs, 0, -hourMs, 0]) {
      clock.jumpTo(aheadMs)
      await comesTo(`with the clock ${aheadMs / hourMs} h ahead`, counts, await targets())
    }
  }
}

/** @throws InvariantError naming the kinds of work of which too little is done in time */
async function comesTo(when: string, counts: () => Promise<Counts>, targets: Counts): Promise<void> {
  const startMs = systemClock.monotonicMs()
  for (;;) {
    const now = await counts()
    const left = Object.keys(targets).filter((kind) => (now[kind] ?? 0) < (targets[kind] ?? 0))
    if (left.length === 0) return
    if (systemClock.monotonicMs() - startMs > progressMsMax) {
      throw new InvariantError(`work goes on ${when} (nothing new of ${left.join(', ')})`)
    }
    await sleep(10, systemClock)
  }
}
