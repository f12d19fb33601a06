import type { RecordOutcome } from '../../record/index.ts'
import type { Engine } from '../engine.ts'
import type { Assignment, Claim, JoinOptions, Member } from '../groups.ts'
import type { WriteBatch } from '../write-batch.ts'

/** What a record makes the consumer write, beside its progress. */
export type EffectOf = (record: RecordOutcome, claim: Claim) => WriteBatch

interface Work {
  readonly stop: AbortController
  readonly ended: Promise<void>
}

/**
 * A member that reads what it is assigned and commits the effect of each record together with its progress: the least
 * that exactly-once processing takes. A commit that is refused ends the work on that partition.
 */
export class GroupConsumer {
  readonly #engine: Engine
  readonly #effectOf: EffectOf
  readonly #work = new Map<string, Work>()
  #member: Member | undefined
  #failure: Error | undefined
  /** How many records this member committed. */
  committedCount = 0
  /** How many of its commits were refused because the partition was no longer its own. */
  fencedCount = 0
  lostCount = 0

  private constructor(engine: Engine, effectOf: EffectOf) {
    this.#engine = engine
    this.#effectOf = effectOf
  }

  static async join(
    engine: Engine,
    options: Pick<JoinOptions, 'group' | 'topics' | 'from' | 'sessionTimeoutMs' | 'together'>,
    effectOf: EffectOf,
  ): Promise<GroupConsumer> {
    const consumer = new GroupConsumer(engine, effectOf)
    consumer.#member = await engine.groups.join({
      ...options,
      onAssigned: (assignments) => {
        for (const assignment of assignments) consumer.#start(assignment)
      },
      onRevoked: (claims) => consumer.#stop(claims),
      onLost: (claims) => {
        consumer.lostCount += claims.length
        consumer.#stop(claims).catch((error: unknown) => consumer.#fail(error))
      },
    })
    return consumer
  }

  get member(): Member {
    return this.#member as Member
  }

  /** Rejects when this consumer met anything but a refusal. */
  async leave(): Promise<void> {
    await this.member.leave()
    if (this.#failure !== undefined) throw this.#failure
  }

  #start({ claim, progress }: Assignment): void {
    const stop = new AbortController()
    const ended = this.#run(claim, progress.next, progress.done, stop.signal).catch((error: unknown) => {
      if (!stop.signal.aborted) this.#fail(error)
    })
    this.#work.set(`${claim.topic}/${claim.partition}`, { stop, ended })
  }

  async #stop(claims: readonly Claim[]): Promise<void> {
    await Promise.all(
      claims.map(async (claim) => {
        const work = this.#work.get(`${claim.topic}/${claim.partition}`)
        work?.stop.abort(new Error('revoked'))
        await work?.ended
      }),
    )
  }

  async #run(claim: Claim, next: number, done: Assignment['progress']['done'], signal: AbortSignal): Promise<void> {
    let offset = next
    while (!signal.aborted) {
      const { topic, partition } = claim
      const page = await this.#engine.topics.read({ topic, partition, offset, waitMs: 3_600_000, signal })
      for (const record of page.records) {
        if (signal.aborted) return
        if (done.some(({ from, to }) => record.offset >= from && record.offset < to)) continue
        const range = { from: record.offset, to: record.offset + 1 }
        const outcome = await this.#engine.commit({
          ...this.#effectOf(record, claim),
          progress: [{ claim, done: [range] }],
        })
        if (!outcome.ok) {
          if (outcome.conflict.kind !== 'fenced')
            throw new Error(`unexpected conflict ${JSON.stringify(outcome.conflict)}`)
          this.fencedCount++
          return
        }
        this.committedCount++
      }
      offset = page.nextOffset
    }
  }

  #fail(error: unknown): void {
    this.#failure ??= error instanceof Error ? error : new Error(String(error))
  }
}
