import { describe, expect, it } from 'vitest'
import { VirtualClock } from '../kernel/index.ts'
import { SilenceWatch } from './silence-watch.ts'

function watched() {
  const clock = new VirtualClock()
  let silences = 0
  const watch = new SilenceWatch(clock, 1000, () => {
    silences++
  })
  watch.start()
  return { clock, watch, silences: () => silences }
}

describe('a watch over an owner that may fall silent', () => {
  it('says nothing while it is heard of in time', async () => {
    const { clock, watch, silences } = watched()
    for (let n = 0; n < 5; n++) {
      await clock.advance(900)
      watch.heard()
    }
    expect([silences(), watch.isSilent]).toEqual([0, false])
    await clock.advance(1001)
    expect([silences(), watch.isSilent]).toEqual([1, true])
  })

  it('holds it for silent until somebody has taken note that it is heard of again, and watches on then', async () => {
    const { clock, watch, silences } = watched()
    await clock.advance(1500)
    watch.heard()
    expect(watch.isSilent).toBe(true)
    await watch.heardAgain()
    expect(watch.isSilent).toBe(false)
    await clock.advance(1001)
    expect(silences()).toBe(2)
    let isHeard = false
    const again = watch.heardAgain().then(() => {
      isHeard = true
    })
    await clock.advance(5000)
    expect(isHeard).toBe(false)
    watch.heard()
    await again
    expect(watch.isSilent).toBe(false)
  })

  it('keeps nobody waiting when it ends', async () => {
    const { clock, watch, silences } = watched()
    await clock.advance(1001)
    const again = watch.heardAgain()
    watch.end()
    await again
    await clock.advance(5000)
    expect([silences(), watch.isSilent]).toEqual([1, false])
  })
})
