/** A member with what it wants. */
export interface SeatedMember {
  readonly id: string
  readonly topics: readonly string[]
}

/** What is shared: a partition, or several that stay together under one name. */
export interface Sharable {
  readonly topic: string
  readonly owner: string | undefined
}

interface Seat {
  readonly id: string
  readonly topics: ReadonlySet<string>
  /** Indexes of the partitions that it gets. */
  readonly held: number[]
  readonly heldOfTopic: Map<string, number>
}

/**
 * Shares one by one, as even as the topics of the members allow, moving as few as that takes; how, tells
 * {@link sharePartitions}.
 */
export function evenShares(
  members: readonly SeatedMember[],
  partitions: readonly Sharable[],
): readonly (string | undefined)[] {
  const seats = members.map(({ id, topics }): Seat => {
    return { id, topics: new Set(topics), held: [], heldOfTopic: new Map() }
  })
  const byId = new Map(seats.map((seat) => [seat.id, seat]))
  const open: number[] = []
  for (const [index, { topic, owner }] of partitions.entries()) {
    const seat = owner === undefined ? undefined : byId.get(owner)
    if (seat?.topics.has(topic)) give(seat, index, topic)
    else open.push(index)
  }
  for (const index of open) {
    const { topic } = partitions[index] as Sharable
    let least: Seat | undefined
    for (const seat of seats) {
      if (seat.topics.has(topic) && (least === undefined || isLess(seat, least, topic))) least = seat
    }
    if (least !== undefined) give(least, index, topic)
  }
  while (levelOnce(seats, partitions)) {
    // One partition has moved, or a chain of them; each time the shares are more even, so this ends.
  }
  const owners: (string | undefined)[] = partitions.map(() => undefined)
  for (const { id, held } of seats) for (const index of held) owners[index] = id
  return owners
}

function isLess(one: Seat, other: Seat, topic: string): boolean {
  if (one.held.length !== other.held.length) return one.held.length < other.held.length
  return (one.heldOfTopic.get(topic) ?? 0) < (other.heldOfTopic.get(topic) ?? 0)
}

function give(seat: Seat, index: number, topic: string): void {
  seat.held.push(index)
  seat.heldOfTopic.set(topic, (seat.heldOfTopic.get(topic) ?? 0) + 1)
}

/** Moves one partition from a member with many towards one with at least two fewer; `false` if there is none. */
function levelOnce(seats: readonly Seat[], partitions: readonly Sharable[]): boolean {
  for (const from of seats.toSorted((a, b) => b.held.length - a.held.length)) {
    const chain = chainFrom(from, seats)
    if (chain === undefined) continue
    for (let i = 0; i + 1 < chain.length; i++) moveOne(chain[i] as Seat, chain[i + 1] as Seat, partitions)
    return true
  }
  return false
}

/** The shortest chain of members, each of which wants a topic that the one before holds, to one with two fewer. */
function chainFrom(from: Seat, seats: readonly Seat[]): readonly Seat[] | undefined {
  const cameFrom = new Map<Seat, Seat>()
  const line = [from]
  for (const seat of line) {
    let end: Seat | undefined
    for (const next of seats) {
      if (next === from || cameFrom.has(next) || !takesFrom(next, seat)) continue
      cameFrom.set(next, seat)
      line.push(next)
      const isLower = next.held.length + 2 <= from.held.length
      if (isLower && (end === undefined || next.held.length < end.held.length)) end = next
    }
    if (end === undefined) continue
    const chain = [end]
    for (let at = cameFrom.get(end); at !== undefined; at = cameFrom.get(at)) chain.unshift(at)
    return chain
  }
  return undefined
}

function takesFrom(taker: Seat, giver: Seat): boolean {
  for (const [topic, count] of giver.heldOfTopic) if (count > 0 && taker.topics.has(topic)) return true
  return false
}

/** Moves a partition of the topic that the giver has most of beyond the taker, rather one that nobody had before. */
function moveOne(giver: Seat, taker: Seat, partitions: readonly Sharable[]): void {
  let best = -1
  let bestSurplus = Number.NEGATIVE_INFINITY
  for (const [at, index] of giver.held.entries()) {
    const { topic, owner } = partitions[index] as Sharable
    if (!taker.topics.has(topic)) continue
    const surplus = (giver.heldOfTopic.get(topic) ?? 0) - (taker.heldOfTopic.get(topic) ?? 0)
    // What its owner did not have before moves at no cost.
    const weight = (owner === giver.id ? 0 : partitions.length) + surplus
    if (weight < bestSurplus) continue
    best = at
    bestSurplus = weight
  }
  const [index] = giver.held.splice(best, 1) as [number]
  const { topic } = partitions[index] as Sharable
  giver.heldOfTopic.set(topic, (giver.heldOfTopic.get(topic) ?? 0) - 1)
  give(taker, index, topic)
}
