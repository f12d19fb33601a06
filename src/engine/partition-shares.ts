import { partitionFor } from '../record/index.ts'
import { evenShares } from './even-shares.ts'
import type { Together } from './groups.ts'

/** A member of a group as the sharing of partitions sees it. */
export interface SharingMember {
  readonly id: string
  readonly topics: readonly string[]
  /** What one member asks for holds for the whole group, and `'all'` for more than `'numbers'`. */
  readonly together?: Together | undefined
}

/** A partition that is to be shared, with the member that has it now, if one has. */
export interface SharedPartition {
  readonly topic: string
  readonly partition: number
  readonly owner: string | undefined
}

/**
 * Who shall own which partition of a group: as even as the topics of the members allow, moving as few as that takes.
 *
 * Every member keeps what it has; what nobody has goes to whoever has least, of all topics first and then of this one. Then,
 * while one member has at least two more than another that could take one, directly or by a chain of others, one partition
 * moves. So the largest share is as small as it can be, also where members do not want the same topics.
 *
 * Partitions that are to stay together are shared as if they were one, between the members that want all their topics;
 * where none does, each is shared by itself. If that is all partitions of a group, their owner goes by the ids of the
 * members, not by their age: else the oldest process would work for all such groups.
 *
 * @param members In the order in which they joined: the earlier one is served first where it makes no difference.
 * @returns The owner of each partition, in their order; `undefined` where no member wants the topic.
 *
 * @example
 * ```ts
 * sharePartitions(
 *   [{ id: 'a', topics: ['t'] }, { id: 'b', topics: ['t'] }],
 *   [{ topic: 't', partition: 0, owner: 'a' }, { topic: 't', partition: 1, owner: 'a' }],
 * ) // ['a', 'b']
 * ```
 */
export function sharePartitions(
  members: readonly SharingMember[],
  partitions: readonly SharedPartition[],
): readonly (string | undefined)[] {
  const bundles = bundlesOf(members, partitions)
  if (bundles === undefined) return evenShares(members, partitions)
  const wants = members.map(({ id, topics }) => {
    return { id, topics: bundles.filter((bundle) => isWanted(bundle, topics)).map(({ name }) => name) }
  })
  const isOne = bundles.length === 1
  const owners = evenShares(
    isOne ? wants.toSorted((a, b) => rankOf(a.id) - rankOf(b.id)) : wants,
    bundles.map((bundle) => ({ topic: bundle.name, owner: isOne ? undefined : ownerOf(bundle) })),
  )
  const byPartition = new Map(bundles.flatMap((bundle, i) => bundle.partitions.map((one) => [one, owners[i]] as const)))
  return partitions.map((partition) => byPartition.get(partition))
}

/** Partitions that go to one member. */
interface Bundle {
  /** Its topics, by which members want it. */
  readonly name: string
  readonly topics: readonly string[]
  readonly partitions: readonly SharedPartition[]
}

/** `undefined`: each partition goes its own way. */
function bundlesOf(
  members: readonly SharingMember[],
  partitions: readonly SharedPartition[],
): readonly Bundle[] | undefined {
  const wishes = new Set(members.map(({ together }) => together))
  const isAll = wishes.has('all')
  if (!isAll && !wishes.has('numbers')) return undefined
  const byTopic = [...Map.groupBy(partitions, ({ topic }) => topic).values()]
  const counts = new Set(byTopic.map(({ length }) => length))
  // A key is on partitions of the same number only where topics have the same number of partitions.
  const areNumbers = !isAll && counts.size === 1
  const groups = Map.groupBy(partitions, ({ partition }) => (areNumbers ? partition : 0)).values()
  return [...groups].flatMap((group) => {
    const bundle = bundleOf(group)
    return members.some(({ topics }) => isWanted(bundle, topics)) ? [bundle] : group.map((one) => bundleOf([one]))
  })
}

function bundleOf(partitions: readonly SharedPartition[]): Bundle {
  const topics = [...new Set(partitions.map(({ topic }) => topic))].sort()
  return { name: topics.join('\n'), topics, partitions }
}

function isWanted(bundle: Bundle, topics: readonly string[]): boolean {
  return bundle.topics.every((topic) => topics.includes(topic))
}

/** Who has most of it. */
function ownerOf({ partitions }: Bundle): string | undefined {
  const byOwner = Map.groupBy(partitions, ({ owner }) => owner)
  byOwner.delete(undefined)
  return [...byOwner].toSorted(([, a], [, b]) => b.length - a.length)[0]?.[0]
}

function rankOf(id: string): number {
  return partitionFor(id, 2 ** 31)
}
