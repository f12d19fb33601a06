import { describe, expect, it } from 'vitest'
import type { CommitOutcome, WriteBatch } from '../engine/index.ts'
import { ClosedError, VirtualClock } from '../kernel/index.ts'
import { BatchBufferPool } from '../record/index.ts'
import type { UnitResult } from './commands.ts'
import { CommitQueue, type GroupWriter } from './commit-queue.ts'
import type { PlaceCatalog } from './places.ts'

const bad = 'bad'

/** A queue whose writer refuses, as a whole, whatever writes the key `bad`, and tells of the keys that it wrote together. */
function queueRefusing(error: Error) {
  const written: (readonly string[])[] = []
  const writer: GroupWriter = {
    pool: new BatchBufferPool(),
    isFinal: () => false,
    commit: async ({ units }) => {
      await turn()
      return units.map(({ state }): UnitResult => {
        const keys = state.map((write) => ('key' in write ? write.key : ''))
        if (keys.includes(bad)) return { kind: 'refused', refusal: { kind: 'engine', error } }
        written.push(keys)
        return { kind: 'committed', baseOffsets: [], appended: [] }
      })
    },
  }
  const listener = { published: () => undefined, unitCommitted: () => undefined, failed: () => undefined }
  const catalog = {} as PlaceCatalog
  const queue = new CommitQueue({ writer, catalog, clock: new VirtualClock(), bufferBytesMax: 65_536, listener })
  const commit = (key: string): Promise<CommitOutcome> => queue.commit(write(key))
  return { queue, commit, written }
}

const write = (key: string, namespace = 'n'): WriteBatch => ({ state: [{ kind: 'set', namespace, key, value: 1 }] })
const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))
const statusOf = (outcomes: readonly PromiseSettledResult<CommitOutcome>[]): readonly string[] =>
  outcomes.map(({ status }) => status)

describe('commits that share a unit and are refused', () => {
  it('are made one by one, so that one concerns nobody else', async () => {
    const { commit, written } = queueRefusing(new RangeError('not that'))
    const outcomes = await Promise.allSettled(['a', bad, 'b', 'c'].map(commit))
    expect(statusOf(outcomes)).toEqual(['fulfilled', 'rejected', 'fulfilled', 'fulfilled'])
    expect(outcomes[1]).toMatchObject({ reason: { message: 'not that' } })
    expect(written).toEqual([['a'], ['b'], ['c']])
  })

  it('come behind what was staged before they were made apart, where it changes something else', async () => {
    const { queue, commit, written } = queueRefusing(new RangeError('not that'))
    const first = ['a', bad].map(commit)
    await turn()
    const second = ['b', 'c'].map((key) => queue.commit(write(key, 'other')))
    const outcomes = await Promise.allSettled([...first, ...second])
    expect(statusOf(outcomes)).toEqual(['fulfilled', 'rejected', 'fulfilled', 'fulfilled'])
    expect(written).toEqual([['b', 'c'], ['a']])
  })

  it('are not made where something behind them has changed the same meanwhile', async () => {
    const { queue, commit, written } = queueRefusing(new RangeError('not that'))
    const first = [commit('a'), queue.commit(write('b', 'other')), commit(bad)]
    await turn()
    const second = commit('a')
    const outcomes = await Promise.allSettled([...first, second])
    expect(statusOf(outcomes)).toEqual(['rejected', 'fulfilled', 'rejected', 'fulfilled'])
    expect(written).toEqual([['a'], ['b']])
  })

  it('are told so together, where that passes by itself', async () => {
    const { commit, written } = queueRefusing(Object.assign(new RangeError('not now'), { fault: 'passing' }))
    expect(statusOf(await Promise.allSettled(['a', bad].map(commit)))).toEqual(['rejected', 'rejected'])
    expect(written).toEqual([])
  })

  it('are answered before the queue is closed, and what comes meanwhile is refused', async () => {
    const { queue, commit, written } = queueRefusing(new RangeError('not that'))
    const outcomes = Promise.allSettled(['a', bad, 'b'].map(commit))
    await queue.close()
    expect(written).toEqual([['a'], ['b']])
    await expect(commit('c')).rejects.toBeInstanceOf(ClosedError)
    expect(statusOf(await outcomes)).toEqual(['fulfilled', 'rejected', 'fulfilled'])
  })
})
