import type { API } from '@platformatic/kafka'
import { KafkaClientMissingError } from './errors.ts'

/** The client library: its connections, and the requests and responses of the Kafka protocol. */
export type KafkaLibrary = typeof import('@platformatic/kafka')

/** A connection to one broker. */
export type KafkaConnection = InstanceType<KafkaLibrary['Connection']>

/** One request of the protocol in its versions, newest first. All take the same arguments. */
export type ProtocolRequest<Arguments extends unknown[], Response> = readonly API<Arguments, Response>[]

/**
 * Loads the client library, which is an optional peer: who uses another engine need not have it.
 * @throws KafkaClientMissingError
 */
export async function loadKafkaLibrary(): Promise<KafkaLibrary> {
  try {
    return await import('@platformatic/kafka')
  } catch (cause) {
    throw new KafkaClientMissingError({ cause })
  }
}

function versions<Arguments extends unknown[], Response>(
  newest: API<Arguments, Response>,
  // Older versions answer less; what they leave out is nothing that this engine reads.
  ...older: readonly { readonly api: object }[]
): ProtocolRequest<Arguments, Response> {
  return [newest, ...older.map(({ api }) => api as API<Arguments, Response>)]
}

/** The requests that the engine sends, as the library packs them. Those with record batches are in `raw-requests.ts`. */
export function protocolOf(l: KafkaLibrary): Protocol {
  return {
    apiVersions: versions(l.apiVersionsV3.api),
    metadata: versions(l.metadataV12.api, l.metadataV11, l.metadataV10, l.metadataV9),
    findCoordinator: versions(l.findCoordinatorV6.api, l.findCoordinatorV5, l.findCoordinatorV4),
    createTopics: versions(l.createTopicsV7.api, l.createTopicsV6, l.createTopicsV5),
    deleteTopics: versions(l.deleteTopicsV6.api),
    createPartitions: versions(l.createPartitionsV3.api, l.createPartitionsV2),
    describeConfigs: versions(l.describeConfigsV4.api),
    alterConfigs: versions(l.incrementalAlterConfigsV1.api),
    describeLogDirs: versions(l.describeLogDirsV4.api, l.describeLogDirsV3, l.describeLogDirsV2),
    deleteRecords: versions(l.deleteRecordsV2.api),
    listOffsets: versions(l.listOffsetsV9.api, l.listOffsetsV8, l.listOffsetsV7, l.listOffsetsV6),
    initProducerId: versions(l.initProducerIdV5.api, l.initProducerIdV4, l.initProducerIdV3),
    addPartitionsToTxn: versions(l.addPartitionsToTxnV3.api),
    addOffsetsToTxn: versions(l.addOffsetsToTxnV4.api, l.addOffsetsToTxnV3),
    txnOffsetCommit: versions(l.txnOffsetCommitV4.api, l.txnOffsetCommitV3),
    endTxn: versions(l.endTxnV4.api, l.endTxnV3),
    offsetCommit: versions(l.offsetCommitV9.api, l.offsetCommitV8),
    offsetFetch: versions(l.offsetFetchV9.api, l.offsetFetchV8),
    listGroups: versions(l.listGroupsV5.api, l.listGroupsV4),
    deleteGroups: versions(l.deleteGroupsV2.api),
    describeGroups: versions(l.describeGroupsV5.api),
    describeConsumerGroups: versions(l.consumerGroupDescribeV0.api),
    consumerGroupHeartbeat: versions(l.consumerGroupHeartbeatV1.api),
    joinGroup: versions(l.joinGroupV9.api, l.joinGroupV8, l.joinGroupV7, l.joinGroupV6),
    syncGroup: versions(l.syncGroupV5.api),
    heartbeat: versions(l.heartbeatV4.api),
    leaveGroup: versions(l.leaveGroupV5.api, l.leaveGroupV4),
  }
}

type RequestOf<Api> = Api extends API<infer Arguments, infer Response> ? ProtocolRequest<Arguments, Response> : never

/** See {@link protocolOf}. */
export interface Protocol {
  readonly apiVersions: RequestOf<KafkaLibrary['apiVersionsV3']['api']>
  readonly metadata: RequestOf<KafkaLibrary['metadataV12']['api']>
  readonly findCoordinator: RequestOf<KafkaLibrary['findCoordinatorV6']['api']>
  readonly createTopics: RequestOf<KafkaLibrary['createTopicsV7']['api']>
  readonly deleteTopics: RequestOf<KafkaLibrary['deleteTopicsV6']['api']>
  readonly createPartitions: RequestOf<KafkaLibrary['createPartitionsV3']['api']>
  readonly describeConfigs: RequestOf<KafkaLibrary['describeConfigsV4']['api']>
  readonly alterConfigs: RequestOf<KafkaLibrary['incrementalAlterConfigsV1']['api']>
  readonly describeLogDirs: RequestOf<KafkaLibrary['describeLogDirsV4']['api']>
  readonly deleteRecords: RequestOf<KafkaLibrary['deleteRecordsV2']['api']>
  readonly listOffsets: RequestOf<KafkaLibrary['listOffsetsV9']['api']>
  readonly initProducerId: RequestOf<KafkaLibrary['initProducerIdV5']['api']>
  readonly addPartitionsToTxn: RequestOf<KafkaLibrary['addPartitionsToTxnV3']['api']>
  readonly addOffsetsToTxn: RequestOf<KafkaLibrary['addOffsetsToTxnV4']['api']>
  readonly txnOffsetCommit: RequestOf<KafkaLibrary['txnOffsetCommitV4']['api']>
  readonly endTxn: RequestOf<KafkaLibrary['endTxnV4']['api']>
  readonly offsetCommit: RequestOf<KafkaLibrary['offsetCommitV9']['api']>
  readonly offsetFetch: RequestOf<KafkaLibrary['offsetFetchV9']['api']>
  readonly listGroups: RequestOf<KafkaLibrary['listGroupsV5']['api']>
  readonly deleteGroups: RequestOf<KafkaLibrary['deleteGroupsV2']['api']>
  readonly describeGroups: RequestOf<KafkaLibrary['describeGroupsV5']['api']>
  readonly describeConsumerGroups: RequestOf<KafkaLibrary['consumerGroupDescribeV0']['api']>
  readonly consumerGroupHeartbeat: RequestOf<KafkaLibrary['consumerGroupHeartbeatV1']['api']>
  readonly joinGroup: RequestOf<KafkaLibrary['joinGroupV9']['api']>
  readonly syncGroup: RequestOf<KafkaLibrary['syncGroupV5']['api']>
  readonly heartbeat: RequestOf<KafkaLibrary['heartbeatV4']['api']>
  readonly leaveGroup: RequestOf<KafkaLibrary['leaveGroupV5']['api']>
}

/** What a request is answered with. */
export type ResponseOf<Name extends keyof Protocol> =
  Protocol[Name] extends ProtocolRequest<infer _Arguments, infer Response> ? Response : never
