import { sleep } from '../kernel/index.ts'
import type { BatchBufferPool } from '../record/index.ts'
import type { Changelog } from './changelog.ts'
import { ChangelogPlan } from './changelog-plan.ts'
import type { Cluster } from './cluster.ts'
import type { KafkaState } from './kafka-state.ts'
import type { OutgoingBatch } from './merged-batches.ts'
import type { OpenUnit } from './open-unit.ts'
import { ProducerSession } from './producer-session.ts'
import type { TopicCatalog } from './topic-catalog.ts'

/**
 * Processes that take the changelog from each other wait at random, among twice as many moments each time: whoever writes is not
 * disturbed for about as long as writing takes (as stations on an Ethernet do, IEEE 802.3, 4.2.3.2.5).
 */
const pauseDoublingsMax = 5
/** What an attempt is taken to last, in milliseconds, however soon it was fenced or however long it waited for a broker. */
const [attemptMsMin, attemptMsMax] = [20, 200]

/**
 * Writes state. What is written under a claim is fenced as progress is, by group, member and generation (KIP-447). For what
 * belongs to nobody, whoever writes takes the transactional id that goes with the shared changelog, reads to its end, checks what
 * is expected, and commits; whoever had it before is fenced (KIP-98), reads what came meanwhile, and checks anew. So
 * expectations hold between processes, one of which writes there at a time.
 */
export class ChangelogWriter {
  /** In its transactions the shared changelog is written. */
  readonly session: ProducerSession
  readonly #cluster: Cluster
  readonly #catalog: TopicCatalog
  readonly #state: KafkaState
  readonly #shared: Changelog
  /** The beginning of the session after which the shared changelog was read. */
  #readAfter = 0

  constructor(cluster: Cluster, catalog: TopicCatalog, state: KafkaState, shared: Changelog) {
    this.#cluster = cluster
    this.#catalog = catalog
    this.#state = state
    this.#shared = shared
    // All that write to the changelog must meet at one id, whatever else they are called.
    this.session = new ProducerSession(cluster, shared.partition.topic)
  }

  /** Whether units write to the shared changelog. */
  needsSession(open: readonly OpenUnit[]): boolean {
    return open.some(({ unit }) => unit.state.some(({ owner }) => owner === undefined))
  }

  /** What the state of units comes to. The session is ready. */
  async plan(open: readonly OpenUnit[]): Promise<ChangelogPlan> {
    const plan = (): ChangelogPlan => new ChangelogPlan((command) => this.#state.changelogsOf(command), open)
    if (!this.needsSession(open)) return plan()
    const { beginnings } = this.session
    if (beginnings !== this.#readAfter) {
      // Others may have written before it was taken from them.
      await this.#shared.catchUp()
      this.#readAfter = beginnings
      return plan()
    }
    const first = plan()
    if (first.refused.size === 0 && !first.isEmpty) return first
    // What changes nothing ends without a transaction that would tell whether somebody else has written since, and neither
    // is anybody to be refused for what is not so any more.
    await this.#shared.catchUp()
    return plan()
  }

  seal(plan: ChangelogPlan, pool: BatchBufferPool, isMerging: boolean): readonly (readonly OutgoingBatch[])[] {
    return plan.seal({
      pool,
      batchBytesMaxOf: ({ topic }) => this.#catalog.find(topic)?.batchBytesMax ?? Number.POSITIVE_INFINITY,
      isMerging,
      nowMs: this.#cluster.clock.nowMs(),
    })
  }

  /** Waits after having been fenced so often in a row, the last time after an attempt that took so long. */
  async pauseAfter(times: number, attemptMs: number): Promise<void> {
    const { clock, random, ended } = this.#cluster
    const momentCount = 2 ** Math.min(times, pauseDoublingsMax)
    const momentMs = Math.min(attemptMsMax, Math.max(attemptMsMin, attemptMs))
    await sleep(momentMs * momentCount * random.nextFloat(), clock, ended)
  }
}
