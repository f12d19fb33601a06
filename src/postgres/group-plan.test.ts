import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { type ClaimRow, type GroupState, type MemberRow, planGroup, stateAfter } from './group-plan.ts'

const member = (id: string, topics: readonly string[] = ['t'], isExpired = false): MemberRow => ({
  id,
  topics,
  isExpired,
})
const partitionsOf = (count: number, topic = 't') =>
  Array.from({ length: count }, (_, i) => ({ id: i + 1, topic, number: i }))
const claim = (partitionId: number, memberId: string | null, epoch = 1, isRevoking = false): ClaimRow => ({
  partitionId,
  epoch,
  memberId,
  isRevoking,
})

describe('the plan of a group', () => {
  it('gives a member alone everything', () => {
    const state: GroupState = { nextEpoch: 9, members: [member('a')], claims: [], partitions: partitionsOf(3) }
    expect(planGroup(state).claims).toEqual([1, 2, 3].map((id) => claim(id, 'a', 9)))
  })

  it('asks for what has to move, and gives it on only when it was given back', () => {
    const claims = [claim(1, 'a'), claim(2, 'a')]
    const state: GroupState = { nextEpoch: 9, members: [member('a'), member('b')], claims, partitions: partitionsOf(2) }
    const asked = stateAfter(state, planGroup(state))
    expect(asked.claims.filter(({ isRevoking }) => isRevoking).length).toBe(1)
    expect(asked.claims.every(({ memberId }) => memberId === 'a')).toBe(true)
    expect(planGroup(asked)).toEqual({ gone: [], claims: [] })
    const [moving] = asked.claims.filter(({ isRevoking }) => isRevoking) as [ClaimRow]
    const given = planGroup(asked, { released: [moving] })
    expect(given.claims).toEqual([claim(moving.partitionId, 'b', 10)])
  })

  it('takes from whose session is over at once, with a new epoch', () => {
    const claims = [claim(1, 'a', 7), claim(2, 'a', 3, true)]
    const state: GroupState = {
      nextEpoch: 9,
      members: [member('a', ['t'], true), member('b')],
      claims,
      partitions: partitionsOf(2),
    }
    expect(planGroup(state)).toEqual({ gone: ['a'], claims: [claim(1, 'b', 9), claim(2, 'b', 9)] })
  })

  it('ends the claims of the last member without giving them to anybody, and gives later ones another epoch', () => {
    const state: GroupState = {
      nextEpoch: 9,
      members: [member('a')],
      claims: [claim(1, 'a', 4)],
      partitions: partitionsOf(1),
    }
    const over = stateAfter(state, planGroup(state, { leaving: ['a'] }))
    expect(over).toMatchObject({ members: [], claims: [claim(1, null, 4)] })
    const again = { ...over, members: [member('b')] }
    expect(planGroup(again).claims).toEqual([claim(1, 'b', 10)])
  })

  it('asks a member for everything that wants nothing any more, and for partitions of a topic that is gone', () => {
    const claims = [claim(1, 'a'), claim(9, 'b')]
    const state: GroupState = {
      nextEpoch: 9,
      members: [member('a', []), member('b')],
      claims,
      partitions: partitionsOf(1),
    }
    expect(planGroup(state).claims).toEqual([claim(1, 'a', 1, true), claim(9, 'b', 1, true)])
  })

  it('takes no notice of a release under an older epoch', () => {
    const state: GroupState = {
      nextEpoch: 9,
      members: [member('a')],
      claims: [claim(1, 'a', 5)],
      partitions: partitionsOf(1),
    }
    expect(planGroup(state, { released: [{ partitionId: 1, epoch: 4 }] })).toEqual({ gone: [], claims: [] })
  })

  it('comes to rest evenly shared whoever comes, goes, falls silent and gives back; epochs only rise', () => {
    const step = fc.record({
      kind: fc.constantFrom('join', 'leave', 'expire', 'release', 'grow'),
      which: fc.nat({ max: 9 }),
    })
    fc.assert(
      fc.property(fc.array(step, { maxLength: 30 }), (steps) => {
        let state: GroupState = { nextEpoch: 1, members: [], claims: [], partitions: partitionsOf(3) }
        let joined = 0
        const apply = (wishes = {}): void => {
          const after = stateAfter(state, planGroup(state, wishes))
          const epochsBefore = new Map(state.claims.map((one) => [one.partitionId, one.epoch]))
          const ownersBefore = new Map(state.claims.map((one) => [one.partitionId, one.memberId]))
          const taken = after.claims.filter((one) => one.memberId !== null)
          // An owner is followed by another one only under an epoch that was never there before.
          const changed = taken.filter((one) => one.memberId !== ownersBefore.get(one.partitionId))
          const highest = Math.max(0, ...epochsBefore.values())
          expect(changed.filter((one) => one.epoch <= highest)).toEqual([])
          expect(after.claims.filter((one) => one.epoch < (epochsBefore.get(one.partitionId) ?? 0))).toEqual([])
          state = after
          expect(planGroup(state)).toEqual({ gone: [], claims: [] })
        }
        const releaseAll = (): void => apply({ released: state.claims.filter(({ isRevoking }) => isRevoking) })
        for (const { kind, which } of steps) {
          const chosen = state.members[which % Math.max(1, state.members.length)]
          if (kind === 'join') state = { ...state, members: [...state.members, member(`m${joined++}`)] }
          if (kind === 'grow') state = { ...state, partitions: partitionsOf(state.partitions.length + 1) }
          if (kind === 'expire' && chosen !== undefined) {
            const members = state.members.map((one) => (one === chosen ? { ...one, isExpired: true } : one))
            state = { ...state, members }
          }
          if (kind === 'leave' && chosen !== undefined) apply({ leaving: [chosen.id] })
          else if (kind === 'release') releaseAll()
          else apply()
        }
        for (let i = 0; i < 40 && state.claims.some(({ isRevoking }) => isRevoking); i++) releaseAll()
        if (state.members.length === 0) return
        const counts = state.members.map(({ id }) => state.claims.filter(({ memberId }) => memberId === id).length)
        expect(counts.reduce((sum, n) => sum + n, 0)).toBe(state.partitions.length)
        expect(Math.max(...counts) - Math.min(...counts)).toBeLessThanOrEqual(1)
      }),
    )
  })
})
