import type { UnitCommand } from '../committing/index.ts'
import { sleep } from '../kernel/index.ts'
import type { BatchBufferPool } from '../record/index.ts'
import type { Changelog } from './changelog.ts'
import { ChangelogPlan } from './changelog-plan.ts'
import type { Cluster } from './cluster.ts'
import type { OutgoingBatch } from './merged-batches.ts'
import { ProducerSession } from './producer-session.ts'
import type { TopicCatalog } from './topic-catalog.ts'

/** Processes that take the changelog from each other wait longer each time, at random, so that one gets through. */
const pauseMs = 10
const batchBytesUsual = 512 * 1024

/**
 * Writes to a changelog. Whoever writes takes the transactional id that goes with it, reads to the end, checks what is
 * expected, and commits; whoever had it before is fenced (KIP-98), reads what came meanwhile, and checks anew. So
 * expectations hold between processes, one of which writes at a time.
 */
export class ChangelogWriter {
  readonly session: ProducerSession
  readonly #cluster: Cluster
  readonly #catalog: TopicCatalog
  readonly #changelog: Changelog

  constructor(cluster: Cluster, catalog: TopicCatalog, changelog: Changelog) {
    this.#cluster = cluster
    this.#catalog = catalog
    this.#changelog = changelog
    // All that write to the changelog must meet at one id, whatever else they are called.
    this.session = new ProducerSession(cluster, changelog.partition.topic)
  }

  /** What the state of units comes to. @param isNew The session was begun anew: others may have written. */
  async plan(
    open: readonly { readonly index: number; readonly unit: UnitCommand }[],
    isNew: boolean,
  ): Promise<ChangelogPlan> {
    if (isNew) await this.#changelog.catchUp()
    const plan = new ChangelogPlan(this.#changelog.file, open)
    if (isNew || (plan.refused.size === 0 && plan.changes.length > 0)) return plan
    // What changes nothing ends without a transaction that would tell whether somebody else has written since, and neither
    // is anybody to be refused for what is not so any more.
    await this.#changelog.catchUp()
    return new ChangelogPlan(this.#changelog.file, open)
  }

  seal(plan: ChangelogPlan, pool: BatchBufferPool, isMerging: boolean): readonly OutgoingBatch[] {
    const { partition } = this.#changelog
    const { batchBytesMax = batchBytesUsual } = this.#catalog.topic(partition.topic)
    return plan.seal(partition, { pool, batchBytesMax, isMerging, nowMs: this.#cluster.clock.nowMs() })
  }

  /** Whether the transaction with these changes was made, although its end was answered with a newer epoch. */
  async wasMade(plan: ChangelogPlan): Promise<boolean> {
    return plan.extent !== undefined && this.#changelog.holds(plan.extent[0])
  }

  /** The changes are committed: from now on they are read here. */
  async applied(plan: ChangelogPlan): Promise<void> {
    const { extent } = plan
    if (extent !== undefined) await this.#changelog.applied(plan.changes, ...extent)
  }

  /** Waits after having been fenced so often in a row. */
  async pauseAfter(times: number): Promise<void> {
    const { clock, random, ended } = this.#cluster
    await sleep(pauseMs * times * random.nextFloat(), clock, ended)
  }
}
