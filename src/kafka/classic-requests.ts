import type { ResponseOf } from './client-library.ts'
import type { Cluster } from './cluster.ts'
import type { MemberIdentity } from './held-claim.ts'

const protocolType = 'consumer'
/** The strategy by which members of Millrace share; all members of a group have to know it. */
const protocolName = 'millrace-cooperative'

/** What a member of the classic protocol asks its coordinator. */
export class ClassicRequests {
  readonly #cluster: Cluster
  readonly #member: MemberIdentity
  readonly #purpose: string
  /** How long a round waits for members that say nothing: one that died is put out when its session is over. */
  readonly #roundMs: number

  /** @param name Of the member, known here before the coordinator gives it another one. */
  constructor(cluster: Cluster, member: MemberIdentity, name: string, sessionTimeoutMs: number) {
    this.#cluster = cluster
    this.#member = member
    // A round is answered when all have come, so nothing else may wait on its connection.
    this.#purpose = `member-${name}`
    this.#roundMs = Math.max(sessionTimeoutMs, cluster.options.groupSessionTimeoutMs)
  }

  join(metadata: Buffer): Promise<ResponseOf<'joinGroup'>> {
    const { protocol, options, usual } = this.#cluster
    const { group, memberId, instanceId } = this.#member
    return this.#cluster.askCoordinator(
      'group',
      group,
      this.#purpose,
      (link) =>
        link.call(
          'JoinGroup',
          protocol.joinGroup,
          group,
          options.groupSessionTimeoutMs,
          this.#roundMs,
          memberId,
          instanceId,
          protocolType,
          [{ name: protocolName, metadata }],
          null,
        ),
      (response) => response.errorCode,
      usual,
      this.#roundMs,
    )
  }

  /** @param assignments What each member shall have; none from who is not asked to share. */
  sync(assignments: { memberId: string; assignment: Buffer }[]): Promise<ResponseOf<'syncGroup'>> {
    const { protocol, usual } = this.#cluster
    const { group, memberId, instanceId, epoch } = this.#member
    return this.#cluster.askCoordinator(
      'group',
      group,
      this.#purpose,
      (link) =>
        link.call(
          'SyncGroup',
          protocol.syncGroup,
          group,
          epoch,
          memberId,
          instanceId,
          protocolType,
          protocolName,
          assignments,
        ),
      (response) => response.errorCode,
      usual,
      this.#roundMs,
    )
  }

  /** Resolves with the code that it was answered with. */
  async heartbeat(): Promise<number> {
    const { protocol } = this.#cluster
    const { group, memberId, instanceId, epoch } = this.#member
    const answer = await this.#cluster.askCoordinator(
      'group',
      group,
      'members',
      (link) => link.call('Heartbeat', protocol.heartbeat, group, epoch, memberId, instanceId),
      (response) => response.errorCode,
    )
    return answer.errorCode
  }

  async leave(): Promise<void> {
    const { protocol, parting } = this.#cluster
    const { group, memberId, instanceId } = this.#member
    const members = [{ memberId, groupInstanceId: instanceId, reason: null }]
    await this.#cluster.askCoordinator(
      'group',
      group,
      'offsets',
      (link) => link.call('LeaveGroup', protocol.leaveGroup, group, members),
      (response) => response.errorCode,
      parting,
    )
  }

  /** Closes the connection for rounds. */
  close(): void {
    const purpose = `/${this.#purpose}`
    this.#cluster.closeLink((key) => key.endsWith(purpose)).catch(() => undefined)
  }
}
