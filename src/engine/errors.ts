import { MillraceError } from '../kernel/index.ts'

/** A topic that does not exist. */
export class TopicUnknownError extends MillraceError<'TOPIC_UNKNOWN', { readonly topic: string }> {
  constructor(topic: string) {
    super({
      code: 'TOPIC_UNKNOWN',
      problem: `Topic "${topic}" does not exist.`,
      remedy: 'Create it with topics.create(), or correct its name.',
      details: { topic },
    })
  }
}

/** A topic that was to be created but exists. */
export class TopicExistsError extends MillraceError<'TOPIC_EXISTS', { readonly topic: string }> {
  constructor(topic: string) {
    super({
      code: 'TOPIC_EXISTS',
      problem: `Topic "${topic}" exists already.`,
      remedy: 'Use topics.ensure() where that is fine, or topics.alter() to change it.',
      details: { topic },
    })
  }
}

/** A topic name that Kafka would refuse as well. */
export class TopicNameInvalidError extends MillraceError<'TOPIC_NAME_INVALID', { readonly topic: string }> {
  constructor(topic: string) {
    super({
      code: 'TOPIC_NAME_INVALID',
      problem: `${JSON.stringify(topic.slice(0, 300))} is no topic name.`,
      remedy: 'Use 1 to 249 of the characters a-z, A-Z, 0-9, dot, underscore and hyphen; "." and ".." are not names.',
      details: { topic },
    })
  }
}

/** A partition number outside the topic. */
export class PartitionUnknownError extends MillraceError<
  'PARTITION_UNKNOWN',
  { readonly topic: string; readonly partition: number; readonly partitionCount: number }
> {
  constructor(topic: string, partition: number, partitionCount: number) {
    super({
      code: 'PARTITION_UNKNOWN',
      problem: `Topic "${topic}" has no partition ${typeof partition === 'number' ? partition : JSON.stringify(partition)}.`,
      remedy: `Its partitions are 0 to ${partitionCount - 1}.`,
      details: { topic, partition, partitionCount },
    })
  }
}

/** An offset that is no longer, or not yet, in the partition. */
export class OffsetOutOfRangeError extends MillraceError<
  'OFFSET_OUT_OF_RANGE',
  {
    readonly topic: string
    readonly partition: number
    readonly offset: number
    readonly earliest: number
    readonly latest: number
  }
> {
  constructor(topic: string, partition: number, offset: number, earliest: number, latest: number) {
    super({
      code: 'OFFSET_OUT_OF_RANGE',
      problem: `Offset ${offset} is outside partition ${partition} of topic "${topic}".`,
      remedy: `It holds offsets ${earliest} to ${latest}; start at 'earliest' or 'latest'.`,
      details: { topic, partition, offset, earliest, latest },
    })
  }
}

/** A batch of an idempotent producer that leaves a gap in its numbering. */
export class OutOfSequenceError extends MillraceError<
  'OUT_OF_SEQUENCE',
  {
    readonly producerId: number
    readonly topic: string
    readonly partition: number
    readonly expected: number
    readonly sequence: number
  }
> {
  constructor(producerId: number, topic: string, partition: number, expected: number, sequence: number) {
    super({
      code: 'OUT_OF_SEQUENCE',
      problem: `Producer ${producerId} sent sequence ${sequence} to partition ${partition} of topic "${topic}", where ${expected} comes next.`,
      remedy:
        'A batch in between was lost or this one is older than the last five: register the producer again and check what arrived.',
      details: { producerId, topic, partition, expected, sequence },
    })
  }
}

/** A producer whose epoch is over: another one registered under its name. */
export class ProducerFencedError extends MillraceError<
  'PRODUCER_FENCED',
  { readonly producerId: number; readonly epoch: number; readonly currentEpoch: number }
> {
  constructor(producerId: number, epoch: number, currentEpoch: number) {
    super({
      code: 'PRODUCER_FENCED',
      problem: `Producer ${producerId} writes with epoch ${epoch}, but its epoch is ${currentEpoch}.`,
      remedy: 'Another process registered the same producer name: stop this one, or give each its own name.',
      details: { producerId, epoch, currentEpoch },
    })
  }
}

/** A producer that is not, or no longer, registered here. */
export class ProducerUnknownError extends MillraceError<'PRODUCER_UNKNOWN', { readonly producerId: number }> {
  constructor(producerId: number) {
    super({
      code: 'PRODUCER_UNKNOWN',
      problem: `Producer ${producerId} is not registered here, or a later registration of its name was given another id.`,
      remedy:
        'Register it by its name with topics.registerProducer(), and number its batches from 0 under what that answers.',
      details: { producerId },
    })
  }
}

/** A consumer group that nobody has used. */
export class GroupUnknownError extends MillraceError<'GROUP_UNKNOWN', { readonly group: string }> {
  constructor(group: string) {
    super({
      code: 'GROUP_UNKNOWN',
      problem: `Consumer group "${group}" does not exist.`,
      remedy: 'List the groups, or start the app that uses it once.',
      details: { group },
    })
  }
}

/** A change that needs a group without members. */
export class GroupActiveError extends MillraceError<
  'GROUP_ACTIVE',
  { readonly group: string; readonly memberCount: number }
> {
  constructor(group: string, memberCount: number) {
    super({
      code: 'GROUP_ACTIVE',
      problem: `Consumer group "${group}" has ${memberCount} active member(s).`,
      remedy: 'Stop the apps that use it, then try again.',
      details: { group, memberCount },
    })
  }
}

/** A stream of the event store that does not exist. */
export class StreamUnknownError extends MillraceError<'STREAM_UNKNOWN', { readonly stream: string }> {
  constructor(stream: string) {
    super({
      code: 'STREAM_UNKNOWN',
      problem: `Stream "${stream}" does not exist.`,
      remedy: 'Append to it first, or correct its name.',
      details: { stream },
    })
  }
}

/** A stream lost events that a reader of it had still to come to. */
export class StreamTruncatedError extends MillraceError<
  'STREAM_TRUNCATED',
  { readonly stream: string; readonly version: number; readonly truncatedBefore: number }
> {
  constructor(stream: string, version: number, truncatedBefore: number) {
    super({
      code: 'STREAM_TRUNCATED',
      problem: `Stream "${stream}" was truncated before version ${truncatedBefore} while a reader was at version ${version}.`,
      remedy:
        'Read it again from its beginning: what was read so far is not all that was there, nor what is there now.',
      details: { stream, version, truncatedBefore },
    })
  }
}

/** A commit, a read or another call that no engine can carry out: a mistake of the caller, found before anything was done. */
export class ArgumentInvalidError extends MillraceError<
  'ARGUMENT_INVALID',
  { readonly place: string; readonly reason: string }
> {
  constructor(place: string, reason: string) {
    super({
      code: 'ARGUMENT_INVALID',
      problem: `The call cannot be carried out: ${place} ${reason}.`,
      remedy: 'Correct it; nothing was read or stored.',
      details: { place, reason },
    })
  }
}
