import type { Assignment, Claim, Engine, Member, ProgressWrite, PublishWrite, RawRecord } from '../engine/index.ts'
import { type Clock, MillraceError, sleep } from '../kernel/index.ts'
import { encodeKafkaBinary, type Message } from '../message/index.ts'
import type { RecordOutcome } from '../record/index.ts'
import { channels } from '../telemetry/index.ts'
import { outboxOf, relayGroupOf } from './outbox.ts'

/** How often a relay looks for what other processes put into the outbox; its own process tells it. */
const lookEveryMs = 250
const retryMinMs = 100
const retryMaxMs = 10_000
/** Bytes taken from one partition at a time. */
const readBytesMax = 1024 * 1024
/** What was relayed is removed from the outbox after so many records or so long, or when nothing waits any more. */
const truncateAfter = 10_000
const truncateEveryMs = 250

/** All marks of a partition have one key: a topic that compacts keeps the last one. */
const markKey = 'next'

/** One partition of the outbox that this relay owns. */
interface Lane {
  readonly claim: Claim
  /** Where the marks begin that do not count as seen yet; the last of them says how far the outbox is relayed. */
  markFrom: number
  /** -1: not looked up yet. */
  next: number
  /** Everything before it is removed from the outbox. */
  truncatedTo: number
  /** When that was, on the monotonic clock. */
  truncatedAtMs: number
}

/**
 * Carries what stands in the outbox of one topic over to the topic, in order, partition by partition.
 *
 * How far it is stands beside the topic: each commit that brings messages also leaves a mark with the offset to go on from,
 * in a topic of its own, and has seen the mark before it. So a relay that is killed anywhere repeats nothing; and a relay
 * that was replaced can do no more, because its claim on the marks is over.
 */
export class Relay {
  readonly #topics: Engine
  readonly #store: Engine
  readonly #topic: string
  readonly #clock: Clock
  readonly #onFailed: (error: MillraceError) => void
  readonly #lanes = new Map<number, Lane>()
  readonly #end = new AbortController()
  #wake: () => void = () => undefined
  #woken = false
  /** A round that is under way: a partition is given back only after it. */
  #round: Promise<unknown> = Promise.resolve()
  #running: Promise<void> | undefined
  /** None: it has to join, again. */
  #member: Member | undefined
  /** What ended its membership, until that is told. */
  #putOutBy: { readonly error: unknown } | undefined

  /** @param options.onFailed Called at most once: one of the engines has failed for good, and nothing more is carried over */
  constructor(
    topics: Engine,
    store: Engine,
    topic: string,
    options: { readonly clock: Clock; readonly onFailed: (error: MillraceError) => void },
  ) {
    this.#topics = topics
    this.#store = store
    this.#topic = topic
    this.#clock = options.clock
    this.#onFailed = options.onFailed
  }

  async start(): Promise<void> {
    await this.#join()
    this.#running = this.#run()
  }

