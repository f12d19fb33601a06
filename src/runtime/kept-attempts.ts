import type { Engine } from '../engine/index.ts'
import type { Clock, Json } from '../kernel/index.ts'
import { identityOf } from '../message/index.ts'
import type { CommitBatch } from './commit-batch.ts'
import { attemptsNamespace, crashNamespace, sortableNumber } from './namespaces.ts'
import type { PartitionReader } from './partition-reader.ts'
import type { Task } from './task.ts'

/** Pauses from this length on are long enough that the app may start anew meanwhile. */
const keptFromMs = 1000
const pageSize = 1000

/** What is kept of the attempts at a message. */
interface KeptAttempt {
  /** Of the message: the topic may have been made anew. */
  readonly identity: string
  /** The retry policy in words: with another one, attempts begin anew. */
  readonly policy: string
  readonly attempt: number
  /** When the first attempt began, when it failed, and when the last one failed; milliseconds since 1970. */
  readonly beganMs: number
  readonly firstFailureMs: number
  readonly failedMs: number
  /** From there to the next one. */
  readonly delayMs: number
  /** What its retry policy counts. */
  readonly counts: Readonly<Record<string, number>>
}

/**
 * Attempts at messages of topics whose next one is a second away or more. They stand in the store until the message is done, so that
 * whoever has the partition by then goes on counting, and waits for what is left of the pause.
 */
export class KeptAttempts {
  readonly #engine: Engine
  readonly #namespace: string
  readonly #policy: string
  readonly #clock: Clock
  /** What earlier owners kept, and nobody has asked for yet. */
  readonly #found = new Map<PartitionReader, Map<number, Json>>()

  /** @param policy The handler's retry policy in words. */
  constructor(engine: Engine, group: string, policy: string, clock: Clock) {
    this.#engine = engine
    this.#namespace = attemptsNamespace(group)
    this.#policy = String(policy)
    this.#clock = clock
  }

  /**
   * Finds what is kept about a partition. What is done since is removed with a later commit.
   *
   * @param isCurrent Whether the partition is still to be looked after.
   */
  async load(reader: PartitionReader, batch: () => CommitBatch, isCurrent: () => boolean): Promise<void> {
    const prefix = `${reader.topic}/${reader.partition}/`
    const found = new Map<number, Json>()
    let after: string | undefined
    for (;;) {
      const range = { prefix, limit: pageSize, ...(after !== undefined && { after }) }
      const page = await this.#engine.state.range(this.#namespace, range, reader.claim)
      if (!isCurrent()) return
      for (const { key, value } of page) {
        const offset = Number(key.slice(prefix.length))
        if (reader.committed.has(offset)) this.#remove(reader, offset, batch())
        else found.set(offset, value)
      }
      if (page.length < pageSize) break
      after = page.at(-1)?.key
    }
    if (found.size > 0) this.#found.set(reader, found)
  }

  /** Forgets what was found about a partition, or all: it stands in the store. */
  forget(reader?: PartitionReader): void {
    if (reader === undefined) this.#found.clear()
    else this.#found.delete(reader)
  }

  /** Lets a message that was read go on where the attempts at it stood. */
  resume(task: Task): void {
    if (this.#found.size === 0) return
    const found = this.#found.get(task.reader)
    const kept = found?.get(task.offset)
    if (found === undefined || kept === undefined) return
    found.delete(task.offset)
    if (found.size === 0) this.#found.delete(task.reader)
    task.isKept = true
    if (!isKeptAttempt(kept) || kept.policy !== this.#policy) return
    if (!task.hasMessage || kept.identity !== identityOf(task.message)) return
    const nowMs = this.#clock.nowMs()
    task.attempt = kept.attempt
    task.firstAttemptMs = this.#clock.monotonicMs() - Math.max(0, nowMs - kept.beganMs)
    task.firstFailureMs = kept.firstFailureMs
    task.retryCounts = new Map(Object.entries(kept.counts))
    // A clock that was set back must not make it wait any longer than it was to.
    task.pauseMs = Math.min(kept.delayMs, Math.max(1, kept.failedMs + kept.delayMs - nowMs))
  }

  /** Keeps the attempts at a message that is tried again after so many milliseconds, if that is long. */
  keep(task: Task, delayMs: number, batch: CommitBatch): boolean {
    if (delayMs < keptFromMs || task.kind !== 'record' || !task.hasMessage) return false
    const failedMs = this.#clock.nowMs()
    const value: KeptAttempt = {
      identity: identityOf(task.message),
      policy: this.#policy,
      attempt: task.attempt,
      beganMs: failedMs - Math.round(this.#clock.monotonicMs() - task.firstAttemptMs),
      firstFailureMs: task.firstFailureMs,
      failedMs,
      delayMs,
      counts: Object.fromEntries(task.retryCounts ?? []),
    }
    task.isKept = true
    batch.addClaim(task.reader)
    batch.addOtherState({
      kind: 'set',
      ...this.#place(task.reader, task.offset),
      value: value as unknown as Json,
    })
    return true
  }

  /** Nothing is tried any more. */
  done(task: Task, batch: CommitBatch): void {
    task.isKept = false
    this.#remove(task.reader, task.offset, batch)
  }

  #remove(reader: PartitionReader, offset: number, batch: CommitBatch): void {
    batch.addClaim(reader)
    batch.addOtherState({ kind: 'delete', ...this.#place(reader, offset) })
  }

  #place(reader: PartitionReader, offset: number) {
    const key = `${reader.topic}/${reader.partition}/${sortableNumber(offset)}`
    return { namespace: this.#namespace, key, owner: reader.claim }
  }
}

function isKeptAttempt(value: unknown): value is KeptAttempt {
  const { identity, policy, counts, ...numbers } = (value ?? {}) as Partial<KeptAttempt>
  const times = [numbers.attempt, numbers.beganMs, numbers.firstFailureMs, numbers.failedMs, numbers.delayMs]
  return (
    typeof identity === 'string' &&
    typeof policy === 'string' &&
    typeof counts === 'object' &&
    counts !== null &&
    times.every(Number.isFinite)
  )
}

/** Has the attempts of a group begin anew, of which no member is at work: as it is reset or deleted by hand. */
export async function forgetAttempts(engine: Engine, group: string): Promise<void> {
  // State that lives with its owner goes with it.
  const owner = engine.capabilities.ownedState === true ? { owner: { group } } : {}
  const namespaces = [attemptsNamespace(group), crashNamespace(group)]
  await engine.commit({ state: namespaces.map((namespace) => ({ kind: 'clear', namespace, ...owner })) })
}
