import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { VirtualClock } from '../kernel/index.ts'
import { Lanes } from './lanes.ts'
import type { PartitionReader } from './partition-reader.ts'
import { done, keysOf, nobody, Task, type TaskOutcome } from './task.ts'

const reader = { topic: 't', partition: 0 } as unknown as PartitionReader
const otherReader = { topic: 't', partition: 1 } as unknown as PartitionReader

function taskOf(key: string | undefined, offset: number, of: PartitionReader = reader): Task {
  return new Task('record', of, key, nobody, offset, offset, 0)
}

/** With one key or several. */
function taskUnder(keys: readonly string[], offset: number, of: PartitionReader = reader): Task {
  const task = taskOf(keys.length === 1 ? keys[0] : undefined, offset, of)
  if (keys.length > 1) task.keys = keys
  return task
}

function onError(error: unknown): never {
  throw error
}

async function turns(count: number): Promise<void> {
  for (let turn = 0; turn < count; turn++) await new Promise((resolve) => setImmediate(resolve))
}

describe('lanes', () => {
  it('run what finishes at once in the call, and keep nothing', () => {
    const ran: number[] = []
    const lanes = new Lanes({
      run: (task) => {
        ran.push(task.offset)
        return done
      },
      mayRun: () => true,
      clock: new VirtualClock(),
      onError,
      concurrencyMax: 4,
    })
    for (let offset = 0; offset < 5; offset++) lanes.submit(taskOf('k', offset))
    expect(ran).toEqual([0, 1, 2, 3, 4])
    expect(lanes.isEmpty).toBe(true)
  })

  it('keep the order of each key, whatever fails, takes time or is retried, within the bound', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(
          fc.record({
            keys: fc.uniqueArray(fc.integer({ min: 0, max: 3 }), { minLength: 1, maxLength: 3 }),
            script: fc.array(fc.integer({ min: 0, max: 3 }), { maxLength: 3 }),
          }),
          {
            maxLength: 60,
          },
        ),
        fc.integer({ min: 1, max: 4 }),
        async (plan, concurrencyMax) => {
          const clock = new VirtualClock()
          const finished = new Map<string, number[]>()
          const busy = new Set<string>()
          let running = 0
          let most = 0
          let overlaps = 0
          const lanes = new Lanes({
            mayRun: () => true,
            clock,
            concurrencyMax,
            onError,
            // Each step of a script: 0 done, 1 retry later, 2 done in some turns, 3 retry in some turns.
            run: (task): TaskOutcome | Promise<TaskOutcome> => {
              const step = plan[task.offset]?.script[task.attempt++] ?? 0
              const outcome = step % 2 === 0 ? done : 10
              if (outcome === done) {
                for (const key of keysOf(task)) finished.set(key, [...(finished.get(key) ?? []), task.offset])
              }
              if (step < 2) return outcome
              most = Math.max(most, ++running)
              for (const key of keysOf(task)) {
                if (busy.has(key)) overlaps++
                busy.add(key)
              }
              return turns(1 + (task.offset % 3)).then(() => {
                running--
                for (const key of keysOf(task)) busy.delete(key)
                return outcome
              })
            },
          })
          let keyCount = 0
          for (const [offset, { keys }] of plan.entries()) {
            while (!lanes.hasRoom) await clock.advance(1)
            keyCount += keys.length
            lanes.submit(
              taskUnder(
                keys.map((key) => `k${key}`),
                offset,
              ),
            )
          }
          for (let step = 0; step < 2000 && !lanes.isEmpty; step++) await clock.advance(1)
          expect(lanes.isEmpty).toBe(true)
          expect(most).toBeLessThanOrEqual(concurrencyMax)
          expect([...finished.values()].flat()).toHaveLength(keyCount)
          expect(overlaps).toBe(0)
          for (const offsets of finished.values()) expect(offsets).toEqual(offsets.toSorted((a, b) => a - b))
        },
      ),
      { numRuns: 60 },
    )
  })

  it('drop the waiting tasks of one partition and leave the others', async () => {
    const clock = new VirtualClock()
    const ran: number[] = []
    const lanes = new Lanes({
      run: (task) => {
        ran.push(task.offset)
        return task.offset === 0 && task.attempt++ === 0 ? 1000 : done
      },
      mayRun: () => true,
      clock,
      onError,
      concurrencyMax: 4,
    })
    lanes.submit(taskOf('k', 0))
    lanes.submit(taskOf('k', 1, otherReader))
    lanes.submit(taskOf('k', 2))
    lanes.submit(taskOf('k', 3, otherReader))
    expect(lanes.holds(reader)).toBe(true)
    lanes.dropWaiting(reader)
    await clock.advance('10s')
    expect(ran).toEqual([0, 1, 3])
    expect(lanes.isEmpty).toBe(true)
    expect(clock.pendingTimerCount).toBe(0)
  })

  it('let a task with several keys wait until all are free, and what comes after it behind it', async () => {
    const clock = new VirtualClock()
    const ran: number[] = []
    const lanes = new Lanes({
      run: (task) => {
        ran.push(task.offset)
        return task.offset < 2 && task.attempt++ === 0 ? 1000 : done
      },
      mayRun: () => true,
      clock,
      onError,
      concurrencyMax: 4,
    })
    lanes.submit(taskUnder(['a'], 0))
    lanes.submit(taskUnder(['b'], 1, otherReader))
    lanes.submit(taskUnder(['a', 'b', 'c'], 2))
    lanes.submit(taskUnder(['c'], 3))
    lanes.submit(taskUnder(['d'], 4, otherReader))
    expect([lanes.hasRoom, lanes.holds(reader), ran]).toEqual([false, true, [0, 1]])
    lanes.dropWaiting(otherReader)
    await clock.advance('10s')
    expect(ran).toEqual([0, 1, 0, 2, 3])
    expect([lanes.isEmpty, lanes.hasRoom]).toEqual([true, true])
  })

  it('wait while work may not begin, and go on when woken', async () => {
    let mayRun = true
    const ran: number[] = []
    const lanes = new Lanes({
      run: (task) => {
        ran.push(task.offset)
        return task.offset === 0 ? turns(1).then(() => done) : done
      },
      mayRun: () => mayRun,
      clock: new VirtualClock(),
      onError,
      concurrencyMax: 4,
    })
    lanes.submit(taskOf('k', 0))
    lanes.submit(taskOf('k', 1))
    mayRun = false
    await turns(5)
    expect(ran).toEqual([0])
    expect(lanes.hasRoom).toBe(false)
    mayRun = true
    lanes.wake()
    await turns(2)
    expect(ran).toEqual([0, 1])
  })

  it('ignore what still runs after they were cleared', async () => {
    const lanes = new Lanes({
      run: () => turns(3).then(() => 5),
      mayRun: () => true,
      clock: new VirtualClock(),
      onError,
      concurrencyMax: 1,
    })
    lanes.submit(taskOf('k', 0))
    expect(lanes.hasRoom).toBe(false)
    lanes.clear()
    expect(lanes.isEmpty).toBe(true)
    expect(lanes.hasRoom).toBe(true)
    await turns(5)
    expect(lanes.isEmpty).toBe(true)
  })
})
