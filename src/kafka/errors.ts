import type { Kept } from '../engine/index.ts'
import { type Fault, MillraceError } from '../kernel/index.ts'

/** The client library is not installed. */
export class KafkaClientMissingError extends MillraceError<'KAFKA_CLIENT_MISSING', { readonly package: string }> {
  constructor(options: ErrorOptions) {
    super(
      {
        code: 'KAFKA_CLIENT_MISSING',
        problem: 'The Kafka engine needs the package @platformatic/kafka, which cannot be loaded.',
        remedy: 'Install it beside millrace: npm install @platformatic/kafka',
        details: { package: '@platformatic/kafka' },
      },
      options,
    )
  }
}

/**
 * No broker answered within the time that was given. That passes, unless it was the time for which a program that runs shall wait
 * for them: then it has to be opened anew.
 */
export class KafkaUnreachableError extends MillraceError<
  'KAFKA_UNREACHABLE',
  { readonly brokers: readonly string[]; readonly reason: string }
> {
  constructor(
    brokers: readonly string[],
    reason: string,
    { fault = 'passing', ...options }: ErrorOptions & { readonly fault?: Fault } = {},
  ) {
    super(
      {
        code: 'KAFKA_UNREACHABLE',
        problem: `No Kafka broker of ${brokers.join(', ')} could be used: ${reason}.`,
        remedy: 'Check that the brokers run, that their addresses are right, and that they can be reached from here.',
        details: { brokers, reason },
        fault,
      },
      options,
    )
  }
}

/** A broker refused who asked. */
export class KafkaLoginRefusedError extends MillraceError<
  'KAFKA_LOGIN_REFUSED',
  { readonly broker: string; readonly mechanism: string }
> {
  constructor(broker: string, mechanism: string, options?: ErrorOptions) {
    super(
      {
        code: 'KAFKA_LOGIN_REFUSED',
        problem: `Broker ${broker} refused the login by ${mechanism}.`,
        remedy: 'Check user, password or token in sasl, and that the listener offers this mechanism.',
        details: { broker, mechanism },
      },
      options,
    )
  }
}

/** A connection that is not, or cannot be, encrypted as it should be. */
export class KafkaTlsError extends MillraceError<
  'KAFKA_TLS_REFUSED',
  { readonly broker: string; readonly reason: string }
> {
  constructor(broker: string, reason: string, options?: ErrorOptions) {
    super(
      {
        code: 'KAFKA_TLS_REFUSED',
        problem: `No encrypted connection to broker ${broker} came about: ${reason}.`,
        remedy:
          'Give the authority of its certificate in tls.ca, connect by a name that stands in the certificate, and use the port of a listener with TLS.',
        details: { broker, reason },
      },
      options,
    )
  }
}

/** The cluster does not let this login do what it was asked for. */
export class KafkaNotAuthorisedError extends MillraceError<
  'KAFKA_NOT_AUTHORISED',
  { readonly resource: 'topic' | 'group' | 'cluster' | 'transactional id'; readonly name: string }
> {
  constructor(resource: 'topic' | 'group' | 'cluster' | 'transactional id', name: string) {
    super({
      code: 'KAFKA_NOT_AUTHORISED',
      problem: `The login is not allowed to use the ${resource} "${name}".`,
      remedy:
        resource === 'transactional id'
          ? 'Let it write and describe transactional ids with this prefix (kafka-acls --transactional-id … --resource-pattern-type prefixed).'
          : `Give it the access to this ${resource} (kafka-acls), or use another login.`,
      details: { resource, name },
    })
  }
}

/** The brokers are too old, or another product, and lack something that this engine needs. */
export class KafkaFeatureMissingError extends MillraceError<'KAFKA_FEATURE_MISSING', { readonly feature: string }> {
  constructor(feature: string) {
    super({
      code: 'KAFKA_FEATURE_MISSING',
      problem: `The brokers do not offer ${feature}.`,
      remedy:
        'Use Kafka 3.0 or newer, for the groups of KIP-848 4.0 with them switched on, or a product that speaks its protocol to that extent.',
      details: { feature },
    })
  }
}

/** A request that the cluster refused. Where the reason passes by itself, so does the fault. */
export class KafkaRefusedError extends MillraceError<
  'KAFKA_REFUSED',
  { readonly request: string; readonly errorCode: number; readonly errorName: string }
