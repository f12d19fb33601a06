import { describe, expect, it } from 'vitest'
import type { Engine } from '../engine/index.ts'
import { VirtualClock } from '../kernel/index.ts'
import { Pace, SharedPace } from './pace.ts'

/** How many steps of so many events are taken until the clock says so. */
async function taken(clock: VirtualClock, pace: Pace, step: number, share: number, untilMs: number): Promise<number> {
  const endMs = clock.monotonicMs() + untilMs
  const abort = new AbortController()
  let count = 0
  const work = (async () => {
    for (;;) {
      await pace.take(step, share, abort.signal)
      if (abort.signal.aborted) return
      count += step
    }
  })()
  while (clock.monotonicMs() < endMs) await clock.advance(10)
  const found = count
  abort.abort()
  await work
  return found
}

describe('the pace of a build', () => {
  it.each([
    [1000, 1, 256],
    [1000, 0.25, 10],
    [50, 1, 256],
  ])('is %i events a second, of which a share of %f is taken here, in steps of %i', async (rate, share, step) => {
    const clock = new VirtualClock()
    const pace = new Pace(clock, () => rate)
    const seconds = 20
    const found = await taken(clock, pace, step, share, seconds * 1000)
    // The first step is free, and what was not done may be made up for within a tenth of a second.
    expect(found).toBeGreaterThanOrEqual(rate * share * seconds - step)
    expect(found).toBeLessThanOrEqual(rate * share * (seconds + 0.2) + step)
  })

  it('is another one as soon as it is changed, and none without a limit', async () => {
    const clock = new VirtualClock()
    let rate: number | null = 1
    const pace = new Pace(clock, () => rate)
    await pace.take(1000, 1, undefined)
    const waiting = pace.take(1, 1, undefined)
    rate = 10_000
    await clock.advance(200)
    await waiting
    rate = null
    for (let n = 0; n < 1000; n++) await pace.take(1_000_000, 1, undefined)
    expect(clock.monotonicMs()).toBeLessThan(1000)
  })

  it('ends its wait when the signal aborts', async () => {
    const clock = new VirtualClock()
    const pace = new Pace(clock, () => 1)
    await pace.take(1000, 1, undefined)
    const abort = new AbortController()
    const waiting = pace.take(1, 1, abort.signal)
    abort.abort()
    await waiting
    expect(clock.monotonicMs()).toBe(0)
  })
})

/** The pace of a topic, of which an engine tells what this answers. */
function sharedPace(clock: VirtualClock, rate: number, describePartitions: () => Promise<number>): SharedPace {
  const describeTopic = async () => ({ partitions: Array.from({ length: await describePartitions() }) })
  const engine = { topics: { describe: describeTopic } } as unknown as Engine
  return new SharedPace({ pace: new Pace(clock, rate), engine, topics: ['t'], clock })
}

/** How many single messages are taken by several who wait at once until the clock says so. */
async function takenBy(
  clock: VirtualClock,
  pace: SharedPace,
  waiting: number,
  own: number,
  ms: number,
): Promise<number> {
  const over = new AbortController()
  let count = 0
  const takers = Array.from({ length: waiting }, async () => {
    for (;;) {
      await pace.take(1, own, over.signal)
      if (over.signal.aborted) return
      count++
    }
  })
  for (const endMs = clock.monotonicMs() + ms; clock.monotonicMs() < endMs; ) await clock.advance(50)
  const found = count
  over.abort()
  await Promise.all(takers)
  return found
}

describe('the pace of a group', () => {
  it('is shared by partitions', async () => {
    const clock = new VirtualClock()
    const pace = sharedPace(clock, 40, () => Promise.resolve(8))
    const found = await takenBy(clock, pace, 2, 2, 60_000)
    expect(found).toBeGreaterThan(590)
    expect(found).toBeLessThanOrEqual(605)
  })

  it('loses nothing by waits that are aborted', async () => {
    const clock = new VirtualClock()
    const pace = sharedPace(clock, 1, () => Promise.resolve(16))
    let found = 0
    for (let round = 0; round < 20; round++) found += await takenBy(clock, pace, 16, 16, 3000)
    expect(found).toBeGreaterThanOrEqual(58)
    expect(found).toBeLessThanOrEqual(62)
    await pace.take(1, 16, AbortSignal.abort())
  })

  it('goes on, and ends its waits, where nobody can tell how many partitions there are', async () => {
    const clock = new VirtualClock()
    let asked = 0
    const silent = sharedPace(clock, 16, () => {
      asked++
      return new Promise(() => undefined)
    })
    const abort = new AbortController()
    const waiting = silent.take(1, 1, abort.signal)
    abort.abort()
    await waiting
    const found = await takenBy(clock, silent, 1, 1, 60_000)
    expect(found).toBeGreaterThan(20)
    expect(found).toBeLessThanOrEqual(62)
    expect(asked).toBe(1)
  })

  it('asks again for what could not be told', async () => {
    const clock = new VirtualClock()
    let asked = 0
    const pace = sharedPace(clock, 40, () =>
      ++asked < 3 ? Promise.reject(new TypeError('not now')) : Promise.resolve(4),
    )
    const found = await takenBy(clock, pace, 1, 1, 60_000)
    expect(asked).toBeGreaterThanOrEqual(3)
    expect(found).toBeGreaterThan(560)
    expect(found).toBeLessThanOrEqual(605)
  })
})
