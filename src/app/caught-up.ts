import type { CommandOutcome } from '../domain/index.ts'
import { ArgumentInvalidError, type Engine, type InTransit, type TopicPosition } from '../engine/index.ts'
import { hasBegun } from './quiet.ts'

/** What waiting for a group needs. */
export interface CaughtUpWait {
  readonly engine: Engine
  readonly group: string
  /** What the group reads. */
  readonly topics: readonly string[]
  /** Resolves when something may have changed, at the latest some milliseconds later; throws when nobody shall wait longer. */
  readonly pause: (lookMs: number) => Promise<void>
  /** Whether there is no sense in waiting any more. Default: never. */
  readonly isOver?: () => boolean
}

/** @throws ArgumentInvalidError `ARGUMENT_INVALID` */
function checkPlaces(what: unknown): void {
  if (Array.isArray(what)) {
    for (const [i, place] of what.entries()) {
      const { topic, partition, offset } = (place ?? {}) as Partial<TopicPosition>
      const isPlace = typeof topic === 'string' && isCount(partition) && isCount(offset)
      if (!isPlace) throw new ArgumentInvalidError(`place ${i}`, 'is not a topic, a partition and an offset')
    }
  } else {
    const { kind, events } = (what ?? {}) as { readonly kind?: unknown; readonly events?: unknown }
    if (kind === 'rejected' || (kind === 'accepted' && Array.isArray(events))) return
    throw new ArgumentInvalidError('what is waited for', 'is neither the outcome of a command nor a list of places')
  }
}

function isCount(value: unknown): boolean {
  return Number.isSafeInteger(value) && (value as number) >= 0
}

/** What there is to wait for; `undefined`: nothing. None: all that was published. */
export function placesOf(what: CommandOutcome | readonly TopicPosition[]): readonly TopicPosition[] | undefined {
  checkPlaces(what)
  if (!('kind' in what)) return what.length === 0 ? undefined : what
  // What changed nothing is taken in already.
  return what.kind === 'rejected' || what.events.length === 0 ? undefined : what.published
}

const lookMinMs = 2
const lookMaxMs = 250

/**
 * Waits until a group has done everything up to these places; without any, everything that was published before the call.
 * Places on topics that the group does not read do not count.
 *
 * @throws TopicUnknownError `TOPIC_UNKNOWN`, PartitionUnknownError `PARTITION_UNKNOWN`
 */
export async function caughtUp(
  { engine, group, topics, pause, isOver = () => false }: CaughtUpWait,
  places: readonly TopicPosition[],
): Promise<void> {
  let lookMs = lookMinMs
  const wait = async (): Promise<void> => {
    await pause(lookMs)
    lookMs = Math.min(lookMaxMs, lookMs * 1.5)
  }
  if (places.length === 0) await arrived(engine, wait)
  let wanted = places.length === 0 ? undefined : places.filter(({ topic }) => topics.includes(topic))
  let isChecked = false
  for (;;) {
    const { lag = [] } = (await engine.groups.describe(group)) ?? {}
    if (wanted === undefined && (await hasBegun(engine, topics, lag))) {
      wanted = lag.map(({ topic, partition, latest }) => ({ topic, partition, offset: latest - 1 }))
    }
    const isThere = wanted?.every(({ topic, partition, offset }) =>
      lag.some((one) => one.topic === topic && one.partition === partition && one.next > offset),
    )
    if (isThere === true || isOver()) return
    // What will never be there is not waited for.
    if (!isChecked)
      for (const { topic, partition } of wanted ?? []) await engine.topics.locate(topic, partition, 'latest')
    isChecked = true
    await wait()
  }
}

/** Waits until what was on its way to its topics at the time of the call has arrived; others may put more on its way all the time. */
async function arrived(engine: Engine, wait: () => Promise<void>): Promise<void> {
  const placeOf = ({ topic, partition }: InTransit): string => `${topic}/${partition}`
  let open = (await engine.inTransit?.()) ?? []
  while (open.length > 0) {
    await wait()
    const now = new Map((await engine.inTransit?.())?.map((one) => [placeOf(one), one]))
    open = open.filter((one) => (now.get(placeOf(one))?.from ?? one.to) < one.to)
  }
}
