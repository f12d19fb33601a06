import type { Engine, StateEntry, StateWrite } from '../engine/index.ts'
import { InvariantError, type Json } from '../kernel/index.ts'
import { originalOf } from './dead-letter-entry.ts'
import type { KeptOriginal } from './dead-letters.ts'
import { escapedSegment, parkedKeyNamespace, parkedNamespace, sortableNumber } from './namespaces.ts'
import type { PartitionReader } from './partition-reader.ts'
import type { Task } from './task.ts'

/** A key whose messages wait behind a dead letter. */
export interface ParkedKey {
  readonly key: string
  /** Partition of the dead letter: who owns it also owns what waits. */
  readonly reader: PartitionReader
  /** Id of the dead letter in front; `null`: it is gone, what waits can be handled. */
  head: string | null
  /** Number of the next message that has to wait; `undefined`: not looked up yet. */
  nextSequence: number | undefined
}

/** Keys that a member parks: each is in its memory. */
export const parkedKeysMax = 100_000

/**
 * Keys that are parked and the messages that wait behind them, in the order of their arrival. The keys of the partitions
 * at hand are in memory (some 100,000 at most: beyond, what would park another key waits until there is room), the messages only in
 * the store.
 */
export class Parking {
  readonly #engine: Engine
  readonly #keyNamespace: string
  readonly #namespace: string
  /** Several queues for a key only where members that each parked it have left their partitions to this one. */
  readonly #keys = new Map<string, ParkedKey[]>()

  constructor(engine: Engine, group: string) {
    this.#engine = engine
    this.#keyNamespace = parkedKeyNamespace(group)
    this.#namespace = parkedNamespace(group)
  }

  get size(): number {
    return this.#keys.size
  }

  /** Whether no more can be parked, and a key of these is not parked yet. */
  lacksRoomFor(keys: readonly string[]): boolean {
    return this.#keys.size >= parkedKeysMax && keys.some((key) => !this.#keys.has(key))
  }

  /** Where messages of a key that come from this partition have to wait, if they have to. */
  queueFor(key: string | undefined, reader: PartitionReader): ParkedKey | undefined {
    const queues = key === undefined ? undefined : this.#keys.get(key)
    return queues?.find((parked) => parked.reader === reader) ?? queues?.[0]
  }

  /** The queue behind a dead letter. */
  behind(key: string | undefined, head: string): ParkedKey | undefined {
    return key === undefined ? undefined : this.#keys.get(key)?.find((parked) => parked.head === head)
  }

  /** A queue of the key whose dead letter is gone. */
  released(key: string): ParkedKey | undefined {
    return this.#keys.get(key)?.find((parked) => parked.head === null)
  }

  /**
   * Finds the keys that are parked behind dead letters of a partition; answers those whose dead letter is gone.
   *
   * @param isCurrent Whether the partition is still to be looked after: what was forgotten must not come back.
   */
  async load(reader: PartitionReader, isCurrent: () => boolean): Promise<readonly ParkedKey[]> {
    const prefix = `${reader.topic}/${reader.partition}/`
    const released: ParkedKey[] = []
    let after: string | undefined
    for (;;) {
      const range = { prefix, limit: 1000, ...(after !== undefined && { after }) }
      const page = await this.#engine.state.range(this.#keyNamespace, range, reader.claim)
      if (!isCurrent()) return []
      for (const entry of page) {
        const key = entry.key.slice(prefix.length)
        const head = (entry.value as { readonly head: string | null }).head
        const parked: ParkedKey = { key, reader, head, nextSequence: undefined }
        this.#add(parked)
        if (head === null) released.push(parked)
      }
      if (page.length < 1000) return released
      after = page.at(-1)?.key
    }
  }

  /** What parks a key behind a dead letter, or puts another one in front. It belongs into the commit that makes the dead letter … */
  parkWrite(key: string, reader: PartitionReader, head: string): StateWrite {
    return this.#keyWrite({ key, reader, head })
  }

