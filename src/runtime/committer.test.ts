import { describe, expect, it } from 'vitest'
import type { CommitOutcome, Engine } from '../engine/index.ts'
import { systemClock } from '../kernel/index.ts'
import { CommitChain } from './commit-chain.ts'
import { Committer } from './committer.ts'
import type { PartitionReader } from './partition-reader.ts'

const reader = { claim: { group: 'g', topic: 't', partition: 0, epoch: 1 } } as PartitionReader
const nothing = (): undefined => undefined

/** A committer, and what answers its commits, oldest first. */
function committerAndAnswers(): { committer: Committer; answers: ((outcome: CommitOutcome) => void)[] } {
  const answers: ((outcome: CommitOutcome) => void)[] = []
  const commit = (): Promise<CommitOutcome> => new Promise((resolve) => answers.push(resolve))
  const engine = { commit, capabilities: {} } as unknown as Engine
  const chain = new CommitChain(engine, 'chain:g', undefined)
  const options = { engine, app: 'a', group: 'g', chain, clock: systemClock, isBulk: () => false }
  return { committer: new Committer(options, nothing, nothing, nothing), answers }
}

const made: CommitOutcome = { ok: true, published: [], appended: [] }

describe('a committer that is to be drained', () => {
  it('waits for the lone commits that are under way, and for none that begins later', async () => {
    const { committer, answers } = committerAndAnswers()
    const before = committer.commitAlone(reader, {})
    let isDrained = false
    const drained = committer.drained().then(() => {
      isDrained = true
    })
    const later = committer.commitAlone(reader, {})
    for (let turn = 0; turn < 10; turn++) await new Promise((resolve) => setImmediate(resolve))
    expect(isDrained).toBe(false)
    answers[0]?.(made)
    await before
    await drained
    answers[1]?.(made)
    await later
  })
})