> {
  constructor(request: string, errorCode: number, errorName: string, message?: string | null, fault?: Fault) {
    super({
      code: 'KAFKA_REFUSED',
      problem: `Kafka refused ${request}: ${errorName}${message ? ` (${message})` : ''}.`,
      remedy:
        'Nothing of it was done. The name of the error is one of the Kafka protocol, whose guide tells its cause.',
      details: { request, errorCode, errorName },
      ...(fault !== undefined && { fault }),
    })
  }
}

/** The connection was lost while a commit was on its way, and did not come back in time to ask for its outcome. */
export class KafkaOutcomeUnknownError extends MillraceError<'KAFKA_OUTCOME_UNKNOWN', { readonly waitedMs: number }> {
  constructor(waitedMs: number, options?: ErrorOptions) {
    super(
      {
        code: 'KAFKA_OUTCOME_UNKNOWN',
        problem: `Kafka could not be asked for ${waitedMs} ms whether a commit was made.`,
        remedy:
          'The commit may stand or not. Open the engine again: groups go on from what stands. Raise reconnectTimeoutMs to wait longer.',
        details: { waitedMs },
        fault: 'lasting',
      },
      options,
    )
  }
}

/** What is done out of order has more gaps than one offset commit can carry. Nothing of the commit was written. */
export class KafkaProgressScatteredError extends MillraceError<
  'KAFKA_PROGRESS_SCATTERED',
  { readonly group: string; readonly topic: string; readonly partition: number; readonly metadataBytesMax: number }
> {
  constructor(group: string, topic: string, partition: number, metadataBytesMax: number) {
    super({
      code: 'KAFKA_PROGRESS_SCATTERED',
      problem: `What group "${group}" has done of partition ${partition} of topic "${topic}" has more gaps than ${metadataBytesMax} bytes can tell.`,
      remedy:
        'Nothing of this commit was written; commit what closes gaps first. Or raise offset.metadata.max.bytes of the brokers, and offsetMetadataBytesMax with it.',
      details: { group, topic, partition, metadataBytesMax },
      // What closes gaps is on its way, and is no matter of the messages that were to be marked here.
      fault: 'passing',
    })
  }
}

/** A kind of thing that this engine does not keep. */
export class KafkaKeepsNotError extends MillraceError<'KAFKA_KEEPS_NOT', { readonly kind: Kept }> {
  constructor(kind: Kept) {
    super({
      code: 'KAFKA_KEEPS_NOT',
      problem: `The Kafka engine keeps topics and progress, but no ${kind}.`,
      remedy: `Compose it with an engine that keeps ${kind}, such as embedded() or postgres().`,
      details: { kind },
    })
  }
}

/** A producer of the caller's own numbering, which Kafka does not let one register by a name. */
export class KafkaProducerNumberingError extends MillraceError<'KAFKA_PRODUCER_NUMBERING', Record<string, never>> {
  constructor() {
    super({
      code: 'KAFKA_PRODUCER_NUMBERING',
      problem: 'The Kafka engine numbers its batches by itself and takes no numbers of its caller.',
      remedy: 'Leave the producer out: every commit is written once, also when the connection breaks.',
      details: {},
    })
  }
}

/** The local copy of state cannot be used. */
export class KafkaStateFileError extends MillraceError<
  'KAFKA_STATE_FILE_UNUSABLE',
  { readonly path: string; readonly reason: string }
> {
  constructor(path: string, reason: string, options?: ErrorOptions) {
    super(
      {
        code: 'KAFKA_STATE_FILE_UNUSABLE',
        problem: `The local copy of the state of Kafka at ${path} cannot be used: ${reason}.`,
        remedy:
          'Give each process a state.folder of its own, on a disk with room that it may write to. Nothing is lost with the file: stopped, delete it, and it is read from the changelog again.',
        details: { path, reason },
        fault: 'lasting',
      },
      options,
    )
  }
}

/** The topic that should be a changelog forgets what it should keep. */
export class KafkaChangelogUnfitError extends MillraceError<
  'KAFKA_CHANGELOG_UNFIT',
  { readonly topic: string; readonly reason: string }
> {
  constructor(topic: string, reason: string) {
    super({
      code: 'KAFKA_CHANGELOG_UNFIT',
      problem: `Topic "${topic}" cannot be a changelog of state: ${reason}.`,
      remedy: 'Name another topic in state.topic; one that is not there is made as it has to be.',
      details: { topic, reason },
    })
  }
}
