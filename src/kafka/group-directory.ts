import type { Claim } from '../engine/index.ts'
import type { Cluster } from './cluster.ts'
import { readAssignment } from './consumer-protocol.ts'
import { errorCode, refusalOf } from './error-codes.ts'

const consumerGroupDescribeKey = 69
/** A group that nobody is in and that has no offsets. */
const deadState = 'Dead'

/** A member as the coordinator describes it. */
export interface DescribedMember {
  readonly id: string
  readonly claims: readonly Claim[]
}

/** What coordinators tell of groups. */
export class GroupDirectory {
  readonly #cluster: Cluster

  constructor(cluster: Cluster) {
    this.#cluster = cluster
  }

  /** Names of all consumer groups; each broker knows those that it coordinates. */
  async list(): Promise<readonly string[]> {
    await this.#cluster.persist(() => this.#cluster.metadata([]))
    const names = new Set<string>()
    for (const nodeId of this.#cluster.brokerIds) {
      const answer = await this.#cluster.persist(async () => {
        const link = await this.#cluster.link(nodeId)
        const response = await link.call('ListGroups', this.#cluster.protocol.listGroups, [], [])
        this.#cluster.accept('ListGroups', response.errorCode, 'kafka-cluster')
        return response
      })
      for (const { groupId, protocolType, groupState } of answer.groups) {
        // A group that has offsets only has no type.
        if ((protocolType === 'consumer' || protocolType === '') && groupState !== deadState) names.add(groupId)
      }
    }
    return [...names].sort()
  }

  async members(group: string): Promise<readonly DescribedMember[]> {
    return (await this.#consumerMembers(group)) ?? (await this.#classicMembers(group))
  }

  /** Resolves with the code that it was answered with. */
  async delete(group: string): Promise<number> {
    const answer = await this.#cluster.askCoordinator(
      'group',
      group,
      'offsets',
      (link) => link.call('DeleteGroups', this.#cluster.protocol.deleteGroups, [group]),
      (response) => response.results[0]?.errorCode ?? errorCode.none,
    )
    return answer.results[0]?.errorCode ?? errorCode.none
  }

  /** `undefined`: it is no group of the new protocol. */
  async #consumerMembers(group: string): Promise<readonly DescribedMember[] | undefined> {
    const answer = await this.#cluster.askCoordinator(
      'group',
      group,
      'offsets',
      async (link) => {
        if (link.versionOf(consumerGroupDescribeKey, [0]) === undefined) return undefined
        return link.call('ConsumerGroupDescribe', this.#cluster.protocol.describeConsumerGroups, [group], false)
      },
      (response) => response?.groups[0]?.errorCode ?? errorCode.none,
    )
    const found = answer?.groups[0]
    if (found === undefined) return undefined
    const { errorCode: code } = found
    if (code === errorCode.groupIdNotFound || code === errorCode.unsupportedVersion) return undefined
    if (code !== errorCode.none) throw refusalOf('ConsumerGroupDescribe', code, group, found.errorMessage)
    return found.members.map(({ memberId, memberEpoch, assignment }) => ({
      id: memberId,
      claims: assignment.topicPartitions.flatMap(({ topicName, partitions }) =>
        partitions.map((partition) => ({ group, topic: topicName, partition, epoch: memberEpoch })),
      ),
    }))
  }

  async #classicMembers(group: string): Promise<readonly DescribedMember[]> {
    const answer = await this.#cluster.askCoordinator(
      'group',
      group,
      'offsets',
      (link) => link.call('DescribeGroups', this.#cluster.protocol.describeGroups, [group], false),
      (response) => response.groups[0]?.errorCode ?? errorCode.none,
    )
    const found = answer.groups[0]
    if (found === undefined || found.errorCode === errorCode.groupIdNotFound) return []
    if (found.errorCode !== errorCode.none) throw refusalOf('DescribeGroups', found.errorCode, group)
    return found.members.map(({ memberId, memberAssignment }) => ({
      id: memberId,
      claims: readAssignment(memberAssignment).flatMap(({ topic, partitions }) =>
        // The generation is not told here: no claim that is described is one to commit under.
        partitions.map((partition) => ({ group, topic, partition, epoch: 0 })),
      ),
    }))
  }
}
