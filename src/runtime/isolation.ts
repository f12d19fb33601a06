import { OffsetSet } from '../engine/index.ts'
import type { CommitBatch } from './commit-batch.ts'
import type { PartitionReader } from './partition-reader.ts'
import type { Task } from './task.ts'

/** What of one partition may hold what the engine refuses. */
interface Suspicion {
  /** Everything before it is cleared up. */
  from: number
  to: number
  /** Messages that were refused, or failed, when they were by themselves. */
  readonly found: OffsetSet
}

/**
 * Finds the messages whose effects the engine refuses. A refused commit of many does not tell which of them it was: so they are
 * committed one by one, and nothing is merged before each of them is either durable or found. Else the next refusal, of which there may
 * be many, would end what those before it have begun. What was found is committed by itself from then on, and in nobody's way.
 */
export class Isolation {
  /** Those that this member owns. */
  readonly #readers: ReadonlyMap<string, PartitionReader>
  readonly #suspicions = new WeakMap<PartitionReader, Suspicion>()
  #mayBeOn = false
  #hasFound = false

  constructor(readers: ReadonlyMap<string, PartitionReader>) {
    this.#readers = readers
  }

  /** A merged commit was refused. */
  suspect({ progress, checkpoints }: CommitBatch): void {
    for (const { reader, ranges } of progress) for (const { from, to } of ranges) this.#suspect(reader, from, to)
    for (const { reader, from, offset } of checkpoints) this.#suspect(reader, from, offset + 1)
  }

  /** Whether a task is to be committed by itself. */
  covers({ reader, offset }: Task): boolean {
    if (this.#isOn) return true
    return this.#hasFound && this.#suspicions.get(reader)?.found.has(offset) === true
  }

  /** A task failed, or was refused by itself. */
  found({ kind, reader, from, offset }: Task): void {
    const suspicion = kind === 'record' ? this.#suspicions.get(reader) : undefined
    if (suspicion === undefined || offset >= suspicion.to) return
    suspicion.found.add(from, offset + 1)
    this.#hasFound = true
  }

  #suspect(reader: PartitionReader, from: number, to: number): void {
    const suspicion = this.#suspicions.get(reader)
    if (suspicion === undefined) {
      this.#suspicions.set(reader, { from, to, found: new OffsetSet({ next: 0, done: [] }) })
    } else {
      suspicion.from = this.#isOpen(reader) ? Math.min(suspicion.from, from) : from
      suspicion.to = Math.max(suspicion.to, to)
    }
    this.#mayBeOn = true
  }

  get #isOn(): boolean {
    if (!this.#mayBeOn) return false
    for (const reader of this.#readers.values()) if (this.#isOpen(reader)) return true
    this.#mayBeOn = false
    return false
  }

  #isOpen(reader: PartitionReader): boolean {
    const suspicion = this.#suspicions.get(reader)
    if (suspicion === undefined) return false
    const { committed } = reader
    suspicion.from = Math.max(suspicion.from, committed.next)
    while (suspicion.from < suspicion.to && (committed.has(suspicion.from) || suspicion.found.has(suspicion.from))) {
      suspicion.from++
    }
    // Where the topic was made anew, it may not reach that far any more.
    return suspicion.from < Math.min(suspicion.to, reader.latest)
  }
}
