import { describe, expect, it, vi } from 'vitest'
import { systemClock, VirtualClock } from './clock.ts'

describe('VirtualClock', () => {
  it('stands still until it is advanced', async () => {
    const clock = new VirtualClock(1000)
    expect([clock.nowMs(), clock.monotonicMs()]).toEqual([1000, 0])
    await clock.advance('15s')
    expect([clock.nowMs(), clock.monotonicMs()]).toEqual([16_000, 15_000])
  })

  it('fires timers by due time, then in the order in which they were set', async () => {
    const clock = new VirtualClock(0)
    const fired: string[] = []
    for (const [name, delayMs] of [
      ['b', 20],
      ['a', 10],
      ['c', 20],
      ['late', 21],
    ] as const) {
      clock.setTimer(() => fired.push(`${name}@${clock.nowMs()}`), delayMs)
    }
    await clock.advance(20)
    expect(fired).toEqual(['a@10', 'b@20', 'c@20'])
    expect(clock.pendingTimerCount).toBe(1)
  })

  it('lets promise callbacks run at the instant of their timer and fires what they set on the way', async () => {
    const clock = new VirtualClock(0)
    const fired: number[] = []
    async function tick(): Promise<void> {
      await Promise.resolve()
      await Promise.resolve()
      fired.push(clock.nowMs())
      if (fired.length < 3) clock.setTimer(() => void tick(), 10)
    }
    clock.setTimer(() => void tick(), 10)
    await clock.advance('1s')
    expect(fired).toEqual([10, 20, 30])
    expect(clock.nowMs()).toBe(1000)
  })

  it('drops cancelled timers, also those that another timer of the same instant cancels', async () => {
    const clock = new VirtualClock(0)
    const fired: string[] = []
    const second = { timer: clock.setTimer(() => fired.push('never'), 50) }
    second.timer.cancel()
    clock.setTimer(() => second.timer.cancel(), 10)
    second.timer = clock.setTimer(() => fired.push('neither'), 10)
    await clock.advance(100)
    expect(fired).toEqual([])
    expect(clock.pendingTimerCount).toBe(0)
  })

  it('jumps to the next timer', async () => {
    const clock = new VirtualClock(0)
    clock.setTimer(() => {}, 86_400_000)
    expect(await clock.advanceToNextTimer()).toBe(true)
    expect(clock.nowMs()).toBe(86_400_000)
    expect(await clock.advanceToNextTimer()).toBe(false)
  })

  it('jumps to a timer between two milliseconds', async () => {
    const clock = new VirtualClock(0)
    const fired: number[] = []
    clock.setTimer(() => fired.push(clock.monotonicMs()), 1.25)
    expect(await clock.advanceToNextTimer()).toBe(true)
    expect(fired).toEqual([1.25])
    expect([clock.monotonicMs(), clock.nowMs()]).toEqual([1.25, 1])
  })

  it('can have its wall clock set back without touching timers', async () => {
    const clock = new VirtualClock(10_000)
    const fired: number[] = []
    clock.setTimer(() => fired.push(clock.monotonicMs()), 100)
    clock.setWallClock(5000)
    expect(clock.nowMs()).toBe(5000)
    await clock.advance(100)
    expect(fired).toEqual([100])
    expect(clock.nowMs()).toBe(5100)
  })

  it('throws what a timer throws, at its instant', async () => {
    const clock = new VirtualClock(0)
    clock.setTimer(() => {
      throw new Error('boom')
    }, 5)
    await expect(clock.advance(10)).rejects.toThrow('boom')
    expect(clock.nowMs()).toBe(5)
  })
})

describe('systemClock', () => {
  it('splits delays that Node cannot keep in 32 bits, and cancels them', () => {
    vi.useFakeTimers()
    try {
      const fired: string[] = []
      const delayMs = 30 * 86_400_000
      systemClock.setTimer(() => fired.push('kept'), delayMs)
      const cancelled = systemClock.setTimer(() => fired.push('cancelled'), delayMs)
      vi.advanceTimersByTime(delayMs - 1)
      expect(fired).toEqual([])
      cancelled.cancel()
      vi.advanceTimersByTime(1)
      expect(fired).toEqual(['kept'])
    } finally {
      vi.useRealTimers()
    }
  })

  it('fires and reads the machine', async () => {
    const startMs = systemClock.monotonicMs()
    await new Promise<void>((resolve) => {
      systemClock.setTimer(resolve, 2)
    })
    expect(systemClock.monotonicMs()).toBeGreaterThan(startMs)
    expect(Math.abs(systemClock.nowMs() - Date.now())).toBeLessThan(60_000)
  })
})