  /** … and that it is so here, too, as soon as later messages of the key shall wait. */
  park(key: string, reader: PartitionReader, head: string): void {
    const parked = this.#keys.get(key)?.find((one) => one.reader === reader)
    if (parked === undefined) this.#add({ key, reader, head, nextSequence: undefined })
    else parked.head = head
  }

  /** Says that the dead letter in front is gone. */
  releaseWrite(parked: ParkedKey): StateWrite {
    return this.#keyWrite({ ...parked, head: null })
  }

  /** Nothing waits any more … */
  unparkWrite(parked: ParkedKey): StateWrite {
    return { kind: 'delete', namespace: this.#keyNamespace, key: this.#keyOf(parked), owner: parked.reader.claim }
  }

  /** … so the key is as any other. */
  unpark(parked: ParkedKey): void {
    this.#keep(parked.key, (one) => one !== parked)
  }

  /** Looks up where the queue of a key ends. */
  async locate(parked: ParkedKey): Promise<void> {
    const range = { prefix: this.#prefix(parked), reverse: true, limit: 1 }
    const [last] = await this.#engine.state.range(this.#namespace, range, parked.reader.claim)
    parked.nextSequence = last === undefined ? 0 : Number(last.key.slice(this.#prefix(parked).length)) + 1
  }

  /** Puts the message of a task at the end of its key's queue. */
  enqueueWrite(parked: ParkedKey, task: Task): StateWrite {
    if (parked.nextSequence === undefined) throw new InvariantError('a parked key was located before it is queued at')
    return {
      kind: 'set',
      namespace: this.#namespace,
      key: `${this.#prefix(parked)}${sortableNumber(parked.nextSequence++)}`,
      // Should another member have a queue of this name, neither overwrites what the other lets wait.
      expectedRevision: 0,
      owner: parked.reader.claim,
      value: {
        original: originalOf(task),
        topic: task.reader.topic,
        partition: task.reader.partition,
        offset: task.offset,
        timestampMs: task.timestampMs,
      } as unknown as Json,
    }
  }

  /** The messages that wait first. */
  waiting(parked: ParkedKey, limit: number): Promise<readonly StateEntry[]> {
    return this.#engine.state.range(this.#namespace, { prefix: this.#prefix(parked), limit }, parked.reader.claim)
  }

  /** Takes a message that waited out of its queue. */
  dequeueWrite({ parked, reader }: Task): StateWrite {
    if (parked === undefined) throw new InvariantError('only what was parked is taken out of a queue')
    const { stateKey: key, revision: expectedRevision } = parked
    return { kind: 'delete', namespace: this.#namespace, key, expectedRevision, owner: reader.claim }
  }

  /** Forgets the keys of a partition, or all: they stand in the store. */
  forget(reader?: PartitionReader): void {
    for (const key of this.#keys.keys()) this.#keep(key, (one) => reader !== undefined && one.reader !== reader)
  }

  #add(parked: ParkedKey): void {
    const queues = this.#keys.get(parked.key)
    if (queues === undefined) this.#keys.set(parked.key, [parked])
    else queues.push(parked)
  }

  #keep(key: string, isKept: (parked: ParkedKey) => boolean): void {
    const kept = this.#keys.get(key)?.filter(isKept) ?? []
    if (kept.length === 0) this.#keys.delete(key)
    else this.#keys.set(key, kept)
  }

  #keyWrite(parked: Omit<ParkedKey, 'nextSequence'>): StateWrite {
    const { head, reader } = parked
    return {
      kind: 'set',
      namespace: this.#keyNamespace,
      key: this.#keyOf(parked),
      value: { head },
      owner: reader.claim,
    }
  }

  #keyOf(parked: Omit<ParkedKey, 'nextSequence'>): string {
    return `${parked.reader.topic}/${parked.reader.partition}/${parked.key}`
  }

  #prefix(parked: ParkedKey): string {
    return `${parked.reader.topic}/${parked.reader.partition}/${escapedSegment(parked.key)}/`
  }
}

/** A message that waits, as {@link Parking.enqueueWrite} wrote it. */
export interface ParkedMessage {
  readonly original: KeptOriginal
  readonly topic: string
  readonly partition: number
  readonly offset: number
  readonly timestampMs: number
}
