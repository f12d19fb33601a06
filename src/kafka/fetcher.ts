import type { Cluster } from './cluster.ts'
import { type FetchAnswer, sendFetch } from './raw-requests.ts'
import type { Partition } from './topic-catalog.ts'

/** A request that waits is answered after this time at the latest, so that newcomers are taken in. */
const pollMs = 500
/** Requests that wait at one broker at the same time; each has a connection of its own. */
const pollsMax = 4

/** Somebody who reads a partition from some offset on. */
interface Fetch {
  readonly partition: Partition
  readonly offset: number
  readonly bytesMax: number
  /** On the monotonic clock: how long it waits for something to come. */
  readonly untilMs: number
  readonly resolve: (answer: FetchAnswer) => void
  readonly reject: (error: unknown) => void
  isDone: boolean
}

/** What one broker is asked for: once without waiting, and then, of those who found nothing, again and again. */
interface BrokerQueue {
  readonly quick: Fetch[]
  isQuickRunning: boolean
  readonly waiting: Fetch[]
  readonly freePolls: number[]
}

/** Reads partitions of many readers with few requests. */
export class Fetcher {
  readonly #cluster: Cluster
  readonly #queues = new Map<number, BrokerQueue>()

  constructor(cluster: Cluster) {
    this.#cluster = cluster
  }

  /** Resolves with what was found, or with nothing after `waitMs`. Rejects when the broker could not be asked. */
  fetch(
    partition: Partition,
    offset: number,
    bytesMax: number,
    waitMs: number,
    signal: AbortSignal,
  ): Promise<FetchAnswer> {
    signal.throwIfAborted()
    const { promise, resolve, reject } = Promise.withResolvers<FetchAnswer>()
    const untilMs = this.#cluster.clock.monotonicMs() + waitMs
    const end = (): void => {
      one.isDone = true
      signal.removeEventListener('abort', abort)
    }
    const one: Fetch = {
      partition,
      offset,
      bytesMax,
      untilMs,
      resolve: (answer) => {
        end()
        resolve(answer)
      },
      reject: (error) => {
        end()
        reject(error)
      },
      isDone: false,
    }
    const abort = (): void => one.reject(signal.reason)
    signal.addEventListener('abort', abort, { once: true })
    const queue = this.#queueOf(partition.leaderId)
    queue.quick.push(one)
    this.#runQuick(partition.leaderId, queue)
    return promise
  }

  #queueOf(leaderId: number): BrokerQueue {
    let queue = this.#queues.get(leaderId)
    if (queue === undefined) {
      const freePolls = Array.from({ length: pollsMax }, (_, index) => index)
      queue = { quick: [], isQuickRunning: false, waiting: [], freePolls }
      this.#queues.set(leaderId, queue)
    }
    return queue
  }

  #runQuick(leaderId: number, queue: BrokerQueue): void {
    if (queue.isQuickRunning) return
    queue.isQuickRunning = true
    // All that is asked for in this turn goes in one request.
    queueMicrotask(() => {
      const ended = (): void => {
        queue.isQuickRunning = false
      }
      // Who asked is told what went wrong; the loop itself has nobody to tell.
      this.#quickLoop(leaderId, queue).then(ended, ended)
    })
  }

  async #quickLoop(leaderId: number, queue: BrokerQueue): Promise<void> {
    while (queue.quick.length > 0) {
      const asked = takeApart(queue.quick)
      if (asked.length === 0) continue
      const left = await this.#ask(leaderId, 'fetch', asked, 0)
      queue.waiting.push(...left)
      this.#poll(leaderId, queue)
    }
  }

  #poll(leaderId: number, queue: BrokerQueue): void {
    const slot = queue.waiting.some((one) => !one.isDone) ? queue.freePolls.shift() : undefined
    if (slot === undefined) return
    const asked = takeApart(queue.waiting)
    const nowMs = this.#cluster.clock.monotonicMs()
    const waitMs = Math.max(0, Math.min(pollMs, ...asked.flat().map(({ untilMs }) => Math.ceil(untilMs - nowMs))))
    this.#ask(leaderId, `poll-${slot}`, asked, waitMs)
      .then((left) => queue.waiting.push(...left))
      .finally(() => {
        queue.freePolls.push(slot)
        this.#poll(leaderId, queue)
      })
      // Whoever asked was told.
      .catch(() => undefined)
  }

  /** Answers those for whom there is something, or whose time is over; the others are left. Never rejects. */
  async #ask(
    leaderId: number,
    purpose: string,
    asked: readonly (readonly Fetch[])[],
    waitMs: number,
  ): Promise<Fetch[]> {
    const left: Fetch[] = []
    try {
      const link = await this.#cluster.link(leaderId, purpose)
      const entries = asked.map((alike) => {
        const { partition, offset } = alike[0] as Fetch
        const bytesMax = Math.max(...alike.map((one) => one.bytesMax))
        return { topic: partition.topic, partition: partition.number, offset, bytesMax }
      })
      const answers = await sendFetch(this.#cluster.library, link, entries, waitMs)
      const nowMs = this.#cluster.clock.monotonicMs()
      for (const [i, alike] of asked.entries()) {
        const { topic, partition } = entries[i] as { topic: string; partition: number }
        const answer = answers.find((one) => one.topic === topic && one.partition === partition)
        if (answer === undefined) throw this.#cluster.obstacle(`nothing was told of topic "${topic}"`)
        const isOver = answer.errorCode !== 0 || (answer.bytes !== null && answer.bytes.length > 0)
        for (const one of alike) {
          if (one.isDone) continue
          if (isOver || one.untilMs <= nowMs || one.partition.isGone) one.resolve(answer)
          else left.push(one)
        }
      }
    } catch (error) {
      for (const alike of asked) for (const one of alike) if (!one.isDone) one.reject(error)
      return []
    }
    return left
  }
}

/**
 * Takes out what one request can hold: each partition once. Those who read the same place share the answer; who reads
 * another place of the same partition stays for the next request.
 */
function takeApart(queue: Fetch[]): Fetch[][] {
  const taken = new Map<Partition, Fetch[]>()
  const staying: Fetch[] = []
  for (const one of queue) {
    if (one.isDone) continue
    const alike = taken.get(one.partition)
    if (alike === undefined) taken.set(one.partition, [one])
    else if (alike[0]?.offset === one.offset && alike[0].bytesMax === one.bytesMax) alike.push(one)
    else staying.push(one)
  }
  queue.splice(0, queue.length, ...staying)
  return [...taken.values()]
}
