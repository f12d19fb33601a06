import type { CommandOutcome } from '../domain/index.ts'
import type { Engine, TopicPosition } from '../engine/index.ts'
import { hasBegun } from './quiet.ts'

/** What waiting for a group needs. */
export interface CaughtUpWait {
  readonly engine: Engine
  readonly group: string
  /** What the group reads. */
  readonly topics: readonly string[]
  /** Resolves when something may have changed, at the latest some milliseconds later; throws when nobody shall wait longer. */
  readonly pause: (lookMs: number) => Promise<void>
}

/** What there is to wait for; `undefined`: nothing. None: all that was published. */
export function placesOf(what: CommandOutcome | readonly TopicPosition[]): readonly TopicPosition[] | undefined {
  if (!('kind' in what)) return what.length === 0 ? undefined : what
  // What changed nothing is taken in already.
  return what.kind === 'rejected' || what.events.length === 0 ? undefined : what.published
}

const lookMinMs = 2
const lookMaxMs = 250

/**
 * Waits until a group has done everything up to these places; without any, everything that was published before the call.
 * Places on topics that the group does not read do not count.
 */
export async function caughtUp(
  { engine, group, topics, pause }: CaughtUpWait,
  places: readonly TopicPosition[],
): Promise<void> {
  let lookMs = lookMinMs
  const wait = async (): Promise<void> => {
    await pause(lookMs)
    lookMs = Math.min(lookMaxMs, lookMs * 1.5)
  }
  if (places.length === 0) while ((await engine.isSettled?.()) === false) await wait()
  let wanted = places.length === 0 ? undefined : places.filter(({ topic }) => topics.includes(topic))
  for (;;) {
    const { lag = [] } = (await engine.groups.describe(group)) ?? {}
    if (wanted === undefined && (await hasBegun(engine, topics, lag))) {
      wanted = lag.map(({ topic, partition, latest }) => ({ topic, partition, offset: latest - 1 }))
    }
    const isThere = wanted?.every(({ topic, partition, offset }) =>
      lag.some((one) => one.topic === topic && one.partition === partition && one.next > offset),
    )
    if (isThere === true) return
    await wait()
  }
}
