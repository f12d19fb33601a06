import { describe, expect, it } from 'vitest'
import { embedded } from '../embedded/index.ts'
import { Parking } from './parking.ts'
import type { PartitionReader } from './partition-reader.ts'
import { nobody, Task } from './task.ts'

const reader = { topic: 't', partition: 0 } as PartitionReader
const task = (offset: number): Task =>
  new Task('record', reader, 'k', { ...nobody, id: `m${offset}` }, offset, offset, 0)

describe('what waits behind a dead letter', () => {
  it('is never overwritten by another member that takes the same queue for its own', async () => {
    await using engine = await embedded({ path: ':memory:' }).open()
    const queues = [new Parking(engine, 'g'), new Parking(engine, 'g')].map((parking) => {
      parking.park('k', reader, 'head')
      const queue = parking.behind('k', 'head')
      if (queue === undefined) throw new Error('it was just parked')
      return { parking, queue }
    })
    for (const { parking, queue } of queues) await parking.locate(queue)
    const outcomes: boolean[] = []
    for (const [index, { parking, queue }] of queues.entries()) {
      outcomes.push((await engine.commit({ state: [parking.enqueueWrite(queue, task(index))] })).ok)
    }
    expect(outcomes).toEqual([true, false])
    // Who was refused looks again.
    const { parking, queue } = queues[1] as (typeof queues)[number]
    await parking.locate(queue)
    expect((await engine.commit({ state: [parking.enqueueWrite(queue, task(1))] })).ok).toBe(true)
    expect((await parking.waiting(queue, 10)).map(({ value }) => (value as { offset: number }).offset)).toEqual([0, 1])
  })

  it('does not come back once it is forgotten, however late it is looked up', async () => {
    await using engine = await embedded({ path: ':memory:' }).open()
    const before = new Parking(engine, 'g')
    await engine.commit({ state: [before.parkWrite('k', reader, 'head')] })
    const parking = new Parking(engine, 'g')
    let isCurrent = true
    const stale = parking.load(reader, () => isCurrent)
    parking.forget()
    isCurrent = false
    await stale
    expect(parking.size).toBe(0)
    await parking.load(reader, () => true)
    expect(parking.behind('k', 'head')).toBe(parking.queueFor('k', reader))
    parking.unpark(parking.behind('k', 'head') as NonNullable<ReturnType<Parking['behind']>>)
    expect(parking.size).toBe(0)
  })
})
