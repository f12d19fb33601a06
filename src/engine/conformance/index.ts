/**
 * The conformance suite of the engine port: what every engine must do, as data.
 *
 * A runner opens a {@link Ground} for each case, asks {@link verdictOf} whether the engine's capabilities call for the
 * case, and runs it with {@link runCase}; a case that is not run has a reason.
 *
 * @example
 * ```ts
 * for (const one of conformanceCases) {
 *   const verdict = verdictOf(one, { capabilities, movesTime: true })
 *   if (verdict === true) await runCase(one, ground)
 *   else console.log(`${one.name}: ${verdict}`)
 * }
 * ```
 * @module
 */
import type { Kept } from '../capabilities.ts'
import { appendCases } from './append-cases.ts'
import { atomicityCases } from './atomicity-cases.ts'
import { badInputCases } from './bad-input-cases.ts'
import { closingCases } from './closing-cases.ts'
import { conditionCases } from './condition-cases.ts'
import { all, type ConformanceCase, keeps, type Offer } from './conformance-case.ts'
import { contentCases } from './content-cases.ts'
import { eventReadingCases } from './event-reading-cases.ts'
import { eventTagCases } from './event-tag-cases.ts'
import { exactlyOnceCases } from './exactly-once-cases.ts'
import { Fixture } from './fixture.ts'
import type { Ground } from './ground.ts'
import { groupCases } from './group-cases.ts'
import { guardCases } from './guard-cases.ts'
import { iterationCases } from './iteration-cases.ts'
import { lifecycleCases } from './lifecycle-cases.ts'
import { membershipCases } from './membership-cases.ts'
import { ownedStateCases } from './owned-state-cases.ts'
import { parallelDecisionCases } from './parallel-decision-cases.ts'
import { parallelLogCases } from './parallel-log-cases.ts'
import { parallelMaintenanceCases } from './parallel-maintenance-cases.ts'
import { parallelReadingCases } from './parallel-reading-cases.ts'
import { parallelStateCases } from './parallel-state-cases.ts'
import { producerCases } from './producer-cases.ts'
import { progressCases } from './progress-cases.ts'
import { publishCases } from './publish-cases.ts'
import { queryCases } from './query-cases.ts'
import { rangeCases } from './range-cases.ts'
import { readerArgumentCases } from './reader-argument-cases.ts'
import { readingCases } from './reading-cases.ts'
import { retentionCases } from './retention-cases.ts'
import { stateCases } from './state-cases.ts'
import { streamEndCases } from './stream-end-cases.ts'
import { subscriptionCases } from './subscription-cases.ts'
import { timerCases } from './timer-cases.ts'
import { togetherCases } from './together-cases.ts'
import { topicCases } from './topic-cases.ts'
import { watchCases } from './watch-cases.ts'

export type { ConformanceCase, Offer } from './conformance-case.ts'
export type { Ground } from './ground.ts'
export { type EffectOf, GroupConsumer } from './group-consumer.ts'
export { ModelRun } from './model-run.ts'

/** Cases of an area that an engine may leave to others. */
function asking(kind: Kept, cases: readonly ConformanceCase[]): readonly ConformanceCase[] {
  return cases.map((one) => ({ ...one, requires: all(keeps(kind), one.requires ?? (() => true)) }))
}

/** Every case, by area. */
export const conformanceCases: readonly ConformanceCase[] = [
  ...lifecycleCases,
  ...closingCases,
  ...togetherCases,
  ...topicCases,
  ...publishCases,
  ...contentCases,
  ...readingCases,
  ...producerCases,
  ...retentionCases,
  ...groupCases,
  ...progressCases,
  ...exactlyOnceCases,
  ...membershipCases,
  ...ownedStateCases,
  ...asking('events', appendCases),
  ...asking('events', conditionCases),
  ...asking('events', queryCases),
  ...asking('events', eventReadingCases),
  ...asking('events', iterationCases),
  ...asking('events', subscriptionCases),
  ...asking('events', streamEndCases),
  ...asking('events', eventTagCases),
  ...asking('state', stateCases),
  ...asking('state', rangeCases),
  ...asking('state', watchCases),
  ...asking('timers', timerCases),
  ...atomicityCases,
  ...parallelDecisionCases,
  ...asking('events', parallelReadingCases),
  ...parallelLogCases,
  ...parallelMaintenanceCases,
  ...parallelStateCases,
  ...badInputCases,
  ...readerArgumentCases,
  ...guardCases,
]

/** `true` when the engine must pass the case, otherwise the reason why it is not asked. */
export function verdictOf(one: ConformanceCase, offer: Offer): true | string {
  return one.requires?.(offer) ?? true
}

/** Runs one case on a ground of its own, or on one that other cases used before. Rejects when the engine fails it. */
export async function runCase(one: ConformanceCase, ground: Ground): Promise<void> {
  const fixture = await Fixture.open(ground)
  try {
    await one.run(fixture)
  } finally {
    await fixture.close()
  }
}
