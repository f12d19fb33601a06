import { describe, expect, it } from 'vitest'
import { VirtualClock } from '../kernel/index.ts'
import { Pace } from './pace.ts'

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
