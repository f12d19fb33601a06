import { describe, expect, it } from 'vitest'
import { type EmbeddedEngine, embedded } from '../embedded/index.ts'
import { CommitChain } from './commit-chain.ts'
import type { PartitionReader } from './partition-reader.ts'

const readerOf = (partition: number, topic = 't'): PartitionReader => ({ topic, partition }) as PartitionReader
const always = (): boolean => true

async function engineAndChains(
  together?: 'all' | 'numbers',
): Promise<{ engine: EmbeddedEngine; one: CommitChain; other: CommitChain }> {
  const engine = await embedded({ path: ':memory:' }).open()
  const chain = (): CommitChain => new CommitChain(engine, 'chain:g', together)
  return { engine, one: chain(), other: chain() }
}

describe('the chain of the commits of a member', () => {
  it('lets members of other processes commit beside it', async () => {
    const { engine, one, other } = await engineAndChains()
    await using _engine = engine
    const [mine, yours] = [readerOf(0), readerOf(1)]
    await one.open(mine, always)
    await other.open(yours, always)
    for (let round = 0; round < 3; round++) {
      expect((await engine.commit({ state: one.links([mine]) })).ok).toBe(true)
      expect((await engine.commit({ state: other.links([yours]) })).ok).toBe(true)
    }
  })

  it.each([
    ['the same partition', undefined, readerOf(0), readerOf(0)],
    ['a partition of the same number, where numbers stay together', 'numbers', readerOf(0, 'a'), readerOf(0, 'b')],
    ['any partition, where all stay together', 'all', readerOf(0, 'a'), readerOf(1, 'b')],
  ] as const)('takes those behind a refused commit along that go on in %s', async (_, together, first, second) => {
    const { engine, one } = await engineAndChains(together)
    await using _engine = engine
    await one.open(first, always)
    await one.open(second, always)
    const refused = { kind: 'set', namespace: 'x', key: 'k', value: 1, expectedRevision: 7 } as const
    const outcomes = await Promise.all([
      engine.commit({ state: one.links([first]) }),
      engine.commit({ state: [...one.links([first, second]), refused] }),
      engine.commit({ state: one.links([second]) }),
    ])
    expect(outcomes.map(({ ok }) => ok)).toEqual([true, false, false])
    one.forget()
    await one.open(second, always)
    expect((await engine.commit({ state: one.links([second]) })).ok).toBe(true)
  })

  it('goes on where another owner of the partition left off', async () => {
    const { engine, one, other } = await engineAndChains()
    await using _engine = engine
    const reader = readerOf(0)
    await one.open(reader, always)
    await engine.commit({ state: one.links([reader]) })
    one.forget(reader)
    const next = readerOf(0)
    await other.open(next, always)
    await engine.commit({ state: other.links([next]) })
    await one.open(reader, always)
    expect((await engine.commit({ state: one.links([reader]) })).ok).toBe(true)
  })

  it('knows nothing of a partition that was given up while it was looked up', async () => {
    const { engine, one } = await engineAndChains()
    await using _engine = engine
    await one.open(readerOf(0), () => false)
    expect(() => one.links([readerOf(0)])).toThrow(expect.objectContaining({ code: 'INVARIANT_BROKEN' }))
  })
})
