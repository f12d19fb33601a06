import { expect, it } from 'vitest'
import type { Assignment } from '../engine/index.ts'
import { codeOf, commit, numbered, openEngine } from './file.test-support.ts'

it.each([
  ['comes first', 0],
  ['comes in between', 1],
  ['comes last', 4],
])('a member that joins beside a reset begins where the group stands: it %s', async (_what, turns) => {
  await using engine = await openEngine(':memory:')
  // Enough for the look-up of a time to pause in between.
  const partitions = 400
  await engine.topics.create('orders', { partitions })
  await commit(engine, { publish: [{ topic: 'orders', partition: 7, messages: numbered(3) }] })
  const assigned: Assignment[] = []
  const join = () =>
    engine.groups.join({
      group: 'g',
      topics: ['orders'],
      onAssigned: (assignments) => assigned.push(...assignments),
      onRevoked: () => Promise.resolve(),
      onLost: () => undefined,
    })
  const first = await join()
  const claim = assigned.find(({ claim: { partition } }) => partition === 7)?.claim
  await commit(engine, { progress: [{ claim: claim as Assignment['claim'], done: [{ from: 0, to: 3 }] }] })
  await first.leave()
  assigned.length = 0
  const resetting = codeOf(engine.groups.reset('g', 'orders', { timestampMs: 0 }))
  for (let turn = 0; turn < turns; turn++) await new Promise(setImmediate)
  const [outcome, second] = await Promise.all([resetting, join()])
  const begins = assigned.find((one) => one.claim.partition === 7)?.progress.next
  expect(begins).toBe(outcome === 'GROUP_ACTIVE' ? 3 : 0)
  await second.leave()
})
