import { DiskFullError, EngineFailedError } from '../src/embedded/index.ts'
import type { TopicPosition } from '../src/engine/index.ts'
import { type Message, MillraceError } from '../src/index.ts'
import type { History } from './history.ts'
import type { Found, FoundRecord } from './workload.ts'

/** What became of a request as its client knows it. */
export type Outcome = 'acknowledged' | 'refused' | 'unknown'

interface Attempt {
  count: number
  outcome: Outcome
  position: TopicPosition | undefined
}

/** Errors after which a client does not know what became of its request, as the process is at its end. */
const endings: ReadonlySet<string> = new Set(['ENGINE_FAILED', 'CLOSED', 'APP_STOPPED'])

/**
 * What became of a request that failed; what has no business to fail is a violation.
 *
 * A full disk takes the request back and nothing else.
 */
export function outcomeOfFailure(error: unknown, history: History): Outcome {
  if (error instanceof DiskFullError) return 'refused'
  if (error instanceof EngineFailedError) return 'unknown'
  if (!(error instanceof MillraceError && endings.has(error.code)))
    history.violate('only expected errors', error instanceof Error ? `${error.name}: ${error.stack}` : String(error))
  return 'unknown'
}

/** What was published, and what the publishers were told: acknowledged ⊆ readable ⊆ attempted. */
export class PublishLog {
  readonly #history: History
  readonly #attempts = new Map<string, Attempt>()

  constructor(history: History) {
    this.#history = history
  }

  /** Publishes, and notes the outcome of all of it. */
  async publish(messages: readonly Message[], publish: () => Promise<readonly TopicPosition[]>): Promise<Outcome> {
    for (const { id } of messages) {
      const attempt = this.#attempts.get(id) ?? { count: 0, outcome: 'unknown', position: undefined }
      this.#attempts.set(id, { ...attempt, count: attempt.count + 1 })
    }
    try {
      const positions = await publish()
      for (const [i, { id }] of messages.entries()) this.#settle(id, 'acknowledged', positions[i])
      return 'acknowledged'
    } catch (error) {
      const outcome = outcomeOfFailure(error, this.#history)
      for (const { id } of messages) this.#settle(id, outcome, undefined)
      return outcome
    }
  }

  outcomeOf(id: string): Outcome | undefined {
    return this.#attempts.get(id)?.outcome
  }

  /** Holds the records of these types against what was attempted. */
  check(found: Found, types: ReadonlySet<string>): void {
    const byId = Map.groupBy(
      found.records.filter(({ type }) => types.has(type)),
      ({ id }) => id,
    )
    for (const [id, records] of byId) {
      const attempt = this.#attempts.get(id)
      this.#history.check(
        attempt !== undefined && records.length <= attempt.count && attempt.outcome !== 'refused',
        'readable ⊆ attempted',
        () => `${show(records)}: attempted ${attempt?.count ?? 0} times, last outcome ${attempt?.outcome}`,
      )
    }
    for (const [id, { outcome, position }] of this.#attempts) {
      if (outcome !== 'acknowledged') continue
      const records = byId.get(id) ?? []
      this.#history.check(records.length > 0, 'acknowledged ⊆ readable', () => `${id} was acknowledged and is gone`)
      if (position === undefined || records.length === 0) continue
      this.#history.check(
        records.some(
          ({ topic, partition, offset }) =>
            topic === position.topic && partition === position.partition && offset === position.offset,
        ),
        'offsets are never reused',
        () => `${id} was acknowledged at ${place(position)} and stands at ${show(records)}`,
      )
    }
  }

  #settle(id: string, outcome: Outcome, position: TopicPosition | undefined): void {
    const attempt = this.#attempts.get(id)
    if (attempt === undefined || attempt.outcome === 'acknowledged') return
    // Once its fate is unknown, a later refusal says nothing about the attempt before.
    const isRefused = outcome === 'refused' && attempt.count === 1
    this.#attempts.set(id, {
      ...attempt,
      outcome: outcome === 'refused' && !isRefused ? 'unknown' : outcome,
      position,
    })
  }
}

function place({ topic, partition, offset }: TopicPosition): string {
  return `${topic}/${partition}@${offset}`
}

function show(records: readonly FoundRecord[]): string {
  return records.map((record) => `${record.id} at ${place(record)}`).join(', ')
}
