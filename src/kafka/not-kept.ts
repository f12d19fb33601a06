import type { EventStore, Kept, StateStore, Timers } from '../engine/index.ts'
import { KafkaKeepsNotError } from './errors.ts'
import type { Door } from './kafka-topics.ts'

// The parts of the port that stand for what Kafka does not keep. A deployment puts those of another engine in their place;
// who uses this one by itself is told so by name.

function refuse(door: Door, kind: Kept): () => Promise<never> {
  return async () => {
    door.refuseIfDone()
    throw new KafkaKeepsNotError(kind)
  }
}

function refuseToIterate(door: Door, kind: Kept): () => AsyncIterable<never> {
  const refused = refuse(door, kind)
  return () => ({ [Symbol.asyncIterator]: () => ({ next: refused }) })
}

export function noEvents(door: Door): EventStore {
  const refused = refuse(door, 'events')
  const iteration = refuseToIterate(door, 'events')
  return {
    readStream: iteration,
    readAll: iteration,
    subscribe: iteration,
    describeStream: refused,
    listStreams: refused,
    lastPosition: refused,
    truncateStream: refused,
    deleteStream: refused,
    addTags: refused,
  }
}

export function noState(door: Door): StateStore {
  const refused = refuse(door, 'state')
  return {
    get: refused,
    getMany: refused,
    range: refused,
    count: refused,
    namespaces: refused,
    watch: refuseToIterate(door, 'state'),
  }
}

export function noTimers(door: Door): Timers {
  const refused = refuse(door, 'timers')
  return {
    due: refused,
    nextDueMs: refused,
    list: refused,
    onScheduled: () => {
      door.refuseIfDone()
      throw new KafkaKeepsNotError('timers')
    },
  }
}
