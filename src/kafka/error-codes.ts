import { type MillraceError, OptionsInvalidError } from '../kernel/index.ts'
import { KafkaNotAuthorisedError, KafkaRefusedError } from './errors.ts'

/** Error codes of the Kafka protocol that this engine tells apart ("Error Codes" of the protocol guide). */
export const errorCode = {
  unknownServerError: -1,
  none: 0,
  offsetOutOfRange: 1,
  corruptMessage: 2,
  unknownTopicOrPartition: 3,
  leaderNotAvailable: 5,
  notLeaderOrFollower: 6,
  requestTimedOut: 7,
  replicaNotAvailable: 9,
  messageTooLarge: 10,
  networkException: 13,
  coordinatorLoadInProgress: 14,
  coordinatorNotAvailable: 15,
  notCoordinator: 16,
  invalidTopic: 17,
  recordListTooLarge: 18,
  notEnoughReplicas: 19,
  notEnoughReplicasAfterAppend: 20,
  illegalGeneration: 22,
  inconsistentGroupProtocol: 23,
  unknownMemberId: 25,
  invalidSessionTimeout: 26,
  rebalanceInProgress: 27,
  topicAuthorizationFailed: 29,
  groupAuthorizationFailed: 30,
  clusterAuthorizationFailed: 31,
  invalidTimestamp: 32,
  unsupportedVersion: 35,
  topicAlreadyExists: 36,
  invalidPartitions: 37,
  invalidReplicationFactor: 38,
  invalidConfig: 40,
  notController: 41,
  invalidRequest: 42,
  unsupportedForMessageFormat: 43,
  policyViolation: 44,
  outOfOrderSequence: 45,
  duplicateSequence: 46,
  invalidProducerEpoch: 47,
  invalidTxnState: 48,
  invalidProducerIdMapping: 49,
  invalidTransactionTimeout: 50,
  concurrentTransactions: 51,
  transactionalIdAuthorizationFailed: 53,
  operationNotAttempted: 55,
  storageError: 56,
  saslAuthenticationFailed: 58,
  unknownProducerId: 59,
  reassignmentInProgress: 60,
  nonEmptyGroup: 68,
  groupIdNotFound: 69,
  fetchSessionIdNotFound: 70,
  listenerNotFound: 72,
  topicDeletionDisabled: 73,
  fencedLeaderEpoch: 74,
  unknownLeaderEpoch: 75,
  unsupportedCompressionType: 76,
  offsetNotAvailable: 78,
  memberIdRequired: 79,
  preferredLeaderNotAvailable: 80,
  groupMaxSizeReached: 81,
  fencedInstanceId: 82,
  invalidRecord: 87,
  unstableOffsetCommit: 88,
  throttlingQuotaExceeded: 89,
  producerFenced: 90,
  unknownTopicId: 100,
  fencedMemberEpoch: 110,
  unreleasedInstanceId: 111,
  unsupportedAssignor: 112,
  staleMemberEpoch: 113,
  transactionAbortable: 120,
} as const

const names = new Map<number, string>(Object.entries(errorCode).map(([name, code]) => [code, name]))

/** Codes that pass by themselves: the same request is sent again after a while, to the same broker or to another one. */
const passing: ReadonlySet<number> = new Set([
  errorCode.leaderNotAvailable,
  errorCode.notLeaderOrFollower,
  errorCode.requestTimedOut,
  errorCode.replicaNotAvailable,
  errorCode.networkException,
  errorCode.coordinatorLoadInProgress,
  errorCode.coordinatorNotAvailable,
  errorCode.notCoordinator,
  errorCode.notEnoughReplicas,
  errorCode.notEnoughReplicasAfterAppend,
  errorCode.notController,
  errorCode.concurrentTransactions,
  errorCode.storageError,
  errorCode.fetchSessionIdNotFound,
  errorCode.listenerNotFound,
  errorCode.fencedLeaderEpoch,
  errorCode.unknownLeaderEpoch,
  errorCode.offsetNotAvailable,
  errorCode.preferredLeaderNotAvailable,
  errorCode.unstableOffsetCommit,
  errorCode.throttlingQuotaExceeded,
])

/** Whether the same request may be answered otherwise a moment later. */
export function isPassing(code: number): boolean {
  return passing.has(code)
}

/** Codes that a batch gets for the sake of a record in it, or of its size: what was merged with it is refused in vain. */
const ofContent: ReadonlySet<number> = new Set([
  errorCode.corruptMessage,
  errorCode.messageTooLarge,
  errorCode.recordListTooLarge,
  errorCode.invalidTimestamp,
  errorCode.unsupportedForMessageFormat,
  errorCode.invalidRecord,
])

/** Whether a batch that was put together out of several may be refused for the sake of one of them. */
export function isOfContent(code: number): boolean {
  return ofContent.has(code)
}

/** Whether a producer's session is over, so that what it had under way is undone and it starts anew. */
export function endsSession(code: number): boolean {
  return (
    code === errorCode.invalidProducerEpoch ||
    code === errorCode.invalidTxnState ||
    code === errorCode.invalidProducerIdMapping ||
    code === errorCode.outOfOrderSequence ||
    code === errorCode.unknownProducerId ||
    code === errorCode.producerFenced ||
    code === errorCode.transactionAbortable
  )
}

/** What a refusal is called where people read it. */
export function nameOfCode(code: number): string {
  const name = names.get(code)
  return name === undefined ? `error ${code}` : name.replace(/[A-Z]/g, (letter) => `_${letter}`).toUpperCase()
}

/**
 * The error for a code. `name` is that of the topic or group in question. What passes by itself, and a session of a producer that was
 * ended, is no fault of what was asked, and nothing of it was done.
 */
export function refusalOf(request: string, code: number, name: string, message?: string | null): MillraceError {
  if (code === errorCode.topicAuthorizationFailed) return new KafkaNotAuthorisedError('topic', name)
  if (code === errorCode.groupAuthorizationFailed) return new KafkaNotAuthorisedError('group', name)
  if (code === errorCode.clusterAuthorizationFailed) return new KafkaNotAuthorisedError('cluster', name)
  if (code === errorCode.transactionalIdAuthorizationFailed) {
    return new KafkaNotAuthorisedError('transactional id', name)
  }
  if (code === errorCode.invalidConfig) {
    const problem = message ?? 'were refused by the brokers'
    return new OptionsInvalidError(`topic "${name}"`, [{ option: 'config', problem }])
  }
  const fault = isPassing(code) || endsSession(code) ? 'passing' : undefined
  return new KafkaRefusedError(request, code, nameOfCode(code), message, fault)
}
