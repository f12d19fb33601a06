import { describe, expect, it } from 'vitest'
import type { UnitCommand } from '../committing/index.ts'
import type { Claim } from '../engine/index.ts'
import type { Cluster } from './cluster.ts'
import { HeldClaim, type MemberIdentity } from './held-claim.ts'
import { OffsetPlan } from './offset-plan.ts'
import type { OpenUnit } from './open-unit.ts'
import type { ProducerSession } from './producer-session.ts'
import { Partition, type TopicCatalog } from './topic-catalog.ts'

const member: MemberIdentity = {
  group: 'g',
  memberId: 'm',
  instanceId: null,
  epoch: 3,
  epochChanged: () => Promise.resolve(),
}
const cluster = {
  options: { offsetMetadataBytesMax: 4096 },
  persist: (attempt: () => Promise<unknown>) => attempt(),
} as unknown as Cluster
const session = { transactionalId: 't' } as ProducerSession

function held(partition: number): HeldClaim {
  const claim: Claim = { group: 'g', topic: 'in', partition, epoch: 3 }
  return new HeldClaim(claim, new Partition('in', partition, partition, 1), member, { next: 0, done: [] }, undefined)
}

function unit(index: number, ...claims: readonly HeldClaim[]): OpenUnit {
  const progress = claims.map(({ claim }) => ({ claim, done: [0, 1] }))
  return { index, unit: { batches: [], state: [], progress } as unknown as UnitCommand }
}

describe('offsets of several claims', () => {
  it.each([
    ['first', 0],
    ['last', 1],
  ])('are refused for the one that is lost, be it the %s, and for nobody who does without it', async (_, lostAt) => {
    const claims = [held(0), held(1)]
    const [kept, lost] = [claims[1 - lostAt] as HeldClaim, claims[lostAt] as HeldClaim]
    const book = { holding: (claim: Claim) => claims[claim.partition] }
    const plan = new OffsetPlan(cluster, {} as TopicCatalog, book, [unit(0, ...claims), unit(1, kept), unit(2, lost)])
    lost.isHeld = false
    const fenced = { kind: 'conflict', conflict: { kind: 'fenced', claim: lost.claim } }
    expect(await plan.commit(session, { limitMs: null })).toEqual({
      kind: 'refused',
      answers: new Map([
        [0, fenced],
        [2, fenced],
      ]),
    })
  })
})
