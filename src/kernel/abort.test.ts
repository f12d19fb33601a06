import { describe, expect, it } from 'vitest'
import { sleep } from './abort.ts'
import { VirtualClock } from './clock.ts'

describe('sleep', () => {
  it('waits for its clock', async () => {
    const clock = new VirtualClock()
    let awake = false
    const done = sleep(100, clock).then(() => {
      awake = true
    })
    await clock.advance(99)
    expect(awake).toBe(false)
    await clock.advance(1)
    await done
    expect(awake).toBe(true)
  })

  it('rejects with the reason of its signal and leaves no timer', async () => {
    const clock = new VirtualClock()
    const controller = new AbortController()
    const sleeping = sleep(100, clock, controller.signal)
    controller.abort(new Error('stop'))
    await expect(sleeping).rejects.toThrow('stop')
    await expect(sleep(100, clock, controller.signal)).rejects.toThrow('stop')
    expect(clock.pendingTimerCount).toBe(0)
  })
})
