import { describe, expect, it } from 'vitest'
import type { Assignment, Claim, Engine, JoinOptions, Member } from '../engine/index.ts'
import { environment, grounds, join, memory, message, over, publish, set, staysOpen } from './bridge.test-support.ts'
import { BridgedEngine } from './bridged-engine.ts'

describe('progress in another engine', () => {
  it('refuses the commits of an owner that was replaced, whatever the topics say', async () => {
    await using ground = await grounds()
    await using one = await ground.both()
    await one.topics.create('in', { partitions: 1 })
    await one.commit(publish('in', ...Array.from({ length: 10 }, (_, n) => message(n))))
    const { got: first } = await join(one)
    // Another process took over without the first one hearing of it: its engine of the topics is the same claim's.
    await using other = await ground.both({ groups: over(ground.topics.groups as never, twoOwners(first)) as never })
    const { got: second } = await join(other)
    expect(second.progress.next).toBe(0)
    const done = (
      claim: Claim,
      to: number,
    ): { progress: [{ claim: Claim; done: [{ from: number; to: number }] }] } => ({
      progress: [{ claim, done: [{ from: 0, to }] }],
    })
    const late = await one.commit({ ...set('zombie', 1), ...done(first.claim, 5) })
    expect(late).toEqual({ ok: false, conflict: { kind: 'fenced', claim: first.claim } })
    expect(await one.state.get('n', 'zombie')).toBeUndefined()
    expect(await other.commit({ ...set('owner', 1), ...done(second.claim, 3) })).toMatchObject({ ok: true })
    expect((await other.groups.describe('g'))?.lag[0]).toMatchObject({ next: 3, lagMessages: 7 })
  })

  it('is taken over from the owner before where the topics count epochs from the beginning again', async () => {
    await using ground = await grounds()
    const begin = async (topics: Engine): Promise<Engine> => {
      const engine = await BridgedEngine.open(topics, over(ground.store, staysOpen), environment)
      await engine.topics.create('in', { partitions: 1 })
      await engine.commit(publish('in', message(1), message(2), message(3)))
      return engine
    }
    await using before = await begin(await memory())
    // Others came and went: the claim is of a later epoch than the first one of a group.
    for (let times = 0; times < 3; times++) await (await join(before)).member.leave()
    const { got: old, member } = await join(before)
    const handled = await before.commit({ progress: [{ claim: old.claim, done: [{ from: 0, to: 2 }] }] })
    expect(handled.ok).toBe(true)
    await member.leave()
    // These know nothing of the group, as brokers that nobody asked for it for a while.
    await using anew = await begin(await memory())
    const { got } = await join(anew)
    expect(got.claim.epoch).toBeLessThan(old.claim.epoch)
    expect(got.progress.next).toBe(2)
    const last = await anew.commit({ progress: [{ claim: got.claim, done: [{ from: 2, to: 3 }] }] })
    expect(last.ok).toBe(true)
  })

  it('keeps thousands of commits in few keys, and a refused one takes nothing along', async () => {
    await using ground = await grounds()
    await using engine = await ground.both()
    await engine.topics.create('in', { partitions: 1 })
    await engine.commit(publish('in', ...Array.from({ length: 2000 }, (_, n) => message(n))))
    const { got, member } = await join(engine)
    const outcomes = await Promise.all(
      Array.from({ length: 2000 }, (_, n) =>
        engine.commit({
          progress: [{ claim: got.claim, done: [{ from: n, to: n + 1 }] }],
          // Every hundredth expects what is not there.
          ...(n % 100 === 50 && { state: [{ kind: 'set', namespace: 'n', key: 'x', value: n, expectedRevision: 9 }] }),
        }),
      ),
    )
    expect(outcomes.filter(({ ok }) => !ok)).toHaveLength(20)
    expect((await engine.groups.describe('g'))?.lag[0]).toMatchObject({ next: 50, lagMessages: 20 })
    for (let n = 0; n < 300; n++) {
      await engine.commit({ progress: [{ claim: got.claim, done: [{ from: n * 2, to: n * 2 + 1 }] }] })
    }
    await member.leave()
    const { got: again, member: next } = await join(engine)
    expect(again.progress.next).toBe(650)
    expect(await engine.state.count('progress:g')).toBeLessThan(300)
    await next.leave()
  })
})

/** Groups of an engine that give a claim to a second owner, with the next epoch, and tell the first one nothing. */
function twoOwners({ claim, progress }: Assignment): object {
  const join = (options: JoinOptions): Promise<Member> => {
    if (options.group !== claim.group) return Promise.resolve(nobody)
    queueMicrotask(() => options.onAssigned([{ claim: { ...claim, epoch: claim.epoch + 1 }, progress }]))
    return Promise.resolve(nobody)
  }
  return { join }
}

const nobody: Member = { id: 'nobody', claims: [], heartbeat: () => undefined, leave: () => Promise.resolve() }