  async #join(): Promise<void> {
    const outbox = outboxOf(this.#topic)
    this.#member = await this.#topics.groups.join({
      group: relayGroupOf(outbox),
      topics: [outbox],
      onAssigned: (assignments) => this.#onAssigned(assignments),
      onRevoked: async (claims) => {
        this.#drop(claims)
        await this.#round
      },
      onLost: (claims) => this.#drop(claims),
      onFailed: (error) => {
        this.#putOutBy = { error }
        this.wake()
      },
    })
  }

  /** Something was put into the outbox. */
  wake(): void {
    this.#woken = true
    this.#wake()
  }

  /** Begins nothing new. */
  stop(): void {
    this.#end.abort()
  }

  /** Finishes the round that is under way and gives its partitions back; what waits stays where it is. */
  async close(): Promise<void> {
    this.#end.abort()
    await this.#running
    await this.#member?.leave()
  }

  #onAssigned(assignments: readonly Assignment[]): void {
    for (const { claim, progress } of assignments) {
      this.#lanes.set(claim.partition, { claim, markFrom: progress.next, next: -1, truncatedTo: 0, truncatedAtMs: 0 })
    }
    this.wake()
  }

  #drop(claims: readonly Claim[]): void {
    for (const { partition, epoch } of claims) {
      if (this.#lanes.get(partition)?.claim.epoch === epoch) this.#lanes.delete(partition)
    }
  }

  async #run(): Promise<void> {
    const { signal } = this.#end
    let delayMs = retryMinMs
    while (!signal.aborted) {
      this.#woken = false
      try {
        await this.#comeBack()
        const round = this.#carry()
        this.#round = round.catch(() => undefined)
        const count = await round
        this.#member?.heartbeat()
        delayMs = retryMinMs
        if (count === 0) await this.#nap(lookEveryMs)
      } catch (error) {
        // Engine closed: there is nobody to try again for.
        if (signal.aborted) return
        // It may have been made all the same: the marks know.
        for (const lane of this.#lanes.values()) lane.next = -1
        if (channels.relayFailed.hasSubscribers) channels.relayFailed.publish({ topic: this.#topic, error, delayMs })
        if (error instanceof MillraceError && error.fault === 'lasting') {
          this.#onFailed(error)
          return
        }
        await sleep(delayMs, this.#clock, signal).catch(() => undefined)
        delayMs = Math.min(retryMaxMs, delayMs * 2)
      }
    }
  }

  /** Joins anew where its membership has ended; first it throws what ended it, to be told and waited for as any failure. */
  async #comeBack(): Promise<void> {
    const putOut = this.#putOutBy
    this.#putOutBy = undefined
    if (putOut !== undefined) {
      this.#member = undefined
      this.#lanes.clear()
      throw putOut.error
    }
    if (this.#member === undefined) await this.#join()
  }

  /** Sleeps until something is put into the outbox, or for so long. */
  async #nap(forMs: number): Promise<void> {
    if (this.#woken) return
    const over = new AbortController()
    this.#wake = () => over.abort()
    await sleep(forMs, this.#clock, AbortSignal.any([over.signal, this.#end.signal])).catch(() => undefined)
    this.#wake = () => undefined
  }

  /** Carries over what waits in all partitions, some of each; tells how many records that were. */
  async #carry(): Promise<number> {
    const startMs = this.#clock.monotonicMs()
    const publish: PublishWrite[] = []
    const moved: { readonly lane: Lane; readonly to: number }[] = []
    let count = 0
    const marks: PublishWrite[] = []
    for (const lane of [...this.#lanes.values()]) {
      if (lane.next < 0) await this.#resume(lane)
      const { topic, partition } = lane.claim
      const read = { topic, partition, offset: lane.next, bytesMax: readBytesMax }
      const { records, nextOffset } = await this.#store.topics.read(read)
      if (nextOffset === lane.next) continue
      publish.push(...writesOf(this.#topic, partition, records))
      marks.push(markOf(lane, nextOffset))
      moved.push({ lane, to: nextOffset })
      count += records.length
    }
    if (moved.length === 0) {
      await this.#tidy()
      return 0
    }
    const progress = moved.map(({ lane }) => seen(lane))
    const outcome = await this.#topics.commit({ publish: [...publish, ...marks], progress })
    if (!outcome.ok) {
      // Somebody else works on a partition now; the others are carried over in the next round.
      if (outcome.conflict.kind === 'fenced') this.#drop([outcome.conflict.claim])
      return count
    }
    for (const [i, { lane, to }] of moved.entries()) {
      lane.next = to
      lane.markFrom = outcome.published[outcome.published.length - moved.length + i]?.offset ?? lane.markFrom
    }
    if (channels.relayed.hasSubscribers) {
      const durationMs = this.#clock.monotonicMs() - startMs
      channels.relayed.publish({ topic: this.#topic, messageCount: count, durationMs })
    }
    await this.#tidy()
    return count
  }

  /** Finds out how far an outbox is relayed, and leaves a mark of its own to say that it goes on from there. */
  async #resume(lane: Lane): Promise<void> {
    const { topic, partition } = lane.claim
    const earliest = await this.#store.topics.locate(topic, partition, 'earliest')
    let next = earliest
    let offset = Math.max(lane.markFrom, await this.#topics.topics.locate(topic, partition, 'earliest'))
    const readOn = async (isEnough: (latest: number) => boolean): Promise<void> => {
      for (let latest = offset; ; ) {
        const page = await this.#topics.topics.read({ topic, partition, offset })
        for (const record of page.records)
          if (record.kind === 'undecodable') next = Math.max(next, nextOf(record.value))
        ;({ nextOffset: offset, latest } = page)
        if (isEnough(latest)) return
      }
    }
    await readOn((latest) => offset >= latest)
    // A mark of the owner before may be committed and not to be seen yet. What stands before a mark of its own can be seen once
    // that can be, so it leaves one and reads on to it, until it says the last word.
    for (let said = -1; said < next; ) {
      said = next
      const outcome = await this.#topics.commit({ publish: [markOf(lane, said)] })
      if (!outcome.ok) return
      const own = outcome.published[0]?.offset ?? lane.markFrom
      lane.markFrom = own
      await readOn(() => offset > own)
    }
    lane.truncatedTo = earliest
    lane.next = next
  }

  /** Removes what was relayed, soon: what stands in an outbox counts as on its way. */
  async #tidy(): Promise<void> {
    for (const lane of this.#lanes.values()) {
      const { next, truncatedTo, truncatedAtMs } = lane
      const nowMs = this.#clock.monotonicMs()
      const isDue = next - truncatedTo >= truncateAfter || nowMs - truncatedAtMs >= truncateEveryMs || !this.#woken
      if (next <= truncatedTo || !isDue) continue
      const { topic, partition } = lane.claim
      await this.#store.topics.truncate(topic, partition, next)
      lane.truncatedTo = next
      lane.truncatedAtMs = nowMs
    }
  }
}

/** Says how far the outbox is relayed. */
function markOf({ claim }: Lane, next: number): PublishWrite {
  const { topic, partition } = claim
  return { topic, partition, records: [{ key: markKey, value: JSON.stringify({ next }) }] }
}

/** The mark before counts as seen: which only the owner of the claim can say. */
function seen({ claim, markFrom }: Lane): ProgressWrite {
  return { claim, done: [{ from: markFrom, to: markFrom + 1 }] }
}

function nextOf(value: Uint8Array): number {
  const { next } = JSON.parse(Buffer.from(value).toString('utf8')) as { readonly next: number }
  return next
}

/** Records of an outbox as writes to the topic: runs of messages, and of what is no message, in their order. */
function writesOf(topic: string, partition: number, records: readonly RecordOutcome[]): readonly PublishWrite[] {
  const runs: { messages?: Message[]; records?: RawRecord[] }[] = []
  for (const record of records) {
    const last = runs.at(-1)
    if (record.kind === 'message' && record.key === (record.message.partitionkey ?? null)) {
      if (last?.messages !== undefined) last.messages.push(record.message)
      else runs.push({ messages: [record.message] })
    } else if (last?.records !== undefined) last.records.push(rawOf(record))
    else runs.push({ records: [rawOf(record)] })
  }
  return runs.map((run) => ({ topic, partition, ...run }))
}

function rawOf(record: RecordOutcome): RawRecord {
  const { key, timestampMs } = record
  if (record.kind === 'tombstone') return { key, value: null, headers: record.headers, timestampMs }
  if (record.kind === 'undecodable') return { key, value: record.value, headers: record.headers, timestampMs }
  const { value, headers } = encodeKafkaBinary(record.message)
  return { key, value, headers, timestampMs }
}
