import type { Cluster, Patience } from './cluster.ts'
import { errorCode, refusalOf } from './error-codes.ts'
import type { Partition } from './topic-catalog.ts'

const sequenceCount = 2 ** 31

/**
 * A producer id with its epoch and the sequence numbers of its batches, by which brokers know a repeated batch again
 * (KIP-98). With a transactional id it also makes what it writes real together.
 */
export class ProducerSession {
  readonly #cluster: Cluster
  readonly transactionalId: string | null
  readonly #sequences = new Map<number, number>()
  #producerId = -1n
  #epoch = -1
  #isReady = false
  #beginnings = 0

  constructor(cluster: Cluster, transactionalId: string | null) {
    this.#cluster = cluster
    this.transactionalId = transactionalId
  }

  get producerId(): bigint {
    return this.#producerId
  }

  get epoch(): number {
    return this.#epoch
  }

  /** How often it began: between two beginnings somebody else may have had the transactional id. */
  get beginnings(): number {
    return this.#beginnings
  }

  /** Sequence number of the next batch of a partition. */
  sequenceOf(partition: Partition): number {
    return this.#sequences.get(partition.id) ?? 0
  }

  /** The batch stands in the log. */
  advance(partition: Partition, recordCount: number): void {
    this.#sequences.set(partition.id, (this.sequenceOf(partition) + recordCount) % sequenceCount)
  }

  /** What was under way is over, and undone where it was a transaction; {@link ready} starts anew. */
  reset(isLost = false): void {
    this.#isReady = false
    if (!isLost && this.transactionalId !== null) return
    this.#producerId = -1n
    this.#epoch = -1
  }

  /**
   * Gets an id, or a new epoch of it, unless it has one that serves. A transaction that was left open is undone by that, and
   * whatever of it is still on the way is fenced (KIP-360).
   */
  async ready(patience: Patience): Promise<void> {
    if (this.#isReady) return
    const { transactionalId } = this
    const { protocol, options } = this.#cluster
    const ask = async (link: Awaited<ReturnType<Cluster['any']>>, id: bigint, epoch: number) =>
      link.call('InitProducerId', protocol.initProducerId, transactionalId, options.transactionTimeoutMs, id, epoch)
    const answer =
      transactionalId === null
        ? await this.#cluster.persist(async () => {
            const response = await ask(await this.#cluster.any(), -1n, -1)
            this.#cluster.accept('InitProducerId', response.errorCode, 'kafka-cluster')
            return response
          }, patience)
        : await this.#cluster.askCoordinator(
            'transaction',
            transactionalId,
            'transaction',
            (link) => ask(link, this.#producerId, this.#epoch),
            (response) => response.errorCode,
            patience,
          )
    const code = answer.errorCode
    if (code !== errorCode.none && this.#producerId >= 0n) {
      // The brokers ended the transaction by themselves and moved the epoch on, or have forgotten the id: begin afresh.
      this.reset(true)
      return this.ready(patience)
    }
    if (code !== errorCode.none) throw refusalOf('InitProducerId', code, transactionalId ?? 'kafka-cluster')
    this.#producerId = answer.producerId
    this.#epoch = answer.producerEpoch
    this.#sequences.clear()
    this.#beginnings++
    this.#isReady = true
  }
}
